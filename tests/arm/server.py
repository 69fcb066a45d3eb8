"""A real HTTPS server that says what a test tells it to, and keeps what it was asked."""

from __future__ import annotations

import json
import ssl
import threading

from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, frozen


@frozen(kw_only=True)
class Asked:
    """One request as it came over the wire."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@frozen
class Said:
    """One reply; ``body`` is JSON, or bytes as they are, and ``None`` for nothing."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(factory=dict)


class ArmServer:
    """Serves ``answer`` on 127.0.0.1 behind TLS; by default an empty JSON object."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Said | None] = lambda _: Said(200, {})
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                self.request.settimeout(10)
                self.request.do_handshake()
                super().setup()

            def handle_any(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                asked = Asked(
                    method=self.command,
                    path=unquote(parts.path),
                    query=dict(parse_qsl(parts.query)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(length),
                )
                outer.asked.append(asked)
                said = outer.answer(asked)
                if said is None:  # hang up
                    self.close_connection = True
                    return
                if isinstance(said.body, bytes):
                    body = said.body
                else:
                    body = b"" if said.body is None else json.dumps(said.body).encode()
                self.send_response(said.status)
                if body and "content-type" not in {name.lower() for name in said.headers}:
                    self.send_header("Content-Type", "application/json; charset=utf-8")
                for name, value in said.headers.items():
                    self.send_header(name, value)
                if said.status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = handle_any

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that refuses the certificate is part of some tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        # the handshake is the handler thread's, or one silent client would hold up all others
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
