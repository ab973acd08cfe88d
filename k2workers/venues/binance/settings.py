"""Owns what may be set of each of Binance's markets, and what holds where nothing is said. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from k2workers.setting import About
from k2workers.venues.venue_settings import RestUrl, VenueSettings, WebsocketUrl


class SpotSettings(VenueSettings, frozen=True, kw_only=True):
    """Of Binance spot."""

    usual_symbols: ClassVar[tuple[str, ...]] = (
        "BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT",
    )  # fmt: skip
    usual_streams: ClassVar[tuple[str, ...]] = ("trade", "agg_trade", "book_ticker", "depth")
    tardis_name: ClassVar[str] = "binance"

    websocket_url: WebsocketUrl = "wss://stream.binance.com:9443"
    rest_url: RestUrl = "https://api.binance.com"
    connection_max_lifetime_hours: Annotated[
        float,
        About(
            text="hours after which a connection is replaced, make before break",
            ge=1,
            le=24,
            more="24 means ten minutes less, because the venue cuts connections then",
        ),
    ] = 4.0
    book_levels: Annotated[
        Literal[100, 500, 1000, 5000],  # between them the price of a request is the same
        About(
            text="levels of each side in a book snapshot",
            more="more levels cost more REST weight: without a book, the first snapshot has 100, and one with all levels follows when there is time",
        ),
    ] = 1000


class UsdmSettings(SpotSettings, frozen=True, kw_only=True):
    """Of USD-M futures: only what differs."""

    usual_streams: ClassVar[tuple[str, ...]] = ("agg_trade", "book_ticker", "depth")
    tardis_name: ClassVar[str] = "binance-futures"

    websocket_url: WebsocketUrl = "wss://fstream.binance.com"
    rest_url: RestUrl = "https://fapi.binance.com"
    book_levels: Annotated[
        Literal[100, 500, 1000],
        About(
            text="levels of each side in a book snapshot",
            more="more levels cost more REST weight: without a book, the first snapshot has 50, and one with all levels follows when there is time",
        ),
    ] = 1000


class CoinmSettings(UsdmSettings, frozen=True, kw_only=True):
    """Of COIN-M futures: only what differs."""

    usual_symbols: ClassVar[tuple[str, ...]] = (
        "BTCUSD_PERP", "ETHUSD_PERP", "BNBUSD_PERP", "SOLUSD_PERP", "XRPUSD_PERP", "DOGEUSD_PERP", "ADAUSD_PERP", "LTCUSD_PERP",
    )  # fmt: skip
    tardis_name: ClassVar[str] = "binance-delivery"

    websocket_url: WebsocketUrl = "wss://dstream.binance.com"
    rest_url: RestUrl = "https://dapi.binance.com"


class UsSettings(SpotSettings, frozen=True, kw_only=True):
    """Of Binance.US: only what differs."""

    tardis_name: ClassVar[str] = "binance-us"

    websocket_url: WebsocketUrl = "wss://stream.binance.us:9443"
    rest_url: RestUrl = "https://api.binance.us"
