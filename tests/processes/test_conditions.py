"""Which events a reader is shown."""

from __future__ import annotations

import pytest

from k2workers.continuity import Continuity, Identity
from k2workers.events import Backfilled, BookSnapshot, Event, Gap, ReferencePrice, Trade
from k2workers.processes.conditions import FIELDS, conditions
from k2workers.transport.items import Message

CONTINUITY = Continuity(identity=Identity.NUMBER)
TRADE = Trade(7, "100.50", "1.00", True, 1, 2, 3)
GAP = Gap(4, 6, "lost", 9)


def _shown(event: Event, *words: str, topic: str = "v.trade.X") -> bool:
    read, problems = conditions(words)
    assert problems == []
    message = Message(topic, 5, 1_795_519_155_123_456_789, event, CONTINUITY)
    return all(condition.holds(message) for condition in read)


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("quantity>=1", True),
        ("quantity>1", False),
        (" quantity <= 1.0 ", True),
        ("quantity<1", False),
        ("quantity=1", True),
        ("quantity!=1", False),
        ("price=99,100.5", True),
        ("price!=99,100.5", False),
        ("buyer_is_maker=true", True),
        ("buyer_is_maker=false", False),
        ("buyer_is_maker>=0", False),
        ("symbol=X", True),
        ("symbol=Y,X", True),
        ("symbol!=X", False),
        ("topic=v.trade.X", True),
        ("type=Trade", True),
        ("type=Gap", False),
        ("sequence>=6", False),
        ("publish_ns>=1795519155123456789", True),
        ("publish_ns>1795519155123456789", False),
        ("bid_price>=0", False),
    ],
)
def test_a_condition_holds_or_does_not(word: str, shown: bool) -> None:
    assert _shown(TRADE, word) is shown


def test_all_conditions_must_hold() -> None:
    assert _shown(TRADE, "quantity>=1", "price>100")
    assert not _shown(TRADE, "quantity>=1", "price>101")
    assert _shown(TRADE)


def test_what_is_missing_is_shown_whatever_prices_are_wanted_unless_its_type_is_not() -> None:
    assert _shown(GAP, "quantity>=1000000")
    assert not _shown(GAP, "type=Trade")
    assert not _shown(GAP, "symbol=Y")
    assert not _shown(GAP, "cause=other")
    assert not _shown(BookSnapshot(1, [], [], 2), "quantity>=0")


def test_an_event_that_came_late_counts_as_what_came_and_as_late() -> None:
    late = Backfilled(TRADE)
    assert _shown(late, "quantity>=1", "type=Trade")
    assert _shown(late, "type=Backfilled")
    assert not _shown(late, "type!=Backfilled")
    assert not _shown(late, "quantity>=2")


def test_a_price_that_there_is_not_is_no_number() -> None:
    nothing = ReferencePrice(None, 1, 2)
    assert not _shown(nothing, "price>=0")
    assert _shown(nothing, "price=")
    assert _shown(ReferencePrice("NaN", 1, 2), "price=NaN")
    assert not _shown(ReferencePrice("NaN", 1, 2), "price<1")


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("quantity", "where = 'quantity': allowed: FIELD=VALUE"),
        ("", "where = '': allowed: FIELD=VALUE"),
        ("quantty>=1", "no event has a field 'quantty' to compare; there are quantity"),
        ("bids=1", "no event has a field 'bids' to compare; there are "),
        ("xyzzyxyzzy=1", "there are price, quantity, symbol, type …"),
        ("price>many", "'many' is not a number; allowed"),
        ("symbol>5", "'symbol' is no number; allowed: symbol=VALUE or symbol!=VALUE"),
        ("type=trade", "no event is of type 'trade'; there are Trade"),
        ("type=Trade,nonsense", "no event is of type 'nonsense'; there are "),
        ("price>NaN", "'NaN' is not a number; allowed"),
    ],
)
def test_what_is_no_condition_is_said_in_words(word: str, why: str) -> None:
    read, problems = conditions([word, "price>1"])
    assert len(read) == 1
    assert len(problems) == 1 and why in problems[0]
    assert problems[0].endswith("(flag --where)")


def test_fields_with_one_value_can_be_compared() -> None:
    assert {"price", "quantity", "symbol", "type", "final", "cause"} <= FIELDS
    assert not {"bids", "asks", "data", "event"} & FIELDS
