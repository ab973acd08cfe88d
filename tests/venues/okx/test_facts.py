"""What this market lets anyone prove, as it was found when its documents were read."""

from __future__ import annotations

from k2workers.continuity import Guarantee
from k2workers.venues.okx.facts import FACTS

PROVEN = {
    "trade": Guarantee.REPAIRABLE,
    "depth": Guarantee.CHAINED,
    "book_ticker": Guarantee.LATEST,
    "kline_1m": Guarantee.FINAL,
}


def test_no_more_and_no_less_is_promised_than_can_be_proven() -> None:
    assert {topic.kind: topic.guarantee for topic in FACTS.topics if topic.kind in PROVEN} == PROVEN


def test_two_routes_carry_what_a_shard_of_all_kinds_needs() -> None:
    routes = {topic.kind: topic.route for topic in FACTS.topics}
    assert (routes["trade"], routes["depth"], routes["kline_1m"]) == ("business", "public", "business")
