"""Venues come by name, and say that name once: their topics have it."""

from __future__ import annotations

import pytest

from k2workers import venues
from k2workers.errors import ConfigError
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.topics import all_market_kinds, topic_of


def test_a_venue_is_loaded_by_the_name_that_it_says_itself() -> None:
    assert [venues.load(name).name for name in venues.NAMES] == list(venues.NAMES)


@pytest.mark.parametrize("name", ["", "binanc", "os"])
def test_a_name_of_no_venue_is_answered_with_all_names(name: str) -> None:
    with pytest.raises(ConfigError, match=f"venue = {name!r}: unknown; allowed: binance"):
        venues.load(name)


@pytest.mark.parametrize("kind", ["trade", "mini_ticker_all"])
def test_a_renamed_subclass_publishes_under_its_own_name(kind: str) -> None:
    class Other(BinanceSpot):
        name = "other"

    codec = Other().codec(Other().stream_specs([kind], ["BTCUSDT"]))
    tickers = b'{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker","E":1700000000000000,"s":"BTCUSDT","c":"1.0","o":"1.0","h":"1.0","l":"1.0","v":"1.0","q":"1.0"}]}'
    codec.decode(tickers, 1, [])
    assert [topic.topic for topic in codec.topics] == [f"other.{kind.removesuffix('_all')}.BTCUSDT"]


@pytest.mark.parametrize("name", venues.NAMES)
def test_the_kinds_of_the_whole_market_are_told_from_those_of_single_symbols(name: str) -> None:
    venue = venues.load(name)
    assert all_market_kinds(venue, ["agg_trade", "mini_ticker_all", "depth"]) == ["mini_ticker_all"]
    (spec,) = venue.stream_specs(["depth"], ["BTCUSDT"])
    assert (
        topic_of(venue.name, spec.kind, spec.symbol) == venue.codec([spec]).topics[0].topic == f"{name}.depth.BTCUSDT"
    )


@pytest.mark.parametrize("name", venues.NAMES)
def test_every_stream_is_on_one_route_and_the_routes_of_a_venue_are_told_apart(name: str) -> None:
    venue = venues.load(name)
    specs = venue.stream_specs(["agg_trade", "depth", "mini_ticker_all"], ["AAAUSDT", "BBBUSDT"])
    routes = venue.routes(specs)
    assert sorted(spec.name for route in routes for spec in route.specs) == sorted(spec.name for spec in specs)
    assert len({route.name for route in routes}) == len(routes)
    assert venue.routes([]) == []
