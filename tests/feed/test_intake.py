"""The data path of a shard, fed by hand: what REST brings without being asked for a hole."""

from __future__ import annotations

import pytest

from k2workers import wire
from k2workers.errors import StateError
from k2workers.events import Event, Gap, Trade
from k2workers.feed.intake import Intake
from k2workers.feed.message_block import MessageBlock
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.venues.binance import BinanceSpot

HOLD_NS = 1_000
A, B = "binance.trade.AUSDT", "binance.trade.BUSDT"


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, 0, 0, number)


def test_the_newest_that_rest_brings_may_lie_behind_a_hole() -> None:
    pushed: list[tuple[str, list[Event]]] = []
    venue = BinanceSpot()
    intake = Intake(
        venue.codec(venue.stream_specs(["trade"], ["AUSDT", "BUSDT"])),
        hold_ns=HOLD_NS,
        push=lambda bundle: pushed.extend((batch.topic, wire.decode_batch(batch)) for batch in bundle),
        on_reply=lambda *_: None,
        on_notice=lambda _: None,
        observe_latency=lambda _: None,
    )
    intake.resume({A: PublishedPosition(1, []), B: PublishedPosition(1, [])})
    intake.add(0, [trade(5)], 0)
    assert pushed == []
    assert intake.incomplete == {0}
    message = (
        b'{"stream":"busdt@trade","data":{"e":"trade","E":1,"s":"BUSDT","t":2,"p":"1","q":"1","T":1,"m":true,"M":true}}'
    )
    intake.on_messages(1, MessageBlock.of([message]), 2)
    assert [(topic, [event.first_id for event in events]) for topic, events in pushed] == [(B, [2])]
    pushed.clear()
    intake.expire(HOLD_NS)
    (first_topic, (gap,)), (second_topic, (late,)) = pushed
    assert (first_topic, second_topic, late) == (A, A, trade(5))
    assert isinstance(gap, Gap)
    assert (gap.first_id, gap.last_id) == (2, 4)


def test_an_odd_element_of_the_whole_market_is_counted_and_the_others_are_pushed() -> None:
    pushed: list[str] = []
    venue = BinanceSpot()
    intake = Intake(
        venue.codec(venue.stream_specs(["mini_ticker_all"], [])),
        hold_ns=HOLD_NS,
        push=lambda bundle: pushed.extend(batch.topic for batch in bundle),
        on_reply=lambda *_: None,
        on_notice=lambda _: None,
        observe_latency=lambda _: None,
    )
    row = '{"e":"24hrMiniTicker","E":1,"s":"%s","c":"1","o":"2","h":"3","l":"4","v":"5","q":"6"}'
    elements = [row % "AUSDT", '{"s":"odd"}', "null", row % "BUSDT"]
    message = '{"stream":"!miniTicker@arr","data":[' + ",".join(elements) + "]}"
    intake.on_messages(1, MessageBlock.of([message.encode()]), 2)
    assert pushed == ["binance.mini_ticker.AUSDT", "binance.mini_ticker.BUSDT"]
    assert intake.dropped.counts == {"odd_element": 2}


def test_what_was_published_before_comes_too_late_once_streams_are_served() -> None:
    venue = BinanceSpot()
    intake = Intake(
        venue.codec(venue.stream_specs(["trade"], ["AUSDT"])),
        hold_ns=HOLD_NS,
        push=lambda _: None,
        on_reply=lambda *_: None,
        on_notice=lambda _: None,
        observe_latency=lambda _: None,
    )
    intake.add_streams(venue.stream_specs(["trade"], ["BUSDT"]))
    with pytest.raises(StateError, match="too late"):
        intake.resume({A: PublishedPosition(1, []), B: PublishedPosition(1, [])})
