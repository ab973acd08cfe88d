"""The independent count must be able to say no."""

from __future__ import annotations

from k2workers.events import BookTicker, Event, Gap, Trade
from k2workers.transport.subscriber import Lost, Message
from k2workers.witness import Witness, compare


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, 0, 0, 0)


def received(*events: Event, topic: str = "t") -> dict[str, dict]:
    witness = Witness()
    for event in events:
        witness.take(Message(topic, 1, 0, event))
    return witness.result()["topics"]


def sent(first: int, last: int) -> dict[str, dict]:
    return {"t": {"emitted": last - first + 1, "ranges": [[first, last]]}}


def test_everything_once_is_clean() -> None:
    verdict = compare(sent(1, 3), received(trade(1), trade(2), trade(3)))
    assert verdict == {"emitted": 3, "received": 3, "lost": 0, "duplicated": 0, "reordered": 0}


def test_a_missing_event_is_lost() -> None:
    assert compare(sent(1, 3), received(trade(1), trade(3)))["lost"] == 1
    assert compare(sent(1, 3), {})["lost"] == 3


def test_a_wrong_event_does_not_stand_in_for_a_missing_one() -> None:
    assert compare(sent(1, 3), received(trade(1), trade(2), trade(9)))["lost"] == 1


def test_a_repeated_event_is_duplicated() -> None:
    assert compare(sent(1, 2), received(trade(1), trade(2), trade(1)))["duplicated"] == 1


def test_an_event_that_comes_late_is_reordered() -> None:
    verdict = compare(sent(1, 3), received(trade(1), trade(3), trade(2)))
    assert (verdict["reordered"], verdict["lost"]) == (1, 0)


def test_more_events_than_were_sent_are_duplicates() -> None:
    verdict = compare(
        {"t": {"emitted": 1, "ranges": []}}, received(*[BookTicker(n, "", "", "", "", 0) for n in (1, 5)])
    )
    assert verdict["duplicated"] == 1


def test_an_announced_gap_and_lost_batches_are_counted_apart() -> None:
    witness = Witness()
    witness.take(Message("t", 1, 0, Gap(2, 4, "", 0)))
    witness.take(Lost("t", 5, 7))
    assert witness.topics["t"].gaps == 1
    assert witness.result()["lost_batches"] == 3
