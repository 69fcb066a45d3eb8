"""A real CONNECT proxy that can lead any name to one place."""

from __future__ import annotations

import base64
import contextlib
import socket
import socketserver
import threading

from typing import Self


class ConnectProxy:
    """
    Tunnels CONNECT to ``upstream``, whatever host was asked for.

    With ``user`` it asks for a name and password first (407).
    """

    def __init__(self, upstream: tuple[str, int], user: str | None = None) -> None:
        self.connected: list[str] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                target = self.rfile.readline().decode().split(" ")[1]
                headers: dict[str, str] = {}
                while (line := self.rfile.readline().decode().strip()) != "":
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                expected = None if user is None else base64.b64encode(user.encode()).decode()
                given = headers.get("proxy-authorization", "").removeprefix("Basic ")
                if expected is not None and given != expected:
                    self.wfile.write(
                        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
                    )
                    return
                outer.connected.append(target)
                with socket.create_connection(upstream) as there:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    back = threading.Thread(target=_copy, args=(there, self.connection))
                    back.start()
                    _copy(self.connection, there)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
