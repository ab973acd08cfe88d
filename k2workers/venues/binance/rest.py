"""Owns Binance spot's REST requests: what is asked, how answers and refusals are read. Keeps no schedule of its own."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import httpcore
import msgspec

from k2workers import tls
from k2workers.errors import RateLimited, VenueError, VenueRefused
from k2workers.events import Level
from k2workers.proxies import proxy_for
from k2workers.venues.binance.symbols import SymbolInfo

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""exchangeInfo is about 15 MB; more than this is no answer of the venue."""

IDLE_LIMIT_S = 15.0
"""A connection that was idle for longer is not used again: the venue, or something between, may have forgotten it."""

USED_WEIGHT_HEADER = "x-mbx-used-weight-1m"


def _socks_errors() -> tuple[type[Exception], ...]:
    """What httpcore lets through from a proxy that speaks no SOCKS; the package is there only with the extra."""
    try:
        from socksio.exceptions import SOCKSError
    except ImportError:
        return ()
    return (SOCKSError,)


UNREACHABLE: tuple[type[BaseException], ...] = (
    httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol,
    OSError, ValueError, zlib.error, *_socks_errors(),
)  # fmt: skip
"""What there is instead of an answer; all of it worth another try."""

Reply = TypeVar("Reply")


class ExchangeInfo(msgspec.Struct, frozen=True):
    """GET /api/v3/exchangeInfo, as far as it is used."""

    symbols: list[SymbolInfo]


class TradeRow(msgspec.Struct, frozen=True):
    """One row of trades and historicalTrades; time in µs."""

    id: int
    price: str
    qty: str
    time: int
    isBuyerMaker: bool  # noqa: N815 - the venue's own name


class AggTradeRow(msgspec.Struct, frozen=True):
    """One row of aggTrades; time in µs. ``f`` -1 marks an aggregate that the venue has invalidated."""

    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741 - the venue's own name
    T: int
    m: bool


class KlineRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of klines; times in µs. It has neither trade ids nor a closed flag."""

    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_time: int
    quote_volume: str
    trade_count: int
    taker_buy_volume: str
    taker_buy_quote_volume: str


class DepthReply(msgspec.Struct, frozen=True):
    """GET /api/v3/depth."""

    lastUpdateId: int  # noqa: N815
    bids: list[Level]
    asks: list[Level]


class _Refusal(msgspec.Struct):
    code: int = 0
    msg: str = ""


class Rest:
    """A REST client; use it as ``async with``. ``timeout_s`` is how long a request may stand still: a big answer on a thin link
    takes its time. Proxies come from the environment; ConfigError for one that is none."""

    def __init__(self, base_url: str, ssl_context: ssl.SSLContext | None = None, timeout_s: float = 10.0) -> None:
        self.used_weight = 0
        """Weight used in the venue's current minute by this IP, as the last answer told."""
        self._base = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._headers: dict[bytes | str, bytes | str] = {
            "Host": urlsplit(base_url).netloc,  # httpcore's own forgets the brackets of an IPv6 address
            "User-Agent": "k2workers",
            "Accept-Encoding": "gzip",
            "X-MBX-TIME-UNIT": "MICROSECOND",
        }
        proxy = _proxy(base_url, ssl_context)
        self._pool = httpcore.AsyncConnectionPool(ssl_context, proxy=proxy, keepalive_expiry=IDLE_LIMIT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.aclose()

    async def exchange_info(self) -> ExchangeInfo:
        """All symbols and their status; weight 20. ``showPermissionSets=false`` makes the answer much smaller."""
        return await self._get("exchangeInfo", {"showPermissionSets": "false"}, ExchangeInfo)

    async def trades(self, symbol: str, limit: int) -> list[TradeRow]:
        """The newest trades, from memory: no delay; weight 25."""
        return await self._get("trades", {"symbol": symbol, "limit": str(limit)}, list[TradeRow])

    async def historical_trades(self, symbol: str, from_id: int, limit: int) -> list[TradeRow]:
        """Trades from this id on, from the database, which may lag behind the stream; weight 25."""
        params = {"symbol": symbol, "fromId": str(from_id), "limit": str(limit)}
        return await self._get("historicalTrades", params, list[TradeRow])

    async def agg_trades(self, symbol: str, from_id: int, limit: int) -> list[AggTradeRow]:
        """Aggregate trades from this id on, from the database; weight 4."""
        params = {"symbol": symbol, "fromId": str(from_id), "limit": str(limit)}
        return await self._get("aggTrades", params, list[AggTradeRow])

    async def klines(
        self, symbol: str, interval: str, *, start_us: int, end_us: int, limit: int, utc8: bool = False
    ) -> list[KlineRow]:
        """Bars that open between these times, inclusive; weight 2."""
        params = {
            "symbol": symbol, "interval": interval, "startTime": str(start_us), "endTime": str(end_us),
            "limit": str(limit), "timeZone": "8" if utc8 else "0",
        }  # fmt: skip
        return await self._get("klines", params, list[KlineRow])

    async def depth(self, symbol: str, limit: int) -> DepthReply:
        """The book; weight 5, 25, 50 or 250 up to limit 100, 500, 1000 or 5000."""
        return await self._get("depth", {"symbol": symbol, "limit": str(limit)}, DepthReply)

    async def _get(self, path: str, params: dict[str, str], shape: type[Reply]) -> Reply:
        url = f"{self._base}/api/v3/{path}"
        try:
            async with (
                asyncio.timeout(self._timeout_s) as limit,
                _Progress(limit, self._timeout_s) as progress,
                self._pool.stream(
                    "GET", f"{url}?{urlencode(params)}", headers=self._headers, extensions={"trace": progress}
                ) as response,
            ):
                status = response.status
                headers = {name.lower().decode(): value.decode("latin-1") for name, value in response.headers}
                body = await _body(response, headers, progress)
            self.used_weight = int(headers.get(USED_WEIGHT_HEADER, "0") or 0)
        except TimeoutError:
            raise VenueError(f"{url} was silent for {self._timeout_s:g} s") from None
        except UNREACHABLE as error:
            raise VenueError(f"{url} cannot be reached: {tls.reason(error)}") from error
        if status != 200:
            raise _refused(url, status, body, headers.get("retry-after", ""))
        try:
            return msgspec.json.decode(body, type=shape)
        except (msgspec.MsgspecError, ValueError) as error:
            raise VenueError(f"{url} answered what is not understood: {error}") from None


class _Progress:
    """Gives a request its time anew at each step, which httpcore's trace tells (connected, TLS agreed, sent …), and each read.

    It covers also what httpcore leaves out: with a SOCKS proxy it neither limits the time nor closes a connection that failed.
    """

    def __init__(self, limit: asyncio.Timeout, timeout_s: float) -> None:
        self._limit = limit
        self._timeout_s = timeout_s
        self._made: httpcore.AsyncNetworkStream | None = None
        """The connection that this request had to make."""

    async def __call__(self, step: str, about: Mapping[str, Any]) -> None:
        if step.endswith(".connect_tcp.complete"):
            self._made = about["return_value"]
        self.read()

    def read(self) -> None:
        """Something has come."""
        if not self._limit.expired():  # then what comes is the end of the connection
            self._limit.reschedule(asyncio.get_running_loop().time() + self._timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._made is not None:
            await self._made.aclose()


def _proxy(url: str, ssl_context: ssl.SSLContext | None) -> httpcore.Proxy | None:
    proxy = proxy_for(url)
    if proxy is None:
        return None
    auth = (proxy.name.encode(), proxy.password.encode()) if proxy.name else None
    return httpcore.Proxy(proxy.address, auth=auth, ssl_context=ssl_context if proxy.scheme == "https" else None)


async def _body(response: httpcore.Response, headers: Mapping[str, str], progress: _Progress) -> bytes:
    """The whole body, unpacked. Raises ValueError for one that is too large or not complete."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if headers.get("content-encoding") == "gzip" else None
    body = bytearray()
    async for piece in response.aiter_stream():
        progress.read()
        # One byte more than allowed is enough to know: a small answer must not unpack into all of the memory.
        body += piece if unpack is None else unpack.decompress(piece, MAX_REPLY_BYTES + 1 - len(body))
        if len(body) > MAX_REPLY_BYTES:
            raise ValueError(f"more than {MAX_REPLY_BYTES} bytes")
    if unpack is not None and not unpack.eof:
        raise ValueError("the packed answer is not complete")
    return bytes(body)


def _refused(url: str, status: int, body: bytes, retry_after: str) -> VenueError:
    """The error for an HTTP status: 429 and 418 say when to come back; other 4xx will not change by repeating."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
        words = f"{refusal.code} {refusal.msg}"
    except (msgspec.MsgspecError, ValueError):
        words = body[:200].decode(errors="replace")
    message = f"{url} answered HTTP {status}: {words}"
    if status in (429, 418):
        wait_s = float(retry_after) if retry_after.isdigit() else 60.0
        return RateLimited(message, retry_after_s=wait_s, banned=status == 418)
    return VenueRefused(message) if 400 <= status < 500 else VenueError(message)
