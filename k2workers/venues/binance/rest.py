"""Owns the REST requests to Binance's markets: what is asked, how answers and refusals are read. Keeps no schedule of its own."""

from __future__ import annotations

import re
import ssl
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlencode, urlsplit

import httpcore
import msgspec
import structlog

from k2workers.errors import VenueError
from k2workers.network import tls
from k2workers.network.proxies import proxy_for
from k2workers.venues.binance import refusals
from k2workers.venues.binance.dialect import MICROSECOND_NS, SPOT_DIALECT, Dialect
from k2workers.venues.binance.endpoints import Endpoints
from k2workers.venues.binance.request_timeout import RequestTimeout
from k2workers.venues.binance.rows import (
    AggTradeRow,
    ClockReply,
    DayRow,
    DepthReply,
    FundingRow,
    KlineRow,
    OpenInterestRow,
    TopRow,
    TradeRow,
    read_depth,
)
from k2workers.venues.binance.symbols import SymbolInfo
from k2workers.venues.elements import ElementReader, Elements, members
from k2workers.venues.venue_settings import ca_bundle_setting

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""exchangeInfo is about 15 MB; more than this is no answer of the venue."""

IDLE_LIMIT_S = 15.0
"""A connection that was idle for longer is not used again: the venue, or something between, may have forgotten it."""

WHOLE_LIMIT_S = 60.0
LIST_LIMIT_S = 600.0
"""The longest that a request may take, and that a request for all symbols may: an answer of one byte every few seconds would keep one
of the few repairs at a time busy for ever. A page of rows still comes in time at 2 KB/s, the whole list at 25."""

ROWS_LOGGED_EVERY_NS = 60_000_000_000
"""Odd rows of one endpoint are logged once in this time; all are counted."""

USED_WEIGHT_HEADER = "x-mbx-used-weight-1m"
WEIGHT = re.compile(r" *([0-9]{1,9}) *")
"""Anything else in that header counts as not sent: it must not cost the answer."""


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
"""The errors that come instead of an answer; each is worth another try."""

Row = TypeVar("Row")

_log = structlog.get_logger(__name__)

_rows_logged_ns: dict[str, int] = {}
"""When odd rows of each endpoint were logged last by this process, by URL: a client may live for one request only."""


class ExchangeInfo(msgspec.Struct, frozen=True):
    """GET /api/v3/exchangeInfo, as far as it is used. ``odd`` rows could not be read and are left out."""

    symbols: list[SymbolInfo]
    odd: int = 0
    rate_limits: bytes = b""
    """As the venue writes them; ``limits`` reads them."""


_trades = ElementReader(TradeRow)
_agg_trades = ElementReader(AggTradeRow)
_klines = ElementReader(KlineRow)
_symbols = ElementReader(SymbolInfo)
_days = ElementReader(DayRow)
_tops = ElementReader(TopRow)
_fundings = ElementReader(FundingRow)
_clock, _open_interest = msgspec.json.Decoder(ClockReply), msgspec.json.Decoder(OpenInterestRow)


class RestClient:
    """A REST client; use it as ``async with``. ``timeout_s`` is how long a request may stand still: a big answer on a thin link
    takes its time, up to a generous limit. Proxies come from the environment; ConfigError for one that is none."""

    def __init__(
        self,
        base_url: str,
        ssl_context: ssl.SSLContext | None = None,
        timeout_s: float = 10.0,
        dialect: Dialect = SPOT_DIALECT,
    ) -> None:
        self.used_weight = 0
        """Weight used in the venue's current minute by this IP, as the last answer reported."""
        self.rows_dropped = 0
        """Rows of lists that could not be read so far; the others were taken."""
        self.endpoints = Endpoints(dialect.lacks)
        self._dialect = dialect
        self._base = base_url.rstrip("/") + dialect.rest_path
        self._timeout_s = timeout_s
        self._headers: dict[bytes | str, bytes | str] = {
            "Host": urlsplit(base_url).netloc,  # httpcore's own forgets the brackets of an IPv6 address
            "User-Agent": "k2workers",
            "Accept-Encoding": "gzip",
        }
        if dialect.unit_ns == MICROSECOND_NS:
            self._headers["X-MBX-TIME-UNIT"] = "MICROSECOND"
        proxy = _proxy(base_url, ssl_context)
        self._pool = httpcore.AsyncConnectionPool(ssl_context, proxy=proxy, keepalive_expiry=IDLE_LIMIT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.aclose()

    async def clock_ns(self) -> int:
        """What the venue's clock shows, since the epoch."""
        return (await self._one("time", {}, _clock.decode)).at_ns

    async def exchange_info(self, symbols: Sequence[str] = ()) -> ExchangeInfo:
        """Symbols and their status: all (about 15 MB), or these alone.

        One name that the venue does not know refuses them all (VenueRefused). ``showPermissionSets=false`` makes the answer smaller.
        """
        params = {"showPermissionSets": "false"}
        if symbols:
            params["symbols"] = msgspec.json.encode(symbols).decode()
        body = await self._get("exchangeInfo", params, LIST_LIMIT_S)
        try:
            info = members(body)
        except ValueError as error:
            raise self._not_understood("exchangeInfo", error) from None
        rows = self._read("exchangeInfo", info.get("symbols", b""), _symbols)
        return ExchangeInfo(rows.sound, odd=rows.odd, rate_limits=bytes(info.get("rateLimits", b"")))

    async def trades(self, symbol: str, limit: int) -> list[TradeRow | None]:
        """The newest trades, from memory: no delay. None stands for a row that cannot be read, here and below."""
        return await self._rows("trades", {"symbol": symbol, "limit": str(limit)}, _trades)

    async def historical_trades(self, symbol: str, from_id: int, limit: int) -> list[TradeRow | None]:
        """Trades from this id on, from the database, which may lag behind the stream."""
        params = {"symbol": symbol, "fromId": str(from_id), "limit": str(limit)}
        return await self._rows("historicalTrades", params, _trades)

    async def agg_trades(self, symbol: str, from_id: int, limit: int) -> list[AggTradeRow | None]:
        """Aggregate trades from this id on, from the database."""
        params = {"symbol": symbol, "fromId": str(from_id), "limit": str(limit)}
        return await self._rows("aggTrades", params, _agg_trades)

    async def agg_trades_between(self, symbol: str, start: int, end: int, limit: int) -> list[AggTradeRow | None]:
        """The oldest aggregate trades between these times, inclusive, in the unit of the venue's own answers."""
        params = {"symbol": symbol, "startTime": str(start), "endTime": str(end), "limit": str(limit)}
        return await self._rows("aggTrades", params, _agg_trades)

    async def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start_ns: int,
        end_ns: int,
        limit: int,
        utc8: bool = False,
        continuous: bool = False,
    ) -> list[KlineRow | None]:
        """Bars that open between these times, inclusive; ``continuous`` are those of whatever contract of this pair is perpetual."""
        named = {"pair": symbol, "contractType": "PERPETUAL"} if continuous else {"symbol": symbol}
        params = {
            **named, "interval": interval,
            "startTime": str(start_ns // self._dialect.unit_ns), "endTime": str(end_ns // self._dialect.unit_ns),
            "limit": str(limit), "timeZone": "8" if utc8 else "0",
        }  # fmt: skip
        return await self._rows("continuousKlines" if continuous else "klines", params, _klines)

    async def days(self, symbols: Sequence[str]) -> list[DayRow | None]:
        """The statistics of these symbols (or all) in their short form, where there is one.

        One symbol that the venue does not know refuses them all (VenueRefused), here and below.
        """
        return await self._rows("ticker/24hr", {"type": "MINI", **_named(symbols)}, _days)

    async def tops(self, symbols: Sequence[str]) -> list[TopRow | None]:
        """The best prices of these symbols (or all)."""
        return await self._rows("ticker/bookTicker", _named(symbols), _tops)

    async def depth(self, symbol: str, limit: int, path: str = "depth") -> DepthReply:
        """The book, with so many levels of each side."""
        return await self._one(path, {"symbol": symbol, "limit": str(limit)}, read_depth)

    async def open_interest(self, symbol: str) -> OpenInterestRow:
        """How much of a contract is open."""
        return await self._one("openInterest", {"symbol": symbol}, _open_interest.decode)

    async def newest_funding(self, symbol: str) -> FundingRow | None:
        """What was paid last for a contract; None if nothing was."""
        rows = await self._rows("fundingRate", {"symbol": symbol, "limit": "1"}, _fundings)
        return rows[-1] if rows else None

    async def _one(self, path: str, params: dict[str, str], read: Callable[[bytes], Row]) -> Row:
        body = await self._get(path, params)
        try:
            return read(body)
        except (ValueError, RecursionError) as error:  # msgspec's own are ValueErrors
            raise self._not_understood(path, error) from None

    async def _rows(self, path: str, params: dict[str, str], reader: ElementReader[Row]) -> list[Row | None]:
        return self._read(path, await self._get(path, params), reader).found

    def _read(self, path: str, content: bytes | msgspec.Raw, reader: ElementReader[Row]) -> Elements[Row]:
        try:
            rows = reader.read(content)
        except ValueError as error:
            raise self._not_understood(path, error) from None
        if rows.odd:
            self.rows_dropped += rows.odd
            url, now_ns = f"{self._base}/{path}", time.monotonic_ns()
            if now_ns - _rows_logged_ns.get(url, -ROWS_LOGGED_EVERY_NS) >= ROWS_LOGGED_EVERY_NS:
                _rows_logged_ns[url] = now_ns
                words = f"{rows.cause}: {rows.sample}"
                _log.warning("rest_rows_dropped", path=path, count=rows.odd, of=len(rows.found), first=words)
        return rows

    def _not_understood(self, path: str, error: Exception) -> VenueError:
        return VenueError(f"{self._base}/{path} answered what is not understood: {error}")

    async def _get(self, path: str, params: dict[str, str], whole_limit_s: float = WHOLE_LIMIT_S) -> bytes:
        url = f"{self._base}/{path}"
        params = {name: value for name, value in params.items() if name not in self._dialect.unread}
        timeout = RequestTimeout(self._timeout_s, whole_limit_s)
        try:
            async with (
                timeout,
                self._pool.stream(
                    "GET", f"{url}?{urlencode(params)}", headers=self._headers, extensions={"trace": timeout}
                ) as response,
            ):
                status = response.status
                headers = {name.lower().decode(): value.decode("latin-1") for name, value in response.headers}
                body = await _body(response, headers, timeout)
        except TimeoutError:
            raise VenueError(f"{url} {timeout.excess}") from None
        except UNREACHABLE as error:
            why = tls.reason(error, ca_bundle_setting(self._dialect.market))
            raise VenueError(f"{url} cannot be reached: {why}") from error
        self.endpoints.answered(path, status, time.monotonic_ns())
        used = WEIGHT.fullmatch(headers.get(USED_WEIGHT_HEADER, ""))
        self.used_weight = int(used[1]) if used else 0
        if status != 200:
            raise refusals.read(url, status, headers, body, time.time())
        return body


def _named(symbols: Sequence[str]) -> dict[str, str]:
    return {"symbols": msgspec.json.encode(symbols).decode()} if symbols else {}


def _proxy(url: str, ssl_context: ssl.SSLContext | None) -> httpcore.Proxy | None:
    proxy = proxy_for(url)
    if proxy is None:
        return None
    auth = (proxy.name.encode(), proxy.password.encode()) if proxy.name else None
    return httpcore.Proxy(proxy.address, auth=auth, ssl_context=ssl_context if proxy.scheme == "https" else None)


async def _body(response: httpcore.Response, headers: Mapping[str, str], timeout: RequestTimeout) -> bytes:
    """The whole body, unpacked. Raises ValueError for one that is too large or not complete."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if headers.get("content-encoding") == "gzip" else None
    body = bytearray()
    async for piece in response.aiter_stream():
        timeout.read()
        # One byte more than allowed is enough to know: a small answer must not unpack into all of the memory.
        body += piece if unpack is None else unpack.decompress(piece, MAX_REPLY_BYTES + 1 - len(body))
        if len(body) > MAX_REPLY_BYTES:
            raise ValueError(f"more than {MAX_REPLY_BYTES} bytes")
    if unpack is not None and not unpack.eof:
        raise ValueError("the packed answer is not complete")
    return bytes(body)
