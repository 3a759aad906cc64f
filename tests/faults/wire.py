"""Faults on the wire: what a JVM and Spark's Python workers send to AWS passes here as well as what botocore sends.

A process is whoever is `on` the wire at the time. When it dies, its connections are cut, now and from then on: whatever
is left of it in the JVM reaches nothing any more.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3

from tests.faults.injection import AnswerLost, Killed, Process, Refused

OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Wire:
    """An endpoint that passes requests on to another one."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.pool = urllib3.PoolManager(maxsize=32, retries=False)
        self.process = Process()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.wire = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextlib.contextmanager
    def on(self, process: Process) -> Iterator[Process]:
        """All that is sent meanwhile is sent by the process."""
        before, self.process = self.process, process
        try:
            yield process
        finally:
            self.process = before

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    wire: Wire

    def handle_error(self, *_: Any) -> None:
        """A client that has hung up is nothing to tell of."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_: Any) -> None:
        pass

    def _pass_on(self) -> None:
        body = self._body()
        try:
            answer = self.server.wire.process.around(*self._call(), lambda: self._send(body))
        except (Killed, AnswerLost):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        except Refused as refused:
            self._say(refused.status, [("x-amzn-ErrorType", refused.code)], b"")
        else:
            self._say(answer.status, list(answer.headers.items()), answer.data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on

    def _call(self) -> tuple[str, str]:
        target = self.headers.get("X-Amz-Target", "")
        if not target:
            return "s3", f"{self.command} {self.path.partition('?')[0]}"
        service, _, operation = target.rpartition(".")
        return ("glue" if "Glue" in service else "dynamodb"), operation

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, body: bytes) -> Any:
        kept = {
            name: value for name, value in self.headers.items() if name.lower() not in OF_ONE_CONNECTION | {"expect"}
        }
        url = self.server.wire.endpoint + self.path
        return self.server.wire.pool.request(
            self.command, url, body=body, headers=kept, redirect=False, decode_content=False
        )

    def _say(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        length = {name.lower(): value for name, value in headers}.get("content-length", "0")
        for name, value in headers:
            if name.lower() not in OF_ONE_CONNECTION - {"date"}:
                self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
