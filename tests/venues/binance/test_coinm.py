"""Binance COIN-M: what differs from USD-M."""

from __future__ import annotations

import pytest

from k2workers.config import load
from k2workers.errors import ConfigError
from k2workers.venues.binance.coinm import BinanceCoinm
from k2workers.venues.binance.usdm import BinanceUsdm
from k2workers.venues.market_evidence import SymbolSeen
from tests.support.venue import Answer, Venue

COINM, USDM = BinanceCoinm(), BinanceUsdm()


def test_only_what_differs_is_not_of_usdm() -> None:
    assert (COINM.limits, COINM.kinds, COINM.pauses) == (USDM.limits, USDM.kinds, USDM.pauses)
    assert (COINM.stream_dialect.symbol_type, COINM.dialect.market, COINM.dialect.rest_path) == (
        2,
        COINM.name,
        "/dapi/v1",
    )
    own = load({"venue": "binance_coinm", "streams": "agg_trade"}).of_venue("binance_coinm")
    assert (own.websocket_url, own.rest_url) == ("wss://dstream.binance.com", "https://dapi.binance.com")


@pytest.mark.parametrize("kind", ["trade", "composite_index", "continuous_kline_1m", "asset_index_all", "rpi_depth"])
def test_a_kind_that_it_does_not_have_is_the_users_mistake(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"binance_coinm has no '{kind}'"):
        load({"venue": "binance_coinm", "streams": kind})


def test_each_class_has_a_connection_that_may_do_without_the_class() -> None:
    routes = COINM.routes(COINM.stream_specs(["agg_trade", "depth"], ["BTCUSD_PERP"]))
    assert [(route.path, route.other_path) for route in routes] == [
        ("/public/stream", "/stream"),
        ("/market/stream", "/stream"),
    ]
    assert not any(route.other_path for route in USDM.routes(USDM.stream_specs(["agg_trade"], ["BTCUSDT"])))


async def test_a_symbol_of_its_own_is_listed_and_seen() -> None:
    name = "BTCUSD_PERP"
    rows = {
        "exchangeInfo": {
            "symbols": [{"symbol": name, "contractStatus": "TRADING", "contractSize": 100}],
            "rateLimits": [],
        },
        "ticker/24hr": [{"symbol": name, "pair": "BTCUSD", "lastId": 7}],
        "ticker/bookTicker": [{"symbol": name, "pair": "BTCUSD", "bidPrice": "9.5", "askPrice": "9.6"}],
    }
    with Venue([name], rest_path="/dapi/v1/") as venue:
        venue.on_rest = lambda path, _query: Answer(200, rows[path])
        choice, _ = await COINM.listing(venue.rest_url, None).look([name], 1)
        seen = await COINM.market_look(venue.rest_url, None).look([name], 1)
    assert choice.served == {name: "TRADING"}
    assert seen == {name: SymbolSeen(7, "9.5 9.6")}
