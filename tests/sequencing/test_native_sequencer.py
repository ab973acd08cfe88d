"""The native way of bundles: what it takes, what it leaves to Python and why, and that everything asked of the sequencer is true at any time."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec
import pytest

from k2workers import native, wire
from k2workers.book_events import BookTop
from k2workers.continuity import MADE, Continuity, Identity, renumbered
from k2workers.events import Backfilled, BookSnapshot, BookTicker, Event, Gap, Kline, MiniTicker, Trade
from k2workers.native.build import SOURCES
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.native_sequencer import ANY, BAR, CHAIN, RISING, WHY, NativeSequencer, sequencer
from k2workers.sequencing.sequencer import Sequencer
from k2workers.transport.bundle_protocol import BUNDLE, BUNDLE_BEGIN, bundle_of, numbered
from k2workers.venues.binance.streams import CHAIN as TRADES
from k2workers.wire import Batch
from tests.support.batches import batch_of

pytestmark = pytest.mark.skipif(native.extension is None, reason=f"no native lane: {native.why_not}")

T, B, K = "binance.trade.A", "binance.book_ticker.A", "binance.kline_1m.A"


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, number, number, 2**60)


def trades(*numbers: int, topic: str = T) -> Batch:
    return batch_of(topic, [trade(number) for number in numbers])


def ticker(number: int) -> Batch:
    return batch_of(B, [BookTicker(number, "1", "1", "1", "1", 2**60)])


def bar(open_ns: int, at_ns: int, *, final: bool = False) -> Batch:
    return batch_of(
        K, [Kline(open_ns, open_ns + 59, "1", "1", "1", "1", "1", "1", "1", "1", 0, 0, 0, final, at_ns, 2**60)]
    )


class Aggregator:
    """A sequencer with bundles as they come; ``turn`` takes some and publishes."""

    def __init__(self) -> None:
        self.sequencer = sequencer(7)

    def take(self, *batches: Batch) -> bool:
        """Whether it was taken natively."""
        frame = numbered(BUNDLE, 1) + wire.encode_bundle(batches)
        if self.sequencer.take_plain(frame, BUNDLE_BEGIN):
            return True
        for batch in bundle_of(frame):
            self.sequencer.take(batch, 1)
        return False

    def publish(self) -> list[tuple[str, int, Sequence[Event]]]:
        return [
            (topic, sequence, wire.decode_events(frame, wire.read_header(frame)))
            for topic, sequence, frame in self.sequencer.publish(9)
        ]

    def turn(self, *batches: Batch) -> bool:
        taken = self.take(*batches)
        self.publish()
        return taken


def test_what_continues_is_taken_after_python_took_the_first_of_a_topic() -> None:
    one = Aggregator()
    assert [one.turn(trades(1, 2)), one.turn(trades(3)), one.turn(trades(4), ticker(9)), one.turn(trades(5), ticker(11))] == [
        False, True, False, True,
    ]  # fmt: skip
    assert one.sequencer.plain_bundles == 2
    assert one.sequencer.left_bundles == {"topic": 2}
    assert {topic: (state.sequence, state.last_id, state.first_id, state.count) for topic, state in one.sequencer.topics.items()} == {
        T: (4, 5, 1, 5), B: (2, 11, 9, 2),
    }  # fmt: skip
    assert one.sequencer.events == one.sequencer.tally().events == 7
    assert one.sequencer.positions()[T] == PublishedPosition(5, [], TRADES.number)


def test_bundles_of_a_turn_are_one_batch_of_each_topic_with_the_bytes_that_python_makes() -> None:
    one, other = Aggregator(), Sequencer(7)
    one.turn(trades(1), ticker(1))
    other.take(trades(1), 1)
    other.take(ticker(1), 1)
    other.publish(9)
    bundles = [[trades(*range(2, 12)), ticker(5)], [trades(*range(12, 20))], [trades(20), ticker(6)]]
    for bundle in bundles:
        assert one.take(*bundle)
        for batch in bundle:
            other.take(batch, 1)
    assert one.sequencer.publish(9) == other.publish(9)
    assert one.sequencer.publish(9) == []


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        (trades(5), "order"),
        (trades(2), "order"),
        (batch_of(T, [Backfilled(trade(1))]), "schema"),
        (batch_of(T, [Gap(3, 4, "x", 1)]), "schema"),
        (batch_of(T, [BookSnapshot(3, [], [], 2**60)], TRADES), "schema"),
        (trades(3, topic="binance.trade.B"), "topic"),
        (wire.batch_of(T, [trade(3)], renumbered(TRADES.number)), "topic"),
        (msgspec.structs.replace(trades(3), count=2), "form"),
        (msgspec.structs.replace(trades(3), events=b"\xdc\x00\x01" + trades(3).events[1:]), "form"),
        (msgspec.structs.replace(trades(3), events=b"\x91\x90"), "form"),
        (msgspec.structs.replace(trades(3), last_id=2**64 - 1), "form"),
    ],
)
def test_anything_else_is_python_s_with_its_whole_turn(batch: Batch, why: str) -> None:
    one = Aggregator()
    one.turn(trades(1, 2), ticker(1))
    assert one.take(ticker(2))
    frame = numbered(BUNDLE, 1) + wire.encode_bundle([ticker(3), batch])
    assert not one.sequencer.take_plain(frame, BUNDLE_BEGIN)
    one.sequencer.take(ticker(3), 1)
    assert not one.take(ticker(4)), "the turn is Python's to its end"
    assert one.publish() == [(B, 2, [wire.decode_batch(ticker(number))[0] for number in (2, 3, 4)])]
    assert one.sequencer.left_bundles == {"topic": 1, why: 1, "turn": 2} if why != "topic" else {"topic": 2, "turn": 2}
    assert one.turn(ticker(5)), "and the next one is not"


@pytest.mark.parametrize(
    "bundle", [b"", b"\x90", b"\x91", b"\xc0", wire.encode_bundle([trades(3)]) + b"\x00", b"\xdd\xff\xff\xff\xff"]
)
def test_what_is_no_bundle_of_ours_is_left(bundle: bytes) -> None:
    one = Aggregator()
    one.turn(trades(1, 2))
    assert not one.sequencer.take_plain(bundle, 0)
    assert one.sequencer.left_bundles["form"] == 1
    one.publish()
    assert one.turn(trades(3))


def test_who_asks_within_a_turn_is_told_what_was_taken_in_it() -> None:
    one = Aggregator()
    one.turn(trades(1))
    assert one.take(trades(2, 3))
    assert one.sequencer.topics[T].last_id == 3
    assert one.sequencer.events == 3
    assert one.publish() == [(T, 2, [trade(2), trade(3)])]
    assert one.take(trades(4))
    assert one.sequencer.positions()[T].last_id == 4
    assert one.publish() == [(T, 3, [trade(4)])]
    assert one.turn(trades(5))


def test_a_hole_is_found_behind_what_was_taken_natively_and_then_it_goes_on() -> None:
    one = Aggregator()
    one.turn(trades(1))
    assert one.turn(trades(2))
    assert not one.turn(trades(5))
    assert one.sequencer.found_holes == {T: (TRADES.number, [(3, 4)])}
    assert one.turn(trades(6)), "an open gap does not matter to what continues"
    assert not one.turn(batch_of(T, [Backfilled(trade(3))]))
    assert one.sequencer.positions()[T] == PublishedPosition(6, [(4, 4)], TRADES.number)
    assert one.sequencer.topics[T].count == 5


def test_a_hello_finds_topics_where_they_stand_natively() -> None:
    one = Aggregator()
    one.turn(trades(1))
    assert one.take(trades(2))
    one.sequencer.rewind({T: (TRADES.number, 1)}, {}, {T: (TRADES.number, [(1, 1)])}, {})
    assert one.publish() == [(T, 2, [trade(2)])]
    assert one.turn(trades(3))
    assert one.sequencer.positions()[T] == PublishedPosition(3, [], TRADES.number)


def test_bars_may_repeat_and_their_position_is_that_of_the_newest() -> None:
    one = Aggregator()
    one.turn(bar(0, 1))
    assert [one.turn(bar(0, 2)), one.turn(bar(0, 3, final=True)), one.turn(bar(1_000_000, 1_000_001))] == [True] * 3
    assert one.sequencer.topics[K].last_bar == bar(1_000_000, 1_000_001)
    assert one.sequencer.positions()[K].next_id == 1_000_000
    assert one.take(bar(1_000_000, 1_000_002), bar(1_000_000, 1_000_003, final=True))
    one.publish()
    assert one.sequencer.positions()[K].next_id == 2_000_000
    assert not one.turn(bar(0, 4)), "one of an older bar"


def test_ids_that_rise_may_skip_and_those_without_order_anything() -> None:
    one = Aggregator()
    at, anyhow = "binance.mini_ticker.A", Continuity(identity=Identity.TEXT)
    mini = [batch_of(at, [MiniTicker("1", "1", "1", "1", "1", "1", time_ns, 2**60)]) for time_ns in (5, 9, 9)]
    assert [one.turn(batch) for batch in mini] == [False, True, False]
    some = [batch_of("binance.x.A", [trade(number)], anyhow) for number in (5, 2, 9, 9)]
    assert [one.turn(batch) for batch in some] == [False, True, True, True]
    state = one.sequencer.topics["binance.x.A"]
    assert (state.first_id, state.last_id, state.count) == (2, 9, 4)


def test_what_the_feed_makes_of_events_is_taken_whatever_its_ids_and_counts_nowhere() -> None:
    one = Aggregator()

    def top(update_id: int) -> Batch:
        event = BookTop(update_id, "", "", "", "", "stale", 0, 0, 2**60)
        return wire.batch_of("binance.book_top.A", [event], MADE.number)

    assert [one.turn(top(7)), one.turn(top(7)), one.turn(top(3), top(4)), one.turn(top(9))] == [False, True, True, True]
    state = one.sequencer.topics["binance.book_top.A"]
    assert (state.sequence, state.last_id, state.count, state.first_id, one.sequencer.events) == (4, 9, 0, None, 0)


def test_a_topic_is_python_s_again_when_it_continues_in_another_way() -> None:
    one = Aggregator()
    one.turn(trades(1))
    other = wire.batch_of(T, [trade(2)], batch_of(B, [BookTicker(1, "1", "1", "1", "1", 1)]).continuity)
    assert not one.turn(other)
    assert not one.turn(trades(3))
    assert one.turn(trades(4))


@pytest.mark.parametrize("topic", ["", "x" * 1_025])
def test_a_name_that_no_topic_has_stays_python_s(topic: str) -> None:
    one = Aggregator()
    for number in (1, 2):
        assert not one.take(trades(number, topic=topic))
        one.sequencer.publish(9)


def test_what_cannot_be_published_is_not_armed() -> None:
    one = Aggregator()
    one.turn(trades(1))
    for batch in (
        msgspec.structs.replace(trades(2), last_id=2**64 - 1),
        msgspec.structs.replace(trades(1, topic="new"), continuity=-1),
    ):
        one.sequencer.take(batch, 1)
        with pytest.raises((struct.error, OverflowError)):
            one.publish()
        one.publish()
    assert not one.turn(trades(3, topic="new"))


def test_what_is_given_wrongly_is_refused() -> None:
    bundles = native.extension.Bundles({1})
    for schemas, error in ((7, TypeError), ({"x"}, TypeError), ({1_000}, ValueError), ({-1}, OverflowError)):
        with pytest.raises(error):
            native.extension.Bundles(schemas)
    for args in ((T, 4, 0, 1, 1), (T, -1, 0, 1, 1), (T, 0, 0, 1, 2**16)):
        with pytest.raises(ValueError, match="armed"):
            bundles.arm(*args)
    with pytest.raises(ValueError, match="begin"):
        bundles.take(b"short", 6)
    for arguments in ((bytearray(9), 9), (b"x",), (b"x", "y")):
        with pytest.raises(TypeError):
            bundles.take(*arguments)
    assert bundles.arm(T, CHAIN, 0, 1, TRADES.number)
    assert bundles.take(wire.encode_bundle([trades(1)]), 0) == 0
    with pytest.raises(ValueError, match="not now"):
        bundles.arm(T, CHAIN, 0, 1, TRADES.number)
    with pytest.raises(TypeError):
        bundles.block(b"x")


def test_the_numbers_are_those_of_the_header() -> None:
    header = (SOURCES / "publish.h").read_text(encoding="utf-8")
    for name, number in {"CHAIN": CHAIN, "RISING": RISING, "BAR": BAR, "ANY": ANY}.items():
        assert f"PUBLISH_{name} = {number}," in header
    for number, why in enumerate(WHY, start=1):
        assert f"PUBLISH_{why.upper()} = {number}," in header


def test_without_the_extension_python_does_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(sequencer(1), NativeSequencer)
    monkeypatch.setattr(native, "extension", None)
    one = Aggregator()
    assert type(one.sequencer) is Sequencer
    assert not one.turn(trades(1))
    assert not one.turn(trades(2))
    assert one.sequencer.left_bundles == {}
