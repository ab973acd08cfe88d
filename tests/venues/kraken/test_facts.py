"""What this market lets anyone prove, as it was found when its documents were read."""

from __future__ import annotations

from k2workers.continuity import Guarantee, Identity, Proof
from k2workers.venues.kraken.facts import FACTS

PROVEN = {
    "trade": Guarantee.REPAIRABLE,
    "depth": Guarantee.CHAINED,
    "book_ticker": Guarantee.LATEST,
    "kline_1m": Guarantee.FINAL,
}


def test_no_more_and_no_less_is_promised_than_can_be_proven() -> None:
    assert {topic.kind: topic.guarantee for topic in FACTS.topics if topic.kind in PROVEN} == PROVEN


def test_books_have_a_checksum_and_no_numbers() -> None:
    (book,) = [topic for topic in FACTS.topics if topic.kind == "depth"]
    assert (book.continuity.identity, book.continuity.proof) == (Identity.NONE, Proof.CHECKSUM)
