"""Both orders of hftbacktest at once: each event once for the exchange, by the venue's time, and once for the listener, by ours."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import pytest

from k2workers.recording.exports import event_order
from k2workers.recording.exports.event_order import EventOrder
from k2workers.recording.exports.hftbacktest import BUY, DEPTH, EXCHANGE, LOCAL, TRADE, Told
from tests.recording.exports.test_npz import DTYPE


def ordered(*messages: Told) -> tuple[EventOrder, Any]:
    order = EventOrder(io.BytesIO(), io.BytesIO())
    for message in messages:
        order.take(message)
    data = np.frombuffer(b"".join(order.events()), DTYPE)
    assert len(data) == order.count
    return order, data


def trade(venue_ns: int, local_ns: int, price: float = 1.0) -> Told:
    return Told(venue_ns, local_ns, True, [(TRADE | BUY, price, 1.0)])


def depth(venue_ns: int, local_ns: int, *prices: float) -> Told:
    return Told(venue_ns, local_ns, False, [(DEPTH | BUY, price, 1.0) for price in prices or (1.0,)])


def seen(data: Any, flag: int) -> list[tuple[int, float]]:
    return [(int(event["ev"]) & 0xFF, float(event["px"])) for event in data if int(event["ev"]) & flag]


def test_what_keeps_both_orders_is_there_once() -> None:
    _, data = ordered(depth(1, 5, 1.0, 2.0), trade(2, 6), depth(2, 7))
    assert {int(what) & (EXCHANGE | LOCAL) for what in data["ev"]} == {EXCHANGE | LOCAL}
    assert data["exch_ts"].tolist() == [1, 1, 2, 2]
    assert data["local_ts"].tolist() == [5, 5, 6, 7]


def test_what_comes_late_is_in_its_place_for_the_exchange_and_in_ours_for_the_listener() -> None:
    _, data = ordered(depth(1, 5, 1.0), depth(9, 10, 2.0, 3.0), trade(4, 11, 4.0), depth(12, 13, 5.0))
    assert seen(data, EXCHANGE) == [(DEPTH, 1.0), (TRADE, 4.0), (DEPTH, 2.0), (DEPTH, 3.0), (DEPTH, 5.0)]
    assert seen(data, LOCAL) == [(DEPTH, 1.0), (DEPTH, 2.0), (DEPTH, 3.0), (TRADE, 4.0), (DEPTH, 5.0)]


def test_of_the_same_time_of_the_venue_trades_come_before_changes_of_the_book() -> None:
    _, data = ordered(depth(4, 5, 1.0), trade(4, 6, 2.0), depth(4, 7, 3.0), trade(4, 8, 4.0))
    assert seen(data, EXCHANGE) == [(TRADE, 2.0), (TRADE, 4.0), (DEPTH, 1.0), (DEPTH, 3.0)]


def test_where_our_clock_is_behind_all_local_times_are_moved_so_that_nothing_is_known_before_it_happens() -> None:
    order, data = ordered(depth(100, 90), trade(101, 120), depth(130, 105))
    assert order.ahead_ns == 25
    assert data["local_ts"][(data["ev"] & LOCAL) > 0].tolist() == [115, 145, 130]
    assert (data["local_ts"] >= data["exch_ts"]).all()


def test_nothing_gives_nothing() -> None:
    assert ordered()[0].count == 0


@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_sorting_all_of_it_gives(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_order, "RUN_EVENTS", 50)
    monkeypatch.setattr(event_order, "PIECE_EVENTS", 7)
    monkeypatch.setattr(event_order, "RUN_PIECE_EVENTS", 3)
    chance = random.Random(seed)
    messages, local_ns = [], 1_000
    for number in range(800):
        local_ns += chance.randrange(4)
        make = chance.choice((trade, depth))
        messages.append(make(local_ns - chance.choice((1, 5, 5, 200, -3)), local_ns, float(number)))
    order, data = ordered(*messages)
    by_venue = sorted(messages, key=lambda message: (message.venue_ns, not message.is_trade))
    for flag, expected in ((EXCHANGE, by_venue), (LOCAL, messages)):
        assert [px for _, px in seen(data, flag)] == [message.events[0][1] for message in expected]
    assert order.ahead_ns == 3
    for name, flag in (("exch_ts", EXCHANGE), ("local_ts", LOCAL)):
        assert (np.diff(data[name][(data["ev"] & flag) > 0].astype(np.int64)) >= 0).all()
