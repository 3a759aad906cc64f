"""The Athena endpoint: an HTTP server in a thread; `serve` starts it."""

import json
import logging
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local_cloud.athena.api import Api
from local_cloud.athena.emulator import Answer, Emulator
from local_cloud.athena.errors import EmulatorRefused, RequestRefused
from local_cloud.athena.facts import AthenaFacts
from local_cloud.athena.history import History
from local_cloud.athena.permission import PermissionDenied, Request
from local_cloud.athena.runner import Runner

BODY_LIMIT = 1_000_000
IDLE_SECONDS = 120
HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "date", "server"}
logger = logging.getLogger("local_cloud.athena")


class AthenaServer:
    """A running endpoint. `port` is the one it listens on; `stop` ends running queries and the thread."""

    def __init__(self, facts: AthenaFacts, host: str, port: int) -> None:
        facts.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._emulator = emulator = Emulator(facts)
        history = History(facts.folder / "queries")
        self._runner = Runner(emulator, history)
        self._server = _Server((host, port), _Handler)
        self._server.api = Api(emulator, history, self._runner)
        self._thread = threading.Thread(target=self._server.serve_forever, name="athena-endpoint", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def emulator_restarted(self) -> None:
        """What the one before gave away is worth nothing now."""
        self._emulator.forget()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._runner.close()
        self._emulator.close()
        self._thread.join(timeout=10)


def serve(facts: AthenaFacts, host: str, port: int = 0) -> AthenaServer:
    """Starts the endpoint on `host`; port 0 takes a free one. Raises OSError where the port is taken."""
    server = AthenaServer(facts, host, port)
    server.start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: Api


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_LIMIT:
            self.close_connection = True
            self._reply_error(RequestRefused(f"the request is longer than {BODY_LIMIT} bytes"))
            return
        body = self.rfile.read(length)
        names = [name.lower() for name in self.headers]
        if len(names) != len(set(names)):
            # What is done could be another thing than what the emulator permitted.
            self._reply_error(
                RequestRefused("a header of the request is given twice", code="IncompleteSignatureException")
            )
            return
        request = Request(self.path, dict(self.headers.items()), body)
        try:
            answer = self.server.api.answer(request)
        except PermissionDenied as e:
            self._reply(e.answer.status, e.answer.body, e.answer)
        except RequestRefused as e:
            self._reply_error(e)
        except EmulatorRefused as e:
            self._reply_error(RequestRefused(str(e)), status=500)
        except Exception as e:
            # The endpoint lives on; the caller is told, the log has the trace.
            logger.exception("%s failed", request.action)
            self._reply_error(RequestRefused(f"{type(e).__name__}: {e}", code="InternalServerException"), status=500)
        else:
            if isinstance(answer, Answer):
                self._reply(answer.status, answer.body, answer)
            else:
                self._reply(200, json.dumps(answer).encode())

    def _reply_error(self, error: RequestRefused, status: int = 400) -> None:
        value: dict[str, Any] = {"__type": error.code, "message": str(error), "Message": str(error)}
        if error.reason:
            value["AthenaErrorCode"] = error.reason
        self._reply(status, json.dumps(value).encode())

    def _reply(self, status: int, body: bytes, answer: Answer | None = None) -> None:
        self.send_response(status)
        headers = dict(answer.headers) if answer else {"Content-Type": "application/x-amz-json-1.1"}
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if "x-amzn-requestid" not in {name.lower() for name in headers}:
            self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it
        logger.debug(format, *args)
