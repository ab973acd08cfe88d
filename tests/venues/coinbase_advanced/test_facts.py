"""What this market lets anyone prove, as it was found when its documents were read."""

from __future__ import annotations

from k2workers.continuity import Guarantee, Repair, Scope
from k2workers.venues.coinbase_advanced.facts import FACTS

PROVEN = {
    "trade": Guarantee.REPAIRABLE,
    "depth": Guarantee.CHAINED,
    "book_ticker": Guarantee.LATEST,
    "kline_5m": Guarantee.FINAL,
}


def test_no_more_and_no_less_is_promised_than_can_be_proven() -> None:
    assert {topic.kind: topic.guarantee for topic in FACTS.topics if topic.kind in PROVEN} == PROVEN


def test_a_break_of_the_connections_counter_puts_its_books_in_question() -> None:
    (book,) = [topic for topic in FACTS.topics if topic.kind == "depth"]
    assert (book.continuity.scope, book.continuity.repair) == (Scope.CONNECTION, Repair.RECONNECT)
