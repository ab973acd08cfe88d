"""Owns the one HTTP endpoint: /metrics of all processes, /healthz, /readyz, /status, /book/. Knows no process by itself.

It is served by the standard library from threads of its own, so the loop that gives grants is asked for what only it knows, and
neither renders metrics nor waits for a slow client. However many ask, an answer is made once at a time, for all of them together
(``shared_answer``), and clients are taken no faster than ``PACE_S`` allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.multiprocess import MultiProcessCollector

from k2workers.errors import ConfigError
from k2workers.metrics.http_answers import TEXT, HttpAnswer, in_json, verdict, words
from k2workers.metrics.metric_files import unchanged
from k2workers.metrics.shared_answer import SharedAnswer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PATIENCE_S = 10.0
"""A client that has not sent its request and read the answer after this long is let go, however busy it seems."""

MAX_CLIENTS = 50
"""At a time. Then the one that has been here longest without having asked, or without taking its answer, is let go, but no sooner than after
``GRACE_S``; if all of them wait for us, so does the new one, for ``PLACE_S``, and is refused."""

GRACE_S, PLACE_S = 0.1, 0.5

PACE_S = 0.002
"""One client is taken in so long: parsing requests alone could use a whole core, and the lock that the loop needs."""

BACKLOG = 1_024
"""Clients that wait in the kernel to be taken. With a short queue it loses them at random, and who asks once a second would hardly get in."""

LOOP_PATIENCE_S = 2.0
"""A loop that is not there to answer for this long is trouble of its own: 503."""

STOP_POLL_S = 0.1
"""How often the accepting thread looks whether it is to stop."""

METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"

REFUSED = (
    b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n503: too many clients\n"
)

NO_METRICS = b"503: no metrics: their files cannot be written or read; the log says why (metrics_not_kept)"

BOOK_PAGE = "/book/"

ANSWERED = "k2workers.answered"
"""Of a request's environment: call it when the answer is made."""

T = TypeVar("T")


def render(only_here: CollectorRegistry | None = None) -> bytes:
    """The metrics of all processes in Prometheus' text format, with those of this one if no file can hold them; empty if there are none."""
    registry, text = CollectorRegistry(), b""
    with unchanged() as directory, contextlib.suppress(OSError, RuntimeError):  # a cleaner is at work
        directory.mkdir(parents=True, exist_ok=True)
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types here
        text = generate_latest(registry)
    return text + (generate_latest(only_here) if only_here is not None else b"")


class MetricsServer:
    """The endpoint. ``get_status`` gives what /status shows; the next two give the reasons for saying no; ``only_here`` the metrics that no file holds.

    These three are called on the thread of the loop in which ``start`` was called, ``book``, with what follows ``/book/``, the query and what the client has, on any.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        get_status: Callable[[], dict[str, Any]],
        unhealthy: Callable[[], list[str]],
        unready: Callable[[], list[str]],
        only_here: Callable[[], CollectorRegistry | None] = lambda: None,
        book: Callable[[str, str, str], HttpAnswer] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._answers: dict[str, Callable[[], HttpAnswer]] = {
            "/": lambda: HttpAnswer(HTTPStatus.OK, TEXT, "\n".join(list(self._answers)[1:]).encode() + b"\n"),
            "/metrics": SharedAnswer(self._metrics).get,
            "/healthz": SharedAnswer(lambda: verdict(self._ask(unhealthy))).get,
            "/readyz": SharedAnswer(lambda: verdict(self._ask(unready))).get,
            "/status": SharedAnswer(lambda: in_json(self._ask(get_status))).get,
        }
        self._only_here = only_here
        self._book = book
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """Where it is found."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen; ``port`` then holds the real one. Raises ConfigError if it is taken, or the host is none of this machine."""
        self._loop = asyncio.get_running_loop()
        try:
            self._server = _Server(self.host, self.port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    f"http_port = {self.port}: cannot listen on {self.url} ({error.strerror}); "
                    "choose a free port (--http-port, K2_HTTP_PORT) or 0 for any"
                ) from error
            raise ConfigError(
                f"http_host = {self.host!r}, http_port = {self.port}: cannot listen there ({error.strerror}); "
                "the host is a name or an address of this machine, an IPv6 one without brackets"
            ) from error
        self._server.set_app(self._respond)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(STOP_POLL_S,), name="http", daemon=True).start()

    async def stop(self) -> None:
        """Stop listening. Requests under way are not waited for."""
        if self._server is not None:
            await asyncio.to_thread(self._server.shutdown)
            self._server.server_close()

    def _metrics(self) -> HttpAnswer:
        text = render(self._only_here())
        return (
            HttpAnswer(HTTPStatus.OK, METRICS_TEXT, text)
            if text
            else HttpAnswer(HTTPStatus.SERVICE_UNAVAILABLE, TEXT, NO_METRICS)
        )

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method, make = environ["REQUEST_METHOD"], self._maker(environ)
        if make is None:
            answer = words(HTTPStatus.NOT_FOUND)
        elif method not in {"GET", "HEAD"}:
            answer = words(HTTPStatus.METHOD_NOT_ALLOWED, headers=(("Allow", "GET, HEAD"),))
        else:
            try:
                answer = make()
            except TimeoutError:
                answer = words(HTTPStatus.SERVICE_UNAVAILABLE)
        environ[ANSWERED]()
        body = b"" if answer.status is HTTPStatus.NOT_MODIFIED else answer.body
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(body))), *answer.headers]
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return [body] if method != "HEAD" else []

    def _maker(self, environ: WSGIEnvironment) -> Callable[[], HttpAnswer] | None:
        page, book = environ["PATH_INFO"], self._book
        if book is None or not page.startswith(BOOK_PAGE):
            return self._answers.get(page)
        # WSGI gives the bytes of a path as if each were a character.
        name = page.removeprefix(BOOK_PAGE).encode("latin-1").decode(errors="replace")
        return lambda: book(name, environ.get("QUERY_STRING", ""), environ.get("HTTP_IF_NONE_MATCH", ""))

    def _ask(self, question: Callable[[], T]) -> T:
        """What ``question`` answers on the loop's thread. Raises TimeoutError if the loop does not come to it."""

        async def answer() -> T:
            return question()

        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(answer(), self._loop)
        try:
            return future.result(LOOP_PATIENCE_S)
        finally:
            future.cancel()


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE_S
    server: _Server

    def parse_request(self) -> bool:
        """Whether it is a request; then the client waits for us."""
        understood = super().parse_request()
        if understood:
            self.server.asked(self.connection)
        return understood

    def get_environ(self) -> WSGIEnvironment:
        """What the request says, and who is to be told that it has an answer."""
        return {**super().get_environ(), ANSWERED: lambda: self.server.answered(self.connection)}

    def log_message(self, *_: object) -> None:
        """Log no line a request."""


class _Stay(NamedTuple):
    """Since when a client is where it is, and when it must have gone."""

    since_s: float
    until_s: float


class _Server(ThreadingWSGIServer):
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
        super().__init__(address, _Handler)  # type: ignore[arg-type]  # an address is longer with IPv6

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
        with self._changed:
            self._idle.pop(request, None)
            self._waiting.pop(request, None)
            self._changed.notify_all()
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
