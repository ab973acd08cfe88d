"""Owns the one HTTP endpoint: /metrics of all processes, /healthz, /readyz, /status, and the paths that it is given. Knows no process by itself.

It is served by the standard library from threads of its own, so the loop that gives grants is asked for what only it knows, and
neither renders metrics nor waits for a slow client. However many ask, an answer is made once at a time, for all of them together
(``shared_answer``), and clients are taken no faster than ``http_server`` allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from k2workers.errors import ConfigError
from k2workers.metrics.http_answers import TEXT, HttpAnswer, HttpQuestion, HttpStream, Parts, in_json, verdict, words
from k2workers.metrics.http_server import CLIENT, HttpClient, HttpServer
from k2workers.metrics.metric_files import unchanged
from k2workers.metrics.shared_answer import SharedAnswer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

LOOP_PATIENCE_S = 2.0
"""A loop that is not there to answer for this long is trouble of its own: 503."""

STOP_POLL_S = 0.1
"""How often the accepting thread looks whether it is to stop."""

METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"

NO_METRICS = b"503: no metrics: their files cannot be written or read; the log says why (metrics_not_kept)"

HTML = "text/html"

T = TypeVar("T")
Maker = Callable[[HttpQuestion], HttpAnswer | HttpStream]


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

    These are called on the thread of the loop in which ``start`` was called. ``others`` answer at paths of their own, and below those that end in ``/``,
    on any thread: ``ask`` is for what only the loop knows. The one of ``/`` answers browsers; others are told the paths.
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
        others: Mapping[str, Maker] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._answers: dict[str, Maker] = {
            "/metrics": alike(self._metrics),
            "/healthz": alike(lambda: verdict(self.ask(unhealthy))),
            "/readyz": alike(lambda: verdict(self.ask(unready))),
            "/status": alike(lambda: in_json(self.ask(get_status))),
            **(others or {}),
        }
        self._only_here = only_here
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where it is found."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen; ``port`` then holds the real one. Raises ConfigError if it is taken, or the host is none of this machine."""
        self._loop = asyncio.get_running_loop()
        try:
            self._server = HttpServer(self.host, self.port)
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

    def ask(self, question: Callable[[], T]) -> T:
        """What ``question`` answers on the loop's thread. Raises TimeoutError if the loop does not come to it."""

        async def answer() -> T:
            return question()

        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(answer(), self._loop)
        try:
            return future.result(LOOP_PATIENCE_S)
        finally:
            future.cancel()

    def _metrics(self) -> HttpAnswer:
        text = render(self._only_here())
        return (
            HttpAnswer(HTTPStatus.OK, METRICS_TEXT, text)
            if text
            else HttpAnswer(HTTPStatus.SERVICE_UNAVAILABLE, TEXT, NO_METRICS)
        )

    def _tell_paths(self, _asked: HttpQuestion) -> HttpAnswer:
        paths = "".join(f"{path}\n" for path in self._answers if path != "/")
        return HttpAnswer(HTTPStatus.OK, TEXT, paths.encode(), (("Vary", "Accept"),))

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method, client = environ["REQUEST_METHOD"], environ[CLIENT]
        answer = self._answer(method, environ)
        if isinstance(answer, HttpStream):
            start_response(
                "200 OK", [("Content-Type", answer.content_type), ("Cache-Control", "no-store"), *answer.headers]
            )
            if method == "HEAD":
                answer.parts.close()
                return []
            return _sent(answer.parts, client)
        client.answered()
        body = b"" if answer.status is HTTPStatus.NOT_MODIFIED else answer.body
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(body))), *answer.headers]
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return [body] if method != "HEAD" else []

    def _answer(self, method: str, environ: WSGIEnvironment) -> HttpAnswer | HttpStream:
        path, accepts = environ["PATH_INFO"], environ.get("HTTP_ACCEPT", "")
        below = path[: path.find("/", 1) + 1] or "/"
        maker = self._answers.get(path) or (self._answers.get(below) if below != "/" else None)
        if path == "/" and (maker is None or HTML not in accepts):
            maker = self._tell_paths
        if maker is None:
            return words(HTTPStatus.NOT_FOUND)
        if method not in {"GET", "HEAD"}:
            return words(HTTPStatus.METHOD_NOT_ALLOWED, headers=(("Allow", "GET, HEAD"),))
        # WSGI gives the bytes of a path as if each were a character.
        name = path.removeprefix(below).encode("latin-1").decode(errors="replace")
        try:
            return maker(
                HttpQuestion(name, environ.get("QUERY_STRING", ""), environ.get("HTTP_IF_NONE_MATCH", ""), accepts)
            )
        except TimeoutError:
            return words(HTTPStatus.SERVICE_UNAVAILABLE)


def alike(make: Callable[[], HttpAnswer]) -> Maker:
    """The same for all who ask at a time, whatever they say."""
    shared = SharedAnswer(make)
    return lambda _asked: shared.get()


def _sent(parts: Parts, client: HttpClient) -> Iterator[bytes]:
    with contextlib.closing(parts):
        client.stays()
        for part in parts:
            client.is_sent()
            yield part
            client.stays()
