"""The independent count must be able to say no."""

from __future__ import annotations

from typing import Any

from k2workers.continuity import Continuity
from k2workers.demo.witness import Witness, compare
from k2workers.events import Backfilled, BookSnapshot, BookTicker, Event, Gap, Kline, Trade, Void
from k2workers.transport.deliveries import Lost
from k2workers.transport.items import Message
from k2workers.venues.binance.streams import BAR, CHAIN, LATEST

Counts = dict[str, dict[str, Any]]
"""By topic, as they are told: JSON."""


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, 0, 0, 0)


def received(*events: Event, topic: str = "binance.trade.X", continuity: Continuity = CHAIN) -> Counts:
    witness = Witness()
    for event in events:
        witness.take(Message(topic, 1, 0, event, continuity))
    counts: Counts = witness.result()["topics"]
    return counts


def sent(first: int, last: int) -> Counts:
    return {"binance.trade.X": {"emitted": last - first + 1, "ranges": [[first, last]]}}


def test_everything_once_is_clean() -> None:
    verdict = compare(sent(1, 3), received(trade(1), trade(2), trade(3)))
    clean = {"emitted": 3, "received": 3, "lost": 0, "unannounced": 0, "duplicated": 0, "reordered": 0}
    assert verdict == {**clean, "by_kind": {"trade": clean}}


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


def test_a_latest_value_that_goes_back_is_a_duplicate() -> None:
    tickers = [BookTicker(n, "", "", "", "", 0) for n in (5, 5, 3, 6)]
    verdict = compare({"binance.trade.X": {"emitted": 3, "ranges": []}}, received(*tickers, continuity=LATEST))
    assert (verdict["received"], verdict["duplicated"], verdict["lost"]) == (2, 2, 1)


def test_what_fills_a_gap_late_is_neither_lost_nor_reordered() -> None:
    verdict = compare(
        sent(1, 4), received(trade(1), Gap(2, 3, "", 0), trade(4), Backfilled(trade(2)), Backfilled(trade(3)))
    )
    assert (verdict["lost"], verdict["reordered"], verdict["duplicated"], verdict["received"]) == (0, 0, 0, 4)
    assert compare(sent(1, 2), received(trade(1), trade(2), Backfilled(trade(2))))["duplicated"] == 1


def test_a_loss_that_was_announced_is_told_apart_from_a_silent_one() -> None:
    announced = compare(sent(1, 4), received(trade(1), Gap(2, 2, "", 0), trade(4)))
    assert (announced["lost"], announced["unannounced"]) == (2, 1)


def test_a_bar_has_many_states_that_only_move_on() -> None:
    bars = [
        Kline(opens, opens + 59, "", "", "", "", "", "", "", "", 0, 0, 0, False, at, 0)
        for opens, at in ((0, 1), (0, 2), (0, 2), (60, 61), (0, 62))
    ]
    count = received(*bars, continuity=BAR)["binance.trade.X"]
    assert (count["received"], count["duplicated"], count["reordered"]) == (3, 1, 1)


def test_a_final_bar_is_right_once_whatever_its_time() -> None:
    states = ((1, False), (59, False), (59, True), (59, True))
    bars = [Kline(0, 59, "", "", "", "", "", "", "", "", 0, 0, 0, final, at, 0) for at, final in states]
    count = received(*bars, continuity=BAR)["binance.trade.X"]
    assert (count["received"], count["duplicated"]) == (3, 1)


def test_snapshots_and_voids_are_no_events_of_the_venue() -> None:
    count = received(BookSnapshot(5, [], [], 0), Void(6, 7, 0))["binance.trade.X"]
    assert (count["received"], count["snapshots"], count["voids"]) == (0, 1, [(6, 7)])


def test_an_announced_gap_and_lost_batches_are_counted_apart() -> None:
    witness = Witness()
    witness.take(Message("t", 1, 0, Gap(2, 4, "", 0), CHAIN))
    witness.take(Lost("t", 5, 7))
    assert witness.topics["t"].gaps == 1
    assert witness.result()["lost_batches"] == 3
