"""A small HTTP server on the loopback interface: one thread per connection, answers in one piece."""

import logging
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from local_cloud import forward
from local_cloud.forward import Answer, Request
from local_cloud.state import HOST

log = logging.getLogger(__name__)

Handle = Callable[[Request], Answer]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    handle_aws: Handle


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        request = forward.read(self)
        try:
            answer = self.server.handle_aws(request)
        except Exception as e:
            log.exception("%s failed", request.operation)
            answer = forward.of_error("InternalServiceException", f"{type(e).__name__}: {e}", 500)
        forward.write(self, answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _answer  # noqa: N815  the base class names them

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it
        log.debug(format, *args)


class HttpServer:
    """A server on the loopback interface that answers with `handle`, one thread per connection."""

    def __init__(self, handle: Handle, port: int) -> None:
        self._server = _Server((HOST, port), _Handler)
        self._server.handle_aws = handle
        self._thread = Thread(target=self._server.serve_forever, args=(0.2,), name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
