"""The exchange's own knowledge of its streams."""

from __future__ import annotations

from k2workers.simulator.binance.stream_names import CONTIGUOUS
from k2workers.venues.binance.streams import KINDS


def test_what_the_exchange_takes_for_a_chain_is_what_the_feed_takes_for_one() -> None:
    # Each side says it for itself, or the exchange's own count could not prove the feed wrong.
    assert {name for name, kind in KINDS.items() if kind.continuity.chained} == CONTIGUOUS
