"""The HTTP endpoint, asked by a real client."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest

from k2workers.errors import ConfigError
from k2workers.metrics import exporter, http_server
from k2workers.metrics.__main__ import names, page
from k2workers.metrics.exporter import NO_METRICS, MetricsServer
from k2workers.metrics.flushing import Instruments
from k2workers.metrics.http_answers import HttpAnswer, HttpQuestion, in_json, words
from k2workers.metrics.instruments import WORKER
from tests.support.waiting import WAIT_S, wait_for


def status() -> dict[str, object]:
    """Fails where it must not be called."""
    asyncio.get_running_loop()
    return {"symbols": 3}


@asynccontextmanager
async def serving(
    host: str = "127.0.0.1", unready: tuple[str, ...] = ()
) -> AsyncIterator[tuple[MetricsServer, aiohttp.ClientSession]]:
    server = MetricsServer(host, 0, get_status=status, unhealthy=list, unready=lambda: list(unready))
    await server.start()
    async with aiohttp.ClientSession(server.url) as client:
        yield server, client
        await server.stop()
    await asyncio.to_thread(_wait_for_threads)


def _wait_for_threads() -> None:
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(WAIT_S)
            assert not thread.is_alive()


@contextmanager
def connected(server: MetricsServer, sends: bytes) -> Iterator[socket.socket]:
    """A client that sends this and then neither says nor reads anything."""
    with closing(socket.create_connection((server.host, server.port))) as client:
        client.sendall(sends)
        yield client


async def test_each_path_answers_what_it_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    async with serving(unready=("worker-1 has no live connection",)) as (_, client):
        async with client.get("/status?pretty=1") as reply:
            assert (reply.status, await reply.json()) == (200, {"symbols": 3})
        async with client.get("/healthz") as reply:
            assert (reply.status, await reply.json()) == (200, {"ok": True, "reasons": []})
        async with client.get("/readyz") as reply:
            assert reply.status == 503
            assert (await reply.json())["reasons"] == ["worker-1 has no live connection"]
        async with client.get("/metrics") as reply:
            assert (reply.status, await reply.text()) == (503, NO_METRICS.decode())
        Instruments({"k2_gaps": WORKER["k2_gaps"]}, environment="", component="").flush({"k2_gaps": {"trade": 3}})
        async with client.get("/metrics") as reply:
            assert reply.status == 200
            assert 'kind="trade"' in await reply.text()
            assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        async with client.get("/") as reply:
            assert (reply.status, (await reply.text()).split()) == (200, ["/metrics", "/healthz", "/readyz", "/status"])


async def test_below_book_is_what_the_page_of_books_answers_which_may_be_that_nothing_has_changed() -> None:
    def book(asked: HttpQuestion) -> HttpAnswer:
        if asked.known == "known":
            return words(HTTPStatus.NOT_MODIFIED, headers=(("ETag", "known"),))
        return in_json(asked[:3], headers=(("ETag", "new"),))

    server = MetricsServer("127.0.0.1", 0, get_status=status, unhealthy=list, unready=list, others={"/book/": book})
    await server.start()
    async with aiohttp.ClientSession(server.url) as client:
        async with client.get("/book/v/\u5e01?levels=3") as reply:
            assert (await reply.json(), reply.headers["ETag"]) == (["v/\u5e01", "levels=3", ""], "new")
        async with client.get("/book/v/X", headers={"If-None-Match": "known"}) as reply:
            assert (reply.status, await reply.read(), reply.headers["ETag"]) == (304, b"", "known")
        async with client.post("/book/v/X") as reply:
            assert reply.status == 405
        async with client.get("/book") as reply:
            assert reply.status == 404
        await server.stop()
    await asyncio.to_thread(_wait_for_threads)
    async with serving() as (_, other), other.get("/book/v/X") as reply:
        assert reply.status == 404, "no books are kept"


async def test_head_tells_the_length_only_and_all_else_is_refused() -> None:
    async with serving() as (_, client):
        async with client.head("/status") as reply:
            assert (reply.status, reply.headers["Content-Length"], await reply.read()) == (200, "14", b"")
        async with client.post("/status") as reply:
            assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")
        async with client.get("/other") as reply:
            assert reply.status == 404


@pytest.mark.parametrize("request_bytes", [b"\x16\x03\x01\x02\r\n\r\n", b"GET /status\r\n\r\n", b"X" * 200_000, b""])
async def test_what_is_no_request_is_let_go_and_the_next_client_served(
    request_bytes: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serving() as (server, client):
        with connected(server, request_bytes):
            async with client.get("/status") as reply:
                assert reply.status == 200
    assert capfd.readouterr().err == ""


async def test_a_head_that_grows_and_grows_is_refused_before_it_takes_much_memory(
    capfd: pytest.CaptureFixture[str],
) -> None:
    lines = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 50_000) for number in range(3))
    async with serving() as (server, client):
        with connected(server, b"GET /status HTTP/1.0\r\n" + lines) as growing:
            assert (await asyncio.to_thread(read_all, growing)).startswith(b"HTTP/1.0 431 ")
        async with client.get("/status", headers={"X-Long": "x" * 8_000}) as reply:
            assert reply.status == 200
    assert capfd.readouterr().err == ""


async def test_a_client_that_says_nothing_is_let_go_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server.HttpHandler, "timeout", 0.1)
    async with serving() as (server, _):
        with connected(server, b"GET /status HTTP/1.1\r\n") as silent:
            silent.settimeout(WAIT_S)
            assert await asyncio.to_thread(silent.recv, 1) == b""


async def test_stop_waits_for_no_client_and_lets_no_other_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as (server, _):
        with connected(server, b"GET /status HTTP/1.1\r\n"):
            monkeypatch.setattr(http_server.HttpHandler, "timeout", 10 * WAIT_S)  # for which it would wait
            await asyncio.wait_for(server.stop(), WAIT_S)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((server.host, server.port))


async def test_a_loop_that_does_not_answer_is_reported_as_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "LOOP_PATIENCE_S", 0.05)
    codes = []
    async with serving() as (server, client):

        def ask() -> None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=WAIT_S)
            except urllib.error.HTTPError as error:
                with error:
                    codes.append(error.code)

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(WAIT_S)  # on purpose in the loop's thread
        assert codes == [503]
        monkeypatch.setattr(exporter, "LOOP_PATIENCE_S", WAIT_S)
        async with client.get("/healthz") as reply:
            assert reply.status == 200


async def test_a_port_that_is_taken_is_named() -> None:
    async with serving() as (server, _):
        second = MetricsServer("127.0.0.1", server.port, get_status=dict, unhealthy=list, unready=list)
        with pytest.raises(ConfigError, match=f"http_port = {server.port}"):
            await second.start()


async def test_a_host_that_is_none_is_reported() -> None:
    for host in ("nowhere.invalid", "[::1]"):
        with pytest.raises(ConfigError, match=f"http_host = '{re.escape(host)}'.*without brackets"):
            await MetricsServer(host, 0, get_status=dict, unhealthy=list, unready=list).start()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "::"])
async def test_it_listens_on_ipv6_too_and_tells_an_address_that_can_be_asked(host: str) -> None:
    async with serving(host) as (server, client), client.get("/healthz") as reply:
        assert reply.status == 200
        assert server.url == f"http://[{host}]:{server.port}"
        # The unspecified IPv6 address takes IPv4 too.
        with closing(socket.create_connection(("127.0.0.1" if host == "::" else host, server.port))):
            pass


async def test_a_client_that_sends_a_little_again_and_again_is_let_go_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "PATIENCE_S", 0.5)

    def drip(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client.sendall(b"X-Slow: 1\r\n")
                if ended.wait(0.05):
                    return

    ended = threading.Event()
    async with serving() as (server, _):
        with connected(server, b"GET /status HTTP/1.0\r\n") as client:
            dripping = asyncio.create_task(asyncio.to_thread(drip, client))
            done, _ = await asyncio.wait({dripping}, timeout=WAIT_S)
            ended.set()
            assert done, "a client that is not quiet kept its thread"
            await dripping


async def test_of_too_many_clients_the_oldest_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MAX_CLIENTS", 3)
    async with serving() as (server, client):
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(connected(server, b"GET")) for _ in range(3)]
            async with client.get("/status") as reply:
                assert reply.status == 200
            silent[0].settimeout(WAIT_S)
            assert await asyncio.to_thread(silent[0].recv, 1) == b""


ASKING = b"GET /status HTTP/1.0\r\n\r\n"


def read_all(client: socket.socket) -> bytes:
    client.settimeout(WAIT_S)
    return b"".join(iter(lambda: client.recv(65_536), b""))


async def test_however_many_ask_at_once_all_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "GRACE_S", WAIT_S)
    monkeypatch.setattr(http_server, "PLACE_S", WAIT_S)
    async with serving() as (server, _):
        with contextlib.ExitStack() as stack:
            # On purpose in the loop's thread: nobody is answered before the last has come.
            clients = [stack.enter_context(connected(server, ASKING)) for _ in range(2 * http_server.MAX_CLIENTS)]
            answers = await asyncio.gather(*(asyncio.to_thread(read_all, client) for client in clients))
            assert [answer[:12] for answer in answers] == [b"HTTP/1.0 200"] * len(clients)


async def test_of_too_many_who_wait_for_an_answer_the_next_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MAX_CLIENTS", 2)
    monkeypatch.setattr(http_server, "PLACE_S", 0.05)
    monkeypatch.setattr(exporter, "LOOP_PATIENCE_S", WAIT_S)
    async with serving() as (server, _):
        with connected(server, ASKING) as first, connected(server, ASKING) as second:
            # On purpose in the loop's thread: nobody is answered meanwhile.
            inner = server._server
            assert inner is not None
            wait_for("both to wait", lambda: len(inner._waiting) == 2)
            with connected(server, ASKING) as third:
                assert read_all(third) == http_server.REFUSED
            for client in (first, second):
                assert (await asyncio.to_thread(read_all, client)).startswith(b"HTTP/1.0 200")


PACKAGE = Path(exporter.__file__).parents[1]


def test_the_page_of_all_metrics_is_what_the_table_says() -> None:
    assert (PACKAGE / "metrics" / "README.md").read_text(encoding="utf-8") == page(), "python -m k2workers.metrics"


def test_every_metric_that_operators_are_told_to_watch_exists() -> None:
    rows = re.findall(r"^\| (`k2_[^|]*) \|", (PACKAGE / "HEALTH.md").read_text(encoding="utf-8"), re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`(\S+)`", row)]
    assert len(told) > 50
    assert set(told) <= set(names())


async def test_a_browser_gets_the_page_and_others_the_paths() -> None:
    def page(asked: HttpQuestion) -> HttpAnswer:
        return HttpAnswer(HTTPStatus.OK, "text/html", asked.name.encode() or b"<page>")

    others = {"/": page, "/page/": page}
    server = MetricsServer("127.0.0.1", 0, get_status=status, unhealthy=list, unready=list, others=others)
    await server.start()
    html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with aiohttp.ClientSession(server.url) as client:
        async with client.get("/", headers=html) as reply:
            assert await reply.read() == b"<page>"
        async with client.get("/") as reply:
            assert (await reply.text()).split() == ["/metrics", "/healthz", "/readyz", "/status", "/page/"]
            assert reply.headers["Vary"] == "Accept"
        async with client.get("/page/a.js") as reply:
            assert await reply.read() == b"a.js"
        for path in ("/page", "/pages/a.js", "/page/a.js/"):
            async with client.get(path, headers=html) as reply:
                assert reply.status == (200 if path == "/page/a.js/" else 404), path
        await server.stop()
    await asyncio.to_thread(_wait_for_threads)


async def test_the_page_is_not_there_where_nobody_gave_one() -> None:
    async with serving() as (_, client), client.get("/", headers={"Accept": "text/html"}) as reply:
        assert (reply.status, (await reply.text()).split()[0]) == (200, "/metrics")
