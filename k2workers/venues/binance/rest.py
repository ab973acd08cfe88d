"""Owns Binance spot's REST requests: what is asked, how answers and refusals are read. Keeps no schedule of its own."""

from __future__ import annotations

import asyncio
import ssl
import time
import urllib.request
import zlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import unquote_to_bytes, urlencode, urlsplit

import httpcore
import msgspec

from k2workers.errors import ConfigError, VenueError
from k2workers.events import Level
from k2workers.venues.binance import refusals
from k2workers.venues.binance.symbols import SymbolInfo

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""exchangeInfo is about 15 MB; more than this is no answer of the venue."""

IDLE_LIMIT_S = 15.0
"""A connection that was idle for longer is not used again: the venue, or something between, may have forgotten it."""

USED_WEIGHT_HEADER = "x-mbx-used-weight-1m"

UNREACHABLE = (
    httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol,
    OSError, ValueError, zlib.error,
    ImportError,  # a SOCKS proxy in the environment without its optional package; the words say so
)  # fmt: skip
"""What there is instead of an answer; all of it worth another try."""

PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")

Reply = TypeVar("Reply")


class ExchangeInfo(msgspec.Struct, frozen=True):
    """GET /api/v3/exchangeInfo, as far as it is used."""

    symbols: list[SymbolInfo]
    rateLimits: Any = ()  # noqa: N815 - the venue's own name; read by ``limits``


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


class Rest:
    """A REST client; use it as ``async with``. Proxies come from the environment; ConfigError for one that is none."""

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
        self._pool = httpcore.AsyncConnectionPool(ssl_context, proxy=_proxy(base_url), keepalive_expiry=IDLE_LIMIT_S)

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
                asyncio.timeout(self._timeout_s),
                self._pool.stream("GET", f"{url}?{urlencode(params)}", headers=self._headers) as response,
            ):
                status = response.status
                headers = {name.lower().decode(): value.decode("latin-1") for name, value in response.headers}
                body = await _body(response, headers)
            self.used_weight = int(headers.get(USED_WEIGHT_HEADER, "0") or 0)
        except TimeoutError:
            raise VenueError(f"{url} did not answer in {self._timeout_s:g} s") from None
        except UNREACHABLE as error:
            raise VenueError(f"{url} cannot be reached: {_reason(error)}") from error
        if status != 200:
            raise refusals.read(url, status, headers.get("retry-after", ""), body, time.time())
        try:
            return msgspec.json.decode(body, type=shape)
        except (msgspec.MsgspecError, ValueError) as error:
            raise VenueError(f"{url} answered what is not understood: {error}") from None


def _proxy(url: str) -> httpcore.Proxy | None:
    """The environment's proxy for this address. Raises ConfigError for one that is none."""
    target = urlsplit(url)
    proxy = urllib.request.getproxies().get(target.scheme)
    if not proxy or urllib.request.proxy_bypass(target.netloc.rpartition("@")[2]):
        return None
    try:
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if address.scheme not in PROXY_SCHEMES or not address.hostname:
            raise ValueError(f"allowed: {' or '.join(f'{scheme}://HOST:PORT' for scheme in PROXY_SCHEMES)}")
        name, password = unquote_to_bytes(address.username or ""), unquote_to_bytes(address.password or "")
        return httpcore.Proxy(address.geturl(), auth=(name, password) if name else None)
    except ValueError as error:
        raise ConfigError(f"{target.scheme}_proxy in the environment: {error}") from None


async def _body(response: httpcore.Response, headers: Mapping[str, str]) -> bytes:
    """The whole body, unpacked. Raises ValueError for one that is too large or not complete."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if headers.get("content-encoding") == "gzip" else None
    body = bytearray()
    async for piece in response.aiter_stream():
        # One byte more than allowed is enough to know: a small answer must not unpack into all of the memory.
        body += piece if unpack is None else unpack.decompress(piece, MAX_REPLY_BYTES + 1 - len(body))
        if len(body) > MAX_REPLY_BYTES:
            raise ValueError(f"more than {MAX_REPLY_BYTES} bytes")
    if unpack is not None and not unpack.eof:
        raise ValueError("the packed answer is not complete")
    return bytes(body)


def _reason(error: BaseException) -> str:
    """The words of the first cause: the outermost are that all attempts have failed."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return str(error) or type(error).__name__
