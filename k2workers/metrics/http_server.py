"""Owns who is let in to the HTTP port, for how long, and who is let go: a thread for each client, bounded in number and time. Knows no answer."""

from __future__ import annotations

import contextlib
import io
import socket
import socketserver
import threading
import time
from http.client import LineTooLong
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client.exposition import ThreadingWSGIServer

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

PATIENCE_S = 10.0
"""A client that has not sent its request and read the answer after this long is let go, however busy it seems."""

WRITE_S = 2.0
"""One that stays (``HttpClient.stays``) has so long to take each part of what it is sent."""

MAX_CLIENTS = 50
"""At a time. Then the one that has been here longest without having asked, or without taking its answer, is let go, but no sooner than after
``GRACE_S``; if all of them wait for us, so does the new one, for ``PLACE_S``, and is refused. Those that stay are not among them while nothing is sent."""

GRACE_S, PLACE_S = 0.1, 0.5

HEAD_BYTES = 128 * 1024
"""Of a request: browsers send some kB, and the library would take 6 MB from each client."""

PACE_S = 0.002
"""One client is taken in so long: parsing requests alone could use a whole core, and the lock that the loop needs."""

BACKLOG = 1_024
"""Clients that wait in the kernel to be taken. With a short queue it loses them at random, and who asks once a second would hardly get in."""

STAYING_BYTES = 64 * 1024
"""The kernel keeps so much for one that stays: more would hide for minutes that it does not read."""

REFUSED = (
    b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n503: too many clients\n"
)

CLIENT = "k2workers.client"
"""Of a request's environment: its ``HttpClient``."""


class HttpClient:
    """The client of one request, for whoever answers it."""

    def __init__(self, server: HttpServer, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection

    def answered(self) -> None:
        """Its answer was made: it has only to take it."""
        self._server.answered(self._connection)

    def stays(self) -> None:
        """It waits for what will happen, however long that takes; the kernel keeps little of what it does not read."""
        with contextlib.suppress(OSError):  # it has just gone
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STAYING_BYTES)
        self._server.forget(self._connection)

    def is_sent(self) -> None:
        """Something is written to it now: it has ``WRITE_S`` to take it."""
        self._server.is_sent(self._connection)


class _Request(io.BufferedReader):
    """What a client sends, of which no more than ``HEAD_BYTES`` and one line are taken in lines. Raises LineTooLong for more, which the library answers with 431."""

    _left = HEAD_BYTES

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(-1 if size is None else size)
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("head")
        return line


class HttpHandler(WSGIRequestHandler):
    """One client's request."""

    timeout = PATIENCE_S
    server: HttpServer

    def setup(self) -> None:
        """Take no more from the client than a request is."""
        super().setup()
        assert isinstance(self.rfile, io.BufferedReader)
        self.rfile = _Request(self.rfile.detach())

    def parse_request(self) -> bool:
        """Whether it is a request; then the client waits for us."""
        understood = super().parse_request()
        if understood:
            self.server.asked(self.connection)
        return understood

    def get_environ(self) -> WSGIEnvironment:
        """What the request says, and who asks."""
        return {**super().get_environ(), CLIENT: HttpClient(self.server, self.connection)}

    def log_message(self, *_: object) -> None:
        """Log no line a request."""


class _Stay(NamedTuple):
    """Since when a client is where it is, and when it must have gone."""

    since_s: float
    until_s: float


class HttpServer(ThreadingWSGIServer):
    """One thread a client, which the end of the process does not wait for."""

    request_queue_size = BACKLOG

    def __init__(self, host: str, port: int) -> None:
        self._idle: dict[socket.socket, _Stay] = {}
        """Clients for whom we wait, the oldest first."""
        self._waiting: dict[socket.socket, _Stay] = {}
        """Those that wait for us."""
        self._changed = threading.Condition()
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self.address_family = family
        super().__init__(address, HttpHandler)  # type: ignore[arg-type]  # an address is longer with IPv6

    def server_bind(self) -> None:
        # The library's looks up the name of the host, which without a name server takes seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the client a thread, and a time; or refuse it. Returns when the next one may come."""
        if self._has_place():
            with self._changed:
                now_s = time.monotonic()
                self._idle[request] = _Stay(now_s, now_s + PATIENCE_S)
            super().process_request(request, client_address)
        else:
            self._refuse(request)
        time.sleep(PACE_S)

    def _has_place(self) -> bool:
        """Make room for one more, or wait until there is; whether there is."""
        until_s = time.monotonic() + PLACE_S
        while (now_s := time.monotonic()) < until_s:
            with self._changed:
                if len(self._idle) + len(self._waiting) < MAX_CLIENTS:
                    return True
                oldest = next(iter(self._idle), None)
                if oldest is not None and now_s - self._idle[oldest].since_s >= GRACE_S:
                    self._let_go(oldest)
                    return True
                self._changed.wait(PACE_S * 5)
        return False

    def asked(self, client: socket.socket) -> None:
        """It has sent its whole request."""
        self._move(client, self._idle, self._waiting)

    def answered(self, client: socket.socket) -> None:
        """Its answer was made."""
        self._move(client, self._waiting, self._idle)

    def forget(self, client: socket.socket) -> None:
        """It stays, and nothing is due from it or to it."""
        with self._changed:
            self._idle.pop(client, None)
            self._waiting.pop(client, None)
            self._changed.notify_all()

    def is_sent(self, client: socket.socket) -> None:
        """One that stays is to take something now."""
        with self._changed:
            now_s = time.monotonic()
            self._idle[client] = _Stay(now_s, now_s + WRITE_S)

    def _move(self, client: socket.socket, here: dict[socket.socket, _Stay], there: dict[socket.socket, _Stay]) -> None:
        with self._changed:
            stay = here.pop(client, None)
            if stay is not None:  # else it was let go
                there[client] = _Stay(time.monotonic(), stay.until_s)
                self._changed.notify_all()

    def service_actions(self) -> None:
        """Let go who has been here too long; the accepting thread calls it every ``STOP_POLL_S``, and after each client."""
        super().service_actions()
        now_s = time.monotonic()
        with self._changed:
            for client, stay in [*self._idle.items(), *self._waiting.items()]:
                if now_s >= stay.until_s:
                    self._let_go(client)

    def shutdown_request(self, request: Any) -> None:
        """The client's thread has done with it."""
        self.forget(request)
        super().shutdown_request(request)

    def _refuse(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.recv(4_096)  # what was not read would make the kernel take back the answer
            client.send(REFUSED)
        super().shutdown_request(client)

    def _let_go(self, client: socket.socket) -> None:
        """End the connection: its thread, which waits for it, comes to an end."""
        self._idle.pop(client, None)
        self._waiting.pop(client, None)
        with contextlib.suppress(OSError):  # it has just gone
            client.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left, or that sent nothing in time, is no event of ours."""
