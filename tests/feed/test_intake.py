"""The data path of a shard, fed by hand: what REST brings without being asked for a hole."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers import wire
from k2workers.continuity import renumbered
from k2workers.errors import StateError
from k2workers.events import (
    ROW_OF,
    Backfilled,
    BookSnapshot,
    BookTicker,
    DepthUpdate,
    Event,
    Gap,
    Kline,
    MiniTicker,
    Reset,
    Trade,
    Void,
)
from k2workers.feed.intake import OUTLIER_EVERY_NS, Intake
from k2workers.feed.message_block import MessageBlock
from k2workers.feed.readability import ENOUGH, PATIENCE_NS
from k2workers.sequencing.book_lane import BookLane
from k2workers.sequencing.coverage import MAX_CLOSED, PublishedPosition
from k2workers.sequencing.doubts import LAG_NS
from k2workers.sequencing.lane import MAX_OPEN
from k2workers.sequencing.sequencer import Sequencer
from k2workers.transport.reassembly import Reassembly
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.streams import CHAIN
from k2workers.wire import SendOutcome
from tests.support.numberings import begin_anew
from tests.support.samples import sample

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
    message = b'{"stream":"busdt@trade","data":{"e":"trade","E":1700000000000000,"s":"BUSDT","t":2,"p":"1","q":"1","T":1700000000000000,"m":true,"M":true}}'
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
    row = '{"e":"24hrMiniTicker","E":1700000000000000,"s":"%s","c":"1","o":"2","h":"3","l":"4","v":"5","q":"6"}'
    elements = [row % "AUSDT", '{"s":"odd"}', "null", row % "BUSDT"]
    message = '{"stream":"!miniTicker@arr","data":[' + ",".join(elements) + "]}"
    intake.on_messages(1, MessageBlock.of([message.encode()]), 1_700_000_000_000_000_000)
    assert pushed == ["binance.mini_ticker.AUSDT", "binance.mini_ticker.BUSDT"]
    assert +intake.dropped.counts == {"odd_element": 2}


def test_a_kind_is_unreadable_while_no_message_or_element_of_it_is_read() -> None:
    venue = BinanceSpot()
    intake = Intake(
        venue.codec(venue.stream_specs(["mini_ticker_all", "trade"], ["AUSDT"])),
        hold_ns=HOLD_NS,
        push=lambda _: None,
        on_reply=lambda *_: None,
        on_notice=lambda _: None,
        observe_latency=lambda _: None,
    )
    readability = intake.dropped.readability
    us = 1_700_000_000_000_000
    element = {"e": "24hrMiniTicker", "E": us, "s": "AUSDT", "c": "1", "o": "2", "h": "3", "l": "4", "v": "5", "q": "6"}
    trade = {"e": "trade", "E": us, "s": "AUSDT", "t": 2, "p": "x", "q": "1", "T": us, "m": True}

    def take(stream: str, data: Any) -> list[str]:
        intake.on_messages(1, MessageBlock.of([msgspec.json.encode({"stream": stream, "data": data})]), 2)
        intake.look_at_kinds(time.monotonic_ns() + 2 * PATIENCE_NS)
        return readability.unreadable

    odd = [{**element, "c": "x"}, None, 5]
    assert take("!miniTicker@arr", [element]) == []
    assert take("!miniTicker@arr", odd) == ["mini_ticker"]
    for _ in range(3):
        shown = take("ausdt@trade", trade)
    assert shown == ["mini_ticker", "trade"]
    assert readability.counts == {"mini_ticker": 3, "trade": 3}
    assert take("!miniTicker@arr", [*odd, element]) == ["trade"]
    assert take("ausdt@trade", {**trade, "p": "1"}) == []


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


def test_gaps_that_are_resumed_and_holes_that_the_aggregator_found_are_looked_into() -> None:
    venue = BinanceSpot()
    intake = Intake(
        venue.codec(venue.stream_specs(["trade"], ["AUSDT", "BUSDT"])), hold_ns=HOLD_NS, push=lambda _: None,
        on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
    )  # fmt: skip
    intake.resume({A: PublishedPosition(9, [(3, 4)]), B: PublishedPosition(9, [])})
    assert intake.incomplete == {0}
    intake.reopen({B: (CHAIN.number, [(5, 6)])})
    assert intake.incomplete == {0, 1}
    assert [lane.wanted() for lane in intake.lanes] == [[(3, 4)], [(5, 6)]]


class Refusing:
    """An intake of one topic whose bundles are refused until it is told otherwise."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.taken: list[Event] = []
        self.sequencer = Sequencer(1)
        self.outcome = SendOutcome.REFUSED
        self.intake = self.made({})
        self.lane = self.intake.lanes[0]

    def made(self, positions: dict[str, PublishedPosition] | None) -> Intake:
        """An intake of the topic that continues after this."""
        venue = BinanceSpot()
        intake = Intake(
            venue.codec(venue.stream_specs([self.kind], ["AUSDT"])), hold_ns=0, push=self._push,
            on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
        )  # fmt: skip
        intake.resume(positions)
        return intake

    def _push(self, bundle: list[wire.Batch]) -> SendOutcome:
        if self.outcome is not SendOutcome.REFUSED:
            self.taken += [event for batch in bundle for event in wire.decode_batch(batch)]
            for batch in bundle:
                self.sequencer.take(batch, 0)
        return self.outcome

    def offer(self, *events: Event, refused: bool = False) -> list[Event]:
        """What went through of these, and of what had to wait."""
        self.outcome = SendOutcome.REFUSED if refused else SendOutcome.SENT
        self.taken = []
        self.intake.add(0, events, 0)
        self.intake.expire(0)
        return self.taken


def test_ids_that_were_refused_are_announced_and_wanted_again() -> None:
    topic = Refusing("trade")
    topic.offer(trade(1))
    for number in (2, 3, 4):
        topic.offer(trade(number), refused=True)
        assert topic.intake.refused
    assert topic.intake.reached() == {A: (CHAIN.number, 4)}
    assert topic.offer(trade(5)) == [Gap(2, 4, "not sent", 4), trade(5)]
    assert (topic.lane.wanted(), topic.intake.incomplete, topic.intake.refused) == ([(2, 4)], {0}, False)
    assert (topic.intake.events, topic.intake.gaps, topic.intake.missing) == (2, 1, 3)


def test_late_events_that_were_refused_are_wanted_again() -> None:
    topic = Refusing("trade")
    topic.offer(trade(1), trade(5))
    topic.outcome = SendOutcome.REFUSED
    topic.intake.fill(0, [trade(2), Void(3, 3, 0), trade(4)], 0)
    assert (topic.lane.wanted(), topic.intake.repaired, topic.intake.voids) == ([(2, 4)], 0, 0)
    topic.offer()
    topic.intake.fill(0, [trade(2), Void(3, 3, 0), trade(4)], 0)
    assert topic.taken[-3:] == [Backfilled(trade(2)), Void(3, 3, 0), Backfilled(trade(4))]
    assert (topic.lane.wanted(), topic.intake.repaired, topic.intake.voids) == ([], 2, 1)
    assert (topic.intake.gaps, topic.intake.missing) == (1, 3)


def test_a_final_bar_that_was_refused_is_announced_and_wanted_again() -> None:
    def bar(opens: int, *, final: bool) -> Kline:
        minute = 60_000_000_000
        close = (opens + 1) * minute - 1_000_000
        return Kline(opens * minute, close, "", "", "", "", "", "", "", "", 0, 0, 0, final, close + final, 0)

    topic = Refusing("kline_1m")
    topic.offer(bar(0, final=False))
    topic.offer(bar(0, final=True), bar(1, final=False), refused=True)
    assert topic.offer(bar(1, final=True)) == [Gap(0, 60_000_000_000 - 1, "not sent", 0), bar(1, final=True)]
    topic.intake.fill(0, [bar(0, final=True)], 0)
    assert topic.taken[-1:] == [Backfilled(bar(0, final=True))]
    topic.offer(bar(2, final=False), refused=True)
    assert topic.offer() == [], "the next state makes it good"


def test_a_book_that_was_refused_is_fetched_again() -> None:
    def diff(number: int) -> DepthUpdate:
        return DepthUpdate(number, number, [("1", str(number))], [], 0, 0)

    topic = Refusing("depth")
    topic.offer(diff(1))
    topic.outcome = SendOutcome.REFUSED
    assert topic.intake.take_book(0, BookSnapshot(1, [], [], 0))
    assert (topic.offer(diff(2)), topic.intake.incomplete) == ([diff(2)], {0})
    assert topic.intake.take_book(0, BookSnapshot(2, [("1", "2")], [], 0))
    assert topic.taken[-1:] == [BookSnapshot(2, [("1", "2")], [], 0)]
    topic.offer(diff(3), refused=True)
    assert topic.offer(diff(4)) == [Gap(3, 3, "not sent", 0), diff(4)]
    assert topic.intake.take_book(0, BookSnapshot(4, [("1", "4")], [], 0))
    assert topic.taken[-1:] == [BookSnapshot(4, [("1", "4")], [], 0)]
    assert topic.intake.gaps_open == 0


def test_a_latest_value_that_was_refused_is_not_missed() -> None:
    topic = Refusing("book_ticker")
    topic.offer(BookTicker(1, "", "", "", "", 0), refused=True)
    second = BookTicker(2, "", "", "", "", 0)
    assert topic.offer(second) == [second]
    assert (topic.intake.incomplete, topic.intake.events) == (set(), 1)


@given(st.lists(st.tuples(st.sampled_from(["live", "lost", "rest"]), st.integers(1, 3), st.booleans()), max_size=30))
def test_whatever_is_refused_every_id_is_published_once_and_nothing_stays_open(
    steps: list[tuple[str, int, bool]],
) -> None:
    topic, newest, published = Refusing("trade"), 1, list[Event]()
    topic.offer(trade(1))
    for what, count, refused in [*steps, ("live", 1, False), ("rest", 1_000, False)]:
        topic.outcome = SendOutcome.REFUSED if refused else SendOutcome.SENT
        if what == "rest":
            wanted = [number for first, last in topic.lane.wanted() for number in range(first, last + 1)]
            topic.intake.fill(0, [trade(number) for number in wanted[:count]], 0)
        else:
            newest += count
            if what == "live":
                topic.offer(*(trade(number) for number in range(newest - count + 1, newest + 1)), refused=refused)
        topic.intake.expire(0)
        for _, _, frame in topic.sequencer.publish(0):
            published += wire.decode_events(frame, wire.read_header(frame))
    ids = sorted(event.first_id for event in published if not isinstance(event, Gap))
    assert ids == list(range(1, newest + 1))
    assert topic.sequencer.found_holes == {}, "the worker announced what it could not send"
    assert (topic.sequencer.gaps_open, topic.intake.gaps_open, topic.intake.missing) == (0, 0, topic.intake.repaired)


# ── ids that begin anew, and gaps that are given up ─────────────────────────────────────────────────────────


def test_ids_that_begin_anew_are_told_in_the_numbering_of_their_batches() -> None:
    topic = Refusing("trade")
    topic.offer(trade(7), trade(9))
    begin_anew(topic.intake, 0, 1)
    assert topic.taken[-1] == Reset(9, 1, topic.taken[-1].at_ns)  # type: ignore[attr-defined]
    assert topic.offer(trade(1), trade(2)) == [trade(1), trade(2)]
    new = renumbered(CHAIN.number)
    assert (topic.intake.reached(), topic.intake.begun) == ({A: (new, 2)}, {A: (new, 1)})
    assert (topic.lane.wanted(), topic.sequencer.gaps_open, topic.sequencer.resets) == ([], 0, 1)
    resumed = Refusing("trade")
    resumed.intake = resumed.made({A: PublishedPosition(2, [], new)})
    assert resumed.intake.reached() == {A: (new, 2)}


def test_a_reset_that_was_refused_is_told_with_what_was_missing_on_both_sides_of_it() -> None:
    topic = Refusing("trade")
    topic.offer(trade(7))
    topic.offer(trade(8), refused=True)
    topic.outcome = SendOutcome.REFUSED
    begin_anew(topic.intake, 0, 1)
    topic.offer(trade(1), trade(2), refused=True)
    assert topic.intake.reached() == {A: (CHAIN.number, 8)}, "what was pushed"
    *told, last = topic.offer(trade(3))
    reset = told[1]
    assert isinstance(reset, Reset)
    assert [*told, last] == [Gap(8, 8, "not sent", 8), Reset(8, 1, reset.at_ns), Gap(1, 2, "not sent", 2), trade(3)]
    assert (topic.lane.wanted(), topic.sequencer.found_holes, topic.sequencer.resets) == ([(1, 2)], {}, 1)
    assert topic.sequencer.positions()[A] == PublishedPosition(3, [(1, 2)], renumbered(CHAIN.number))


def test_latest_values_books_and_bars_begin_anew_too() -> None:
    tickers = Refusing("book_ticker")
    tickers.offer(BookTicker(900, "", "", "", "", 0))
    tickers.outcome = SendOutcome.REFUSED
    begin_anew(tickers.intake, 0, 1)
    first = BookTicker(3, "", "", "", "", 0)
    assert [type(event) for event in tickers.offer(first)] == [Reset, BookTicker]
    book = Refusing("depth")
    book.offer(DepthUpdate(5, 9, [], [], 0, 0))
    book.intake.take_book(0, BookSnapshot(9, [], [], 0))
    begin_anew(book.intake, 0, 1)
    book.offer(DepthUpdate(1, 4, [], [], 0, 0))
    assert isinstance(book.lane, BookLane)
    assert (book.lane.awaits_fetch, book.intake.incomplete) == (True, {0})
    bars = Refusing("kline_1m")
    wrong, right = (sample(ROW_OF[Kline], number) for number in (9, 3))
    bars.offer(wrong)
    bars.outcome = SendOutcome.REFUSED
    begin_anew(bars.intake, 0, right.first_id)
    reset, bar = bars.offer(right)
    assert isinstance(reset, Reset)
    assert (reset.last_old_id, reset.first_new_id, bar) == (wrong.first_id, right.first_id, right)


def test_who_is_to_know_is_told_of_ids_that_began_anew_and_of_glitches() -> None:
    topic, told = Refusing("trade"), []
    topic.intake.on_began_anew = lambda *words: told.append(words)
    topic.intake.on_outlier = lambda *words: told.append(words)
    topic.offer(trade(7))
    topic.offer(trade(10**12))
    assert topic.intake._holding == {0}
    topic.offer(trade(8))
    assert told == [(A, trade(10**12), 1)]
    assert (topic.intake._holding, topic.intake.outliers_by_kind()) == (set(), {"trade": 1})
    begin_anew(topic.intake, 0, 1)
    assert told[1:] == [(A, 8, 1)]


def test_glitches_without_end_are_told_once_in_a_while_with_their_count() -> None:
    topic, told = Refusing("trade"), []
    topic.intake.on_outlier = lambda *words: told.append(words)
    topic.offer(trade(0))
    for number in range(1, 201):
        topic.intake.add(0, [trade(number * 10**12)], 0)
        topic.intake.add(0, [trade(number)], 0)
        topic.intake.expire(number * OUTLIER_EVERY_NS // 100)
    assert told == [(A, trade(number * 10**12), number) for number in (1, 101)]


@pytest.mark.parametrize(
    ("begun", "expecting"),
    [("trade", ["depth", "book_ticker"]), ("book_ticker", ["trade", "depth"]), ("kline_1m", []), ("mini_ticker", [])],
)
def test_ids_of_a_symbol_are_expected_to_begin_anew_with_others_and_times_with_none(
    begun: str, expecting: list[str]
) -> None:
    venue = BinanceSpot()
    kinds = ["trade", "depth", "book_ticker", "kline_1m", "mini_ticker"]
    intake = Intake(
        venue.codec(venue.stream_specs(kinds, ["AUSDT", "BUSDT"])), hold_ns=HOLD_NS, push=lambda _: None,
        on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
    )  # fmt: skip
    first: dict[str, Event] = {
        "trade": trade(9), "depth": DepthUpdate(9, 9, [], [], 0, 0), "book_ticker": BookTicker(9, "", "", "", "", 0),
        "kline_1m": sample(ROW_OF[Kline], 9), "mini_ticker": MiniTicker("1", "1", "1", "1", "1", "1", 9, 9),
    }  # fmt: skip
    intake.resume({})
    for topic_index, topic in enumerate(intake.topics):
        intake.add(topic_index, [first[topic.kind]], 0)
    begin_anew(intake, [topic.topic for topic in intake.topics].index(f"binance.{begun}.AUSDT"), 1)
    assert {
        topic.topic for topic, lane in zip(intake.topics, intake.lanes, strict=True) if lane._doubts is not None
    } == {f"binance.{kind}.AUSDT" for kind in expecting}


def test_where_topics_stood_a_minute_ago_is_remembered() -> None:
    topic = Refusing("book_ticker")
    topic.offer(BookTicker(7, "", "", "", "", 0))
    for minute in range(1, 4):
        topic.intake.expire(minute * LAG_NS - 1)
        before = topic.lane._floor
        topic.intake.expire(minute * LAG_NS)
        assert (before, topic.lane._floor) == ((None, None), (None, 7), (7, 7))[minute - 1]


def test_ten_thousand_hopeless_gaps_stay_with_nobody() -> None:
    topic, subscriber = Refusing("trade"), Reassembly()
    for number in range(0, 20_000, 2):
        topic.offer(trade(number))
        for _, _, frame in topic.sequencer.publish(0):
            subscriber.take(frame, 0)
    assert topic.sequencer.gaps == 9_999
    assert topic.intake.gaps_open == topic.sequencer.gaps_open == MAX_OPEN
    topic.intake.give_up(0, topic.lane.wanted(), "why")
    for _, _, frame in topic.sequencer.publish(0):
        subscriber.take(frame, 0)
    subscriber.ready.clear()
    place = subscriber.position(None, 0).topics[A]
    assert (topic.intake.gaps_open, topic.sequencer.gaps_open, place.open) == (0, 0, [])
    assert topic.sequencer.gaps_given_up == 9_999
    assert len(topic.lane.closed) == len(topic.sequencer.positions()[A].closed) == len(place.closed) == MAX_CLOSED


def late_intake() -> tuple[Intake, list[tuple[str, Event]]]:
    """Two topics of trades and one book, begun without knowing what was published; and what is pushed."""
    pushed: list[tuple[str, Event]] = []
    venue = BinanceSpot()
    intake = Intake(
        venue.codec([*venue.stream_specs(["trade"], ["AUSDT", "BUSDT"]), *venue.stream_specs(["depth"], ["AUSDT"])]),
        hold_ns=HOLD_NS,
        push=lambda bundle: pushed.extend(
            (batch.topic, event) for batch in bundle for event in wire.decode_batch(batch)
        ),
        on_reply=lambda *_: None,
        on_notice=lambda _: None,
        observe_latency=lambda _: None,
    )
    intake.resume({})
    return intake, pushed


def test_a_topic_of_which_nothing_has_come_continues_what_is_told_late() -> None:
    intake, _ = late_intake()
    intake.add(0, [trade(7)], 0)
    assert intake.resume_late({A: PublishedPosition(3, []), B: PublishedPosition(5, [(2, 3)])})
    assert [lane.last_id for lane in intake.lanes] == [7, 5, None]
    assert 1 in intake.incomplete
    assert not intake.resume_late({A: PublishedPosition(3, []), B: PublishedPosition(5, [])})
    assert intake.resume_late({"binance.depth.AUSDT": PublishedPosition(5, [], whole=True)})


def test_ids_that_nobody_has_announced_are_announced_and_wanted() -> None:
    intake, pushed = late_intake()
    intake.resume_late({A: PublishedPosition(7, [])})
    intake.announce({A: (CHAIN.number, [(5, 7)]), "unknown": (CHAIN.number, [(1, 2)])})
    ((topic, gap),) = pushed
    assert isinstance(gap, Gap)
    assert (topic, gap.first_id, gap.last_id, gap.cause) == (A, 5, 7, "not sent")
    assert intake.open_gaps() == {A: (CHAIN.number, [(5, 7)])}
    assert 0 in intake.incomplete


def test_holes_among_ids_that_have_begun_anew_since_are_not_asked_for_as_new_ones() -> None:
    topic = Refusing("trade")
    topic.offer(trade(107))
    begin_anew(topic.intake, 0, 1)
    topic.offer(trade(1), trade(2))
    for told in (topic.intake.reopen, topic.intake.announce):
        told({A: (CHAIN.number, [(1, 1), (101, 105)])})
        assert (topic.lane.wanted(), topic.lane.ready) == ([], [])
    topic.intake.reopen({A: (renumbered(CHAIN.number), [(2, 2)])})
    assert topic.lane.wanted() == [(2, 2)]


def test_what_comes_after_a_reset_that_was_refused_is_of_the_new_ids() -> None:
    topic = Refusing("trade")
    topic.offer(trade(7), trade(9))
    topic.outcome = SendOutcome.REFUSED
    begin_anew(topic.intake, 0, 1)
    topic.intake.announce({A: (CHAIN.number, [(8, 8)])})
    assert [type(event) for event in topic.lane.ready] == [Reset]
    assert topic.intake.open_gaps() == {}
    topic.offer(trade(1), trade(3), refused=True)
    assert topic.intake.open_gaps() == {A: (renumbered(CHAIN.number), [(1, 3)])}


@pytest.mark.parametrize(("known", "counts"), [(0, 1), (1, 2), (3, 4)])
def test_who_began_without_being_told_counts_on_from_the_numbering_that_is_known(known: int, counts: int) -> None:
    topic = Refusing("trade")
    topic.intake._told = False
    topic.offer(trade(500))
    begin_anew(topic.intake, 0, 1)
    published = {A: PublishedPosition(400, [], renumbered(CHAIN.number, known))}
    for _ in range(2):  # the second aggregator knows what the first one was sent, or less
        assert not topic.intake.resume_late(published)
        assert topic.intake.begun == {A: (renumbered(CHAIN.number, counts), 1)}


def test_gaps_that_are_open_elsewhere_are_wanted_by_who_began_without_being_told() -> None:
    topic = Refusing("trade")
    topic.intake = topic.made(None)
    topic.lane = topic.intake.lanes[0]
    topic.offer(trade(106))
    topic.intake.incomplete.clear()
    published = {A: PublishedPosition(105, [(104, 104)], CHAIN.number)}
    assert not topic.intake.resume_late(published)
    assert (topic.lane.wanted(), topic.intake.incomplete) == ([(104, 104)], {0})
    topic.intake.fill(0, [trade(104)], 0)
    topic.intake.resume_late(published)
    assert topic.lane.wanted() == [], "it was sent: whether it came, others tell"


@pytest.mark.parametrize("text", [b'{"stream":"busdt@kline_1d","data":{"e":"kline"}}', b'{"e":"maintenance","in":600}'])
def test_messages_that_are_no_data_of_ours_are_counted_and_say_nothing_of_any_kind(text: bytes) -> None:
    venue = BinanceSpot()
    intake = Intake(
        venue.codec(venue.stream_specs(["kline_1d", "trade"], ["AUSDT"])), hold_ns=0, push=lambda _: None,
        on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
    )  # fmt: skip
    intake.resume({})
    for _ in range(ENOUGH):
        intake.on_messages(1, MessageBlock.of([text]), 0)
    intake.look_at_kinds(time.monotonic_ns() + 2 * PATIENCE_NS)
    assert (intake.dropped.counts.total(), intake.dropped.readability.unreadable) == (ENOUGH, [])
