"""The exchange's own knowledge of its streams: each side says it for itself, or the exchange's own count could not prove the feed wrong."""

from __future__ import annotations

from k2workers.simulator.binance.bars import INTERVALS
from k2workers.simulator.binance.stream_names import CONTIGUOUS, is_valid, kind_of
from k2workers.venues.binance import streams


def test_what_the_exchange_takes_for_a_chain_is_what_the_feed_takes_for_one() -> None:
    assert {name for name, kind in streams.KINDS.items() if kind.continuity.chained} == CONTIGUOUS


def test_every_stream_that_the_feed_can_ask_for_exists_and_is_of_the_same_kind() -> None:
    names = {kind: streams.stream_specs([kind], ["BTCUSDT"])[0].name for kind in streams.KINDS}
    assert all(map(is_valid, names.values()))
    assert {kind: kind_of(name) for kind, name in names.items()} == {kind: kind for kind in streams.KINDS}


def test_bars_have_the_same_intervals() -> None:
    assert tuple(INTERVALS) == streams.INTERVALS
