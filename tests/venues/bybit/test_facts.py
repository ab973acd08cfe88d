"""What this market lets anyone prove, as it was found when its documents were read."""

from __future__ import annotations

from k2workers.continuity import Guarantee
from k2workers.venues.bybit.facts import FACTS

PROVEN = {
    "trade": Guarantee.UNPROVEN,
    "depth": Guarantee.CHAINED,
    "book_ticker": Guarantee.LATEST,
    "kline_1m": Guarantee.FINAL,
}


def test_no_more_and_no_less_is_promised_than_can_be_proven() -> None:
    assert {topic.kind: topic.guarantee for topic in FACTS.topics if topic.kind in PROVEN} == PROVEN


def test_of_trades_only_the_newest_sixty_can_be_had_again() -> None:
    (trades,) = [topic for topic in FACTS.topics if topic.kind == "trade"]
    assert trades.refetch is not None and trades.refetch.page == 60
