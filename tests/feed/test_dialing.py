"""A venue's name with a dead address before a living one, and the proxies of the environment: for WebSocket and REST alike."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from k2workers.errors import VenueError
from k2workers.feed.gathering import Gathering
from k2workers.feed.line import Line
from k2workers.feed.message_rate import MessageRate
from k2workers.network.proxies import VARIABLES
from k2workers.network.tls import client_context
from k2workers.venues.binance.rest import RestClient
from tests.support import names
from tests.support.proxy import ForwardProxy
from tests.support.venue import Venue

LOOPS = ["asyncio", "uvloop"]
HOST = "venue.example"
CREDENTIALS = "me:p%40ss%3A%2Fw%25rd"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {*VARIABLES.values(), "all_proxy", "no_proxy"}:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def reach(ws_url: str, rest_url: str, ca_bundle: str = "", timeout_s: float = 60.0) -> None:
    """One line, and one request, as a worker makes them."""
    context = client_context(ca_bundle) if ca_bundle else None
    closed = asyncio.Event()
    line = Line(1, f"{ws_url}/stream", lambda *_: None, lambda *_: closed.set(), Gathering(0), MessageRate(3))
    await line.open(ssl_context=context, timeout_s=timeout_s, close_timeout_s=1)
    async with RestClient(rest_url, context, timeout_s=timeout_s) as rest:
        assert [row.symbol for row in (await rest.exchange_info()).symbols] == ["AAAUSDT", "BBBUSDT"]
    await line.close(1000, "done")
    await asyncio.wait_for(closed.wait(), 60)


class Certificates:
    """A CA, a server's context for our name, and the CA's PEM file."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(HOST, "proxy.example").configure_cert(self.server)
        self.bundle = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.bundle)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def venue(certificates: Certificates) -> Iterator[Venue]:
    with Venue(tls=certificates.server) as running:
        yield running


# ── names with several addresses ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "address", ["127.0.0.2", pytest.param("::1", marks=pytest.mark.skipif(not names.has_ipv6(), reason="no IPv6"))]
)
def test_a_dead_address_before_a_living_one_is_passed_over(
    loop: str, address: str, venue: Venue, certificates: Certificates
) -> None:
    here = f"{HOST}:{venue.port}"
    with names.dead(address, venue.port):
        work = reach(f"wss://{here}", f"https://{here}", certificates.bundle)
        names.run(loop, {HOST: [address, "127.0.0.1"]}, work)
    assert len(venue.handshakes) == 1


@pytest.mark.parametrize("loop", LOOPS)
def test_a_proxy_whose_first_address_is_dead_is_reached_too(
    loop: str, venue: Venue, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardProxy("http", {HOST: venue.port}) as proxy, names.dead("127.0.0.2", proxy.port):
        monkeypatch.setenv("https_proxy", f"http://{CREDENTIALS}@proxy.example:{proxy.port}")
        work = reach(f"wss://{HOST}:9443", f"https://{HOST}", certificates.bundle)
        names.run(loop, {"proxy.example": ["127.0.0.2", "127.0.0.1"]}, work)
    assert proxy.asked == [f"{HOST}:9443", f"{HOST}:443"]


@pytest.mark.parametrize("loop", LOOPS)
def test_when_no_address_answers_both_say_why(loop: str) -> None:
    async def attempt() -> list[str]:
        return [
            await failure_of(f"{scheme}://{host}:1", 60)
            for failure_of, scheme in ((_failure_of_line, "ws"), (_failure_of_rest, "http"))
            for host in (HOST, "127.0.0.1")
        ]

    words = names.run(loop, {HOST: ["127.0.0.2", "127.0.0.1"]}, attempt())
    assert all("Connect call failed" in each or "refused" in each for each in words), words


# ── proxies ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("variable", "kind"),
    [("HTTPS_PROXY", "http"), ("ALL_PROXY", "http"), ("ALL_PROXY", "https"), ("ALL_PROXY", "socks5")],
)
def test_both_go_through_the_proxy_of_the_environment(
    variable: str, kind: str, loop: str, venue: Venue, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificates.server if kind == "https" else None
    with ForwardProxy(kind, {HOST: venue.port}, tls=tls) as proxy:
        monkeypatch.setenv(variable, f"{kind}://{CREDENTIALS}@proxy.example:{proxy.port}")
        # The venue's name is known to the proxy alone.
        work = reach(f"wss://{HOST}:9443", f"https://{HOST}", certificates.bundle)
        names.run(loop, {"proxy.example": ["127.0.0.1"], HOST: ["192.0.2.1"]}, work)
    assert proxy.asked == [f"{HOST}:9443", f"{HOST}:443"]
    assert proxy.refused == 0


def test_without_tls_it_is_http_proxy_for_both_and_not_https_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Venue() as venue, ForwardProxy("http", {HOST: venue.port}) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{CREDENTIALS}@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
        names.run("uvloop", {}, reach(f"ws://{HOST}:9443", f"http://{HOST}"))
    assert proxy.asked == [f"{HOST}:9443", f"{HOST}:80"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_what_a_proxy_refuses_is_told_without_credentials(
    kind: str, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def attempt() -> None:
        for words in (await _failure_of_line(f"wss://{HOST}"), await _failure_of_rest(f"https://{HOST}")):
            assert HOST in words
            assert "secret" not in words

    with ForwardProxy(kind, {}) as proxy:
        monkeypatch.setenv("all_proxy", f"{kind}://me:secret@127.0.0.1:{proxy.port}")
        names.run(loop, {}, attempt())
    assert proxy.refused == 2


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\x00", None])
def test_a_socks_proxy_that_speaks_something_else_or_nothing_is_given_up_and_left(
    says: bytes | None, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def attempt() -> None:
        left = asyncio.Semaphore(0)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if says is not None:
                await reader.read(100)
                writer.write(says)
                writer.write_eof()
            with contextlib.suppress(ConnectionError):
                while await reader.read(100):
                    pass
            writer.close()
            left.release()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        monkeypatch.setenv("all_proxy", f"socks5://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for failure_of, scheme in ((_failure_of_line, "ws"), (_failure_of_rest, "http")):
            await failure_of(f"{scheme}://{HOST}")
            # A connection that nobody closes would stay for as long as such a proxy does.
            await asyncio.wait_for(left.acquire(), 60)
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)

    names.run(loop, {}, attempt())


async def _failure_of_line(url: str, limit_s: float = 1.0) -> str:
    line = Line(1, url, lambda *_: None, lambda *_: None, Gathering(0), MessageRate(3))
    with pytest.raises(VenueError) as caught:
        await line.open(
            ssl_context=client_context("") if url.startswith("wss") else None, timeout_s=limit_s, close_timeout_s=1
        )
    return str(caught.value)


async def _failure_of_rest(url: str, limit_s: float = 1.0) -> str:
    async with RestClient(url, timeout_s=limit_s) as rest:
        with pytest.raises(VenueError) as caught:
            await rest.exchange_info()
    return str(caught.value)
