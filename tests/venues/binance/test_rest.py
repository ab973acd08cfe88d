"""REST requests against servers that say, byte for byte, what a test wants them to."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from k2workers.errors import AddressRefused, ConfigError, VenueError, VenueRefused
from k2workers.venues.binance import rest
from k2workers.venues.binance.rest import ExchangeInfo, RestClient
from tests.support.waiting import WAIT_S, until

EMPTY = b'{"symbols": []}'


def answer(body: bytes = EMPTY, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Server:
    """Answers the requests of all its connections, in order, with ``answers``; None keeps silent."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self.answers = answers
        self.requests: list[str] = []
        self.connections = 0
        self.gone = asyncio.Event()
        self.ended = asyncio.Event()
        """A connection was closed from here."""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                reply = self.answers.pop(0)
                if reply is None:
                    await reader.read()
                    self.gone.set()
                else:
                    writer.write(reply)
                    await writer.drain()
        except (EOFError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.ended.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(*answers: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(list(answers))
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


async def ask(url: str, *, timeout_s: float = WAIT_S) -> ExchangeInfo:
    async with RestClient(url, timeout_s=timeout_s) as client:
        return await client.exchange_info()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_request_says_what_is_wanted_and_by_whom() -> None:
    async with (
        serving(answer(EMPTY, "X-MBX-USED-WEIGHT-1M: 27")) as server,
        RestClient(f"{server.url}/base/") as client,
    ):
        assert await client.exchange_info() == ExchangeInfo([])
        assert client.used_weight == 27
    first, *headers = server.requests[0].rstrip().split("\r\n")
    assert first == "GET /base/api/v3/exchangeInfo?showPermissionSets=false HTTP/1.1"
    assert {"X-MBX-TIME-UNIT: MICROSECOND", "User-Agent: k2workers", f"Host: 127.0.0.1:{server.port}"} <= set(headers)


@pytest.mark.parametrize(
    "reply",
    [
        answer(),
        answer(gzip.compress(EMPTY), "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\ne\r\n" + EMPTY[1:] + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(),
    ],
    ids=["length", "packed", "chunks", "interim"],
)
async def test_answers_of_every_framing_are_whole_and_keep_the_connection(reply: bytes) -> None:
    async with serving(reply, reply) as server, RestClient(server.url) as client:
        assert [await client.exchange_info() for _ in range(2)] == [ExchangeInfo([])] * 2
        assert server.connections == 1


async def test_a_kept_connection_that_has_ended_is_replaced_without_a_word() -> None:
    async with serving(answer()) as server, RestClient(server.url) as client:
        await client.exchange_info()
        server.answers.append(answer())
        await server.ended.wait()
        await client.exchange_info()
        assert server.connections == 2


@pytest.mark.parametrize(
    ("status", "wait_s"), [("429 Too Many Requests", 7.0), ("418 I'm a teapot", 7.0)], ids=["limit", "ban"]
)
async def test_a_venue_that_has_had_enough_says_for_how_long(status: str, wait_s: float) -> None:
    refusal = answer(b'{"code": -1003, "msg": "Too much"}', "Retry-After: 7", status=status)
    async with serving(refusal) as server:
        with pytest.raises(AddressRefused, match="-1003 Too much") as caught:
            await ask(server.url)
    assert (caught.value.status, caught.value.retry_after_s) == (int(status[:3]), wait_s)


async def test_a_refusal_and_an_error_of_the_venue_are_different() -> None:
    async with serving(answer(b"no such", status="404 Not Found"), answer(b"busy", status="503 Busy")) as server:
        with pytest.raises(VenueRefused, match="HTTP 404: no such"):
            await ask(server.url)
        with pytest.raises(VenueError, match="HTTP 503: busy") as caught:
            await ask(server.url)
        assert not isinstance(caught.value, VenueRefused)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"", "disconnected"),
        (b"SSH-2.0-x\r\n\r\n", "illegal"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "without sending complete"),
        (answer(b"abc"), "not understood"),
        (answer(b"<html>"), "not understood"),
        (answer(b'{"symbols": null}'), "not understood"),
        (answer(b"[]"), "not understood"),
        (answer(b"abc", "Content-Encoding: gzip"), "incorrect header"),
        (answer(gzip.compress(EMPTY)[:20], "Content-Encoding: gzip"), "not complete"),
        (answer(b" " * 2_000), "more than 1000 bytes"),
        (answer(gzip.compress(b" " * 5_000_000), "Content-Encoding: gzip"), "more than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n", "cannot be reached"),
    ],
    ids=[
        "nothing", "not http", "no length", "cut", "not json", "a page", "no list", "no object", "not packed", "packed and cut", "too much",
        "too much unpacked", "endless headers",
    ],
)  # fmt: skip
async def test_anything_else_is_worth_another_try(reply: bytes, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MAX_REPLY_BYTES", 1_000)
    async with serving(reply) as server:
        with pytest.raises(VenueError, match=words):
            await ask(server.url)


async def test_an_address_where_nobody_listens_is_told_with_the_reason() -> None:
    with pytest.raises(VenueError, match=r"Connect call failed|refused"):
        await ask("http://127.0.0.1:1")


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_silent_venue_costs_the_time_limit_and_no_connection(run: Callable[..., object]) -> None:
    async def main() -> None:
        async with serving(None, answer()) as server, RestClient(server.url, timeout_s=1.0) as client:
            with pytest.raises(VenueError, match=r"was silent for 1 s"):
                await client.exchange_info()
            await asyncio.wait_for(server.gone.wait(), WAIT_S)
            assert await client.exchange_info() == ExchangeInfo([])

    run(main())


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time is put forward by the test."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s

    async def put_forward(self, seconds: float) -> None:
        """Once everybody has read what was sent."""
        for _ in range(100):
            await asyncio.sleep(0)
        self.ahead_s += seconds


LIMIT_S = 20.0


def ask_slowly(whole: bytes, pieces: int, gap_s: float, ask: Callable[[RestClient], Awaitable[object]]) -> object:
    """What a client makes of an answer in so many pieces, ``gap_s`` apart, after which the venue is silent for good."""
    size = -(-len(whole) // pieces)

    async def main() -> object:
        clock = asyncio.get_running_loop()
        assert isinstance(clock, Clock)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            with contextlib.suppress(ConnectionError):  # the client may leave at any time
                for begin in range(0, len(whole), size):
                    await clock.put_forward(gap_s)
                    writer.write(whole[begin : begin + size])
                    await writer.drain()
                await clock.put_forward(1.1 * LIMIT_S)
                await reader.read()
            writer.close()
            left.set()

        left = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with RestClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=LIMIT_S) as client:
            try:
                answer: object = await ask(client)
            except VenueError as error:
                answer = str(error)
        await left.wait()
        server.close()
        await server.wait_closed()
        return answer

    with asyncio.Runner(loop_factory=Clock) as runner:
        return runner.run(main())


THIN = answer(b'{"symbols": []}' + b" " * 2_000)


def test_a_thin_link_may_take_its_time_as_long_as_something_comes() -> None:
    assert ask_slowly(THIN, 40, 0.6 * LIMIT_S, RestClient.exchange_info) == ExchangeInfo([])


def test_an_answer_that_stops_in_the_middle_is_given_up() -> None:
    cut = THIN[: len(THIN) // 2]
    assert "was silent for 20 s" in str(ask_slowly(cut, 5, 0.6 * LIMIT_S, RestClient.exchange_info))


@pytest.mark.parametrize(
    ("ask", "limit_s"),
    [(lambda rest: rest.trades("A", 1), 60), (lambda rest: rest.depth("A", 100), 60), (RestClient.exchange_info, 600)],
    ids=["rows", "book", "list"],
)
def test_an_answer_that_trickles_for_ever_is_given_up(
    ask: Callable[[RestClient], Awaitable[object]], limit_s: int
) -> None:
    assert f"took more than {limit_s} s" in str(ask_slowly(answer(b"[" + b" " * 2_000), 100, 0.4 * LIMIT_S, ask))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_request_can_be_cancelled_and_leaves_nothing_open(run: Callable[..., object]) -> None:
    async def main() -> None:
        async with serving(*[None] * 20) as server, RestClient(server.url) as client:
            asking = [asyncio.ensure_future(client.exchange_info()) for _ in range(20)]
            await until(lambda: len(server.requests) >= 10)  # the others wait for a connection
            for each in asking:
                each.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            assert all(each.cancelled() for each in asking)
            await asyncio.wait_for(server.gone.wait(), WAIT_S)
            server.answers[:] = [answer()]
            assert await client.exchange_info() == ExchangeInfo([])

    run(main())


# ── proxies (more of them, and TLS: tests/feed/test_dialing.py, tests/network/test_tls.py) ──────────────────────────


async def test_a_proxy_of_the_environment_is_asked_for_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer()) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        await ask("http://venue.example/base")
    assert proxy.requests[0].startswith("GET http://venue.example/base/api/v3/exchangeInfo?")
    assert "Host: venue.example\r\n" in proxy.requests[0]
    assert "Proxy-Authorization: Basic bWU6cEBzcw==" in proxy.requests[0]


async def test_a_proxy_that_is_none_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks4://127.0.0.1:1")
    with pytest.raises(ConfigError, match="http_proxy in the environment"):
        RestClient("http://venue.example")


async def test_a_proxy_that_refuses_the_tunnel_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(VenueError, match="407"):
            await ask("https://venue.example")


@pytest.mark.parametrize(("told", "used"), [("", 0), ("much", 0), ("12.5", 0), ("-3", 0), ("9" * 30, 0), (" 17 ", 17)])
async def test_a_weight_that_is_none_does_not_cost_the_answer(told: str, used: int) -> None:
    async with serving(answer(EMPTY, f"X-MBX-USED-WEIGHT-1M: {told}")) as server, RestClient(server.url) as client:
        assert await client.exchange_info() == ExchangeInfo([])
        assert client.used_weight == used


@pytest.mark.parametrize("shown", ["1700000000123", "1700000000123000"])
async def test_the_venues_clock_is_read_in_whichever_unit_it_is_told(shown: str) -> None:
    async with serving(answer(b'{"serverTime": %b}' % shown.encode())) as server, RestClient(server.url) as client:
        assert await client.clock_ns() == 1_700_000_000_123_000_000
        assert server.requests[0].startswith("GET /api/v3/time HTTP")


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"serverTime": "now"}', b'{"serverTime": -1}', b'{"serverTime": 7}'])
async def test_a_clock_that_shows_no_time_is_the_venues_error(body: bytes) -> None:
    async with serving(answer(body)) as server, RestClient(server.url) as client:
        with pytest.raises(VenueError, match="answered what is not understood"):
            await client.clock_ns()
