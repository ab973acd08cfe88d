"""Owns Binance spot's REST requests: what is asked, how answers and refusals are read. Keeps no schedule of its own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec

from k2workers.errors import RateLimited, VenueError, VenueRefused
from k2workers.events import Level
from k2workers.venues.binance.symbols import SymbolInfo

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""exchangeInfo is about 15 MB; more than this is no answer of the venue."""

USED_WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"

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
    """A REST client; use it as ``async with``. Proxies come from the environment."""

    def __init__(self, base_url: str, ssl_context: ssl.SSLContext | None = None, timeout_s: float = 10.0) -> None:
        self.used_weight = 0
        """Weight used in the venue's current minute by this IP, as the last answer told."""
        self._base = base_url.rstrip("/")
        self._ssl = ssl_context
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

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
        assert self._session is not None, "use 'async with' first"
        url = f"{self._base}/api/v3/{path}"
        headers = {"X-MBX-TIME-UNIT": "MICROSECOND"}
        try:
            async with self._session.get(url, params=params, headers=headers, ssl=self._ssl or True) as response:
                self.used_weight = int(response.headers.get(USED_WEIGHT_HEADER, "0") or 0)
                body = b"".join([chunk async for chunk in _bounded(response)])
                status, retry_after = response.status, response.headers.get("Retry-After", "")
        except TimeoutError:
            raise VenueError(f"{url} did not answer in {self._timeout.total:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise VenueError(f"{url} cannot be reached: {error or type(error).__name__}") from error
        if status != 200:
            raise _refused(url, status, body, retry_after)
        try:
            return msgspec.json.decode(body, type=shape)
        except (msgspec.MsgspecError, ValueError) as error:
            raise VenueError(f"{url} answered what is not understood: {error}") from None


async def _bounded(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_REPLY_BYTES:
            raise ValueError(f"more than {MAX_REPLY_BYTES} bytes")
        yield chunk


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
