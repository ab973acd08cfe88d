"""What requests say, as the market's dialect has it."""

from __future__ import annotations

import pytest

from k2workers.venues.binance.dialect import MILLISECOND_NS, Dialect
from k2workers.venues.binance.rest import RestClient
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.streams import path
from k2workers.venues.venue import Topic
from tests.support.venue import Answer, Venue

AT_MS = 1_700_000_000_000


def topic(kind: str) -> Topic:
    return BinanceSpot().codec(BinanceSpot().stream_specs([kind], ["AAAUSDT"])).topics[0]


async def test_bars_of_binance_are_asked_for_in_microseconds() -> None:
    with Venue(["AAAUSDT"]) as venue:
        venue.on_rest = lambda _path, _query: Answer(200, [])
        async with BinanceSpot().history(venue.rest_url, None, 1_000) as rest:
            await rest.fetch(topic("kline_1m"), AT_MS * 10**6, (AT_MS + 1) * 10**6, 0)
        (asked,) = venue.asked("klines")
    assert (asked.query["startTime"], asked.query["endTime"]) == (f"{AT_MS}000", f"{AT_MS + 1}000")


@pytest.mark.parametrize(
    ("dialect", "query"), [(Dialect(), "?timeUnit=MICROSECOND"), (Dialect(unit_ns=MILLISECOND_NS), "")]
)
def test_a_unit_of_time_is_asked_for_only_where_there_is_a_choice(dialect: Dialect, query: str) -> None:
    assert path(dialect) == f"/stream{query}"


async def test_a_parameter_that_the_market_does_not_know_is_left_out() -> None:
    with Venue(["AAAUSDT"]) as venue:
        async with RestClient(venue.rest_url) as rest:
            await rest.exchange_info(["AAAUSDT"])
        async with RestClient(venue.rest_url, dialect=Dialect(unread=frozenset({"showPermissionSets"}))) as rest:
            await rest.exchange_info(["AAAUSDT"])
        assert [sorted(asked.query) for asked in venue.asked("exchangeInfo")] == [
            ["showPermissionSets", "symbols"],
            ["symbols"],
        ]
