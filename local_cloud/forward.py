"""Passing a signed request on, byte for byte, so that the emulator can check its signature and permissions."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import urllib3

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}
JSON_TYPE = "application/x-amz-json-1.1"


@dataclass(frozen=True)
class Request:
    """One request as it arrived: the headers in order and as written, the body untouched."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def is_ambiguous(self) -> bool:
        """Whether a header is there twice: what is done could be another thing than what the emulator permitted."""
        names = [name.lower() for name, _ in self.headers]
        return len(names) != len(set(names))

    @property
    def operation(self) -> str:
        """`StartJobRun` of `X-Amz-Target: AWSGlue.StartJobRun`."""
        return self.header("X-Amz-Target").rpartition(".")[2]

    def json(self) -> dict[str, Any]:
        value = json.loads(self.body or b"{}")
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Answer:
    """One answer; `headers` without those that belong to a single connection."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = field(default=())

    @property
    def is_success(self) -> bool:
        return self.status < 300

    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def error(self) -> str:
        """The error's name, `AccessDeniedException`, or an empty string."""
        if self.is_success:
            return ""
        content = self.json()
        name = content.get("__type") or content.get("code") or content.get("Code") or ""
        return str(name).rpartition("#")[2].partition(":")[0]

    def with_json(self, value: Any) -> "Answer":
        """The same answer with another body."""
        kept = tuple((k, v) for k, v in self.headers if k.lower() not in {"content-length", "x-amz-crc32"})
        return Answer(self.status, json.dumps(value).encode(), kept)


def of_json(value: Any) -> Answer:
    return Answer(200, json.dumps(value).encode(), (("Content-Type", JSON_TYPE),))


def of_error(name: str, message: str, status: int = 400) -> Answer:
    body = json.dumps({"__type": name, "Message": message, "message": message}).encode()
    return Answer(status, body, (("Content-Type", JSON_TYPE), ("x-amzn-ErrorType", name)))


class Forwarder:
    """Connections to the emulator, shared by threads."""

    def __init__(self, endpoint: str, ca: Path, connections: int = 16) -> None:
        self._endpoint = endpoint
        self._pool = urllib3.PoolManager(maxsize=connections, ca_certs=str(ca), cert_reqs="CERT_REQUIRED")

    def forward(self, request: Request) -> Answer:
        """Send it with the Host header it was signed with; a connection error becomes a 503 answer."""
        try:
            answer = self._pool.request(
                request.method,
                self._endpoint + request.path,
                body=request.body,
                headers=_to_send(request.headers),
                redirect=False,
                retries=urllib3.Retry(connect=2, read=False, redirect=False),
                timeout=urllib3.Timeout(connect=5, read=120),
                decode_content=False,
            )
        except urllib3.exceptions.HTTPError as e:
            return of_error("ServiceUnavailableException", f"the local emulator does not answer: {e}", 503)
        return Answer(answer.status, answer.data, _kept(answer.headers.items()))


def _to_send(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    sent = urllib3.HTTPHeaderDict()
    for name, value in headers:
        if name.lower() not in HOP_BY_HOP:
            sent.add(name, value)
    return sent


def _kept(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((k, v) for k, v in headers if k.lower() not in HOP_BY_HOP | {"content-length", "date", "server"})


def read(handler: BaseHTTPRequestHandler) -> Request:
    """The request that a handler is asked to answer."""
    length = int(handler.headers.get("Content-Length") or 0)
    body = handler.rfile.read(length) if length else b""
    return Request(handler.command, handler.path, tuple(handler.headers.items()), body)


def write(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    """Send an answer in one piece: in two, the client's delayed acknowledgement costs 40 ms."""
    handler.send_response(answer.status)
    for name, value in answer.headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(answer.body)
    handler.wfile.flush()
