"""What of a topic is new, and what is missing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from k2workers.continuity import RECORDS, Continuity, Identity, renumbered
from k2workers.events import (
    LATE,
    SCHEMA_OF,
    Backfilled,
    BookSnapshot,
    DepthUpdate,
    Event,
    Gap,
    GivenUp,
    Kline,
    Status,
    Trade,
    Void,
)
from k2workers.sequencing.coverage import (
    MAX_CLOSED,
    NOT_KNOWN,
    ChainStep,
    Coverage,
    chain_step,
    is_before,
    next_id_before,
)
from k2workers.venues.binance.streams import BAR, BOOK, CHAIN

MINUTE_NS = 60_000_000_000


def test_the_first_event_of_a_topic_begins_its_chain() -> None:
    assert chain_step(None, 42, 42) is ChainStep.NEXT


@pytest.mark.parametrize(
    ("first_id", "last_id", "step"),
    [
        (11, 11, ChainStep.NEXT),
        (11, 15, ChainStep.NEXT),
        (10, 10, ChainStep.OLD),
        (3, 10, ChainStep.OLD),
        (10, 11, ChainStep.OVERLAPS),
        (3, 15, ChainStep.OVERLAPS),
        (12, 12, ChainStep.AHEAD),
        (12, 20, ChainStep.AHEAD),
    ],
)
def test_an_event_after_id_10(first_id: int, last_id: int, step: ChainStep) -> None:
    assert chain_step(10, first_id, last_id) is step


@given(last=st.integers(0, 60), first=st.integers(0, 60), length=st.integers(0, 20))
def test_the_step_says_which_ids_are_new_and_which_are_missing(last: int, first: int, length: int) -> None:
    had, event = set(range(last + 1)), set(range(first, first + length + 1))
    missing = set(range(last + 1, first))
    step = chain_step(last, first, first + length)
    if not event - had:
        assert step is ChainStep.OLD
    elif missing:
        assert step is ChainStep.AHEAD
    elif event & had:
        assert step is ChainStep.OVERLAPS
    else:
        assert step is ChainStep.NEXT


def coverage(continuity: Continuity = CHAIN) -> Coverage:
    made = Coverage()
    made.learn(continuity.number)
    return made


def trade(number: int) -> Trade:
    return Trade(number, "", "", True, 0, 0, 0)


class OneTopic(RuleBasedStateMachine):
    """Whatever comes, in whatever order and however often, each id is admitted once: as data, as void, or late."""

    def __init__(self) -> None:
        super().__init__()
        self.topic = coverage(BOOK)
        self.dealt_with: list[int] = []
        self.announced: set[int] = set()

    @rule(
        first=st.integers(0, 30),
        length=st.integers(0, 5),
        kind=st.sampled_from(["data", "gap", "void", "given up", "late"]),
    )
    def comes(self, first: int, length: int, kind: str) -> None:
        last = first + length
        diff = DepthUpdate(first, last, [], [], 0, 0)
        event: Event = {
            "data": diff,
            "gap": Gap(first, last, "", 0),
            "void": Void(first, last, 0),
            "given up": GivenUp(first, last, "", 0),
            "late": Backfilled(diff),
        }[kind]
        closed_before = {number for low, high in self.topic.closed for number in range(low, high + 1)}
        open_before = {number for low, high in self.topic.open for number in range(low, high + 1)}
        reached = self.topic.last_id
        new = self.topic.admit(event)
        ids = set() if new is None else set(range(new.first_id, new.last_id + 1))
        fresh = {number for number in ids if number > reached}
        if kind == "late":
            assert bool(new) == bool((open_before | closed_before) & set(range(first, last + 1)))
        elif kind == "gap":
            assert ids == fresh
            self.announced |= ids
        elif kind in {"void", "given up"}:
            assert ids == fresh or ids & open_before
        else:
            assert ids == fresh == {number for number in range(first, last + 1) if number > reached}
        still_open = {number for low, high in self.topic.open for number in range(low, high + 1)}
        assert still_open <= self.announced
        if kind in {"late", "void", "given up"}:
            assert not still_open & set(range(first, last + 1))
        closed = {number for low, high in self.topic.closed for number in range(low, high + 1)}
        told = fresh | (open_before & set(range(first, last + 1))) if kind in {"void", "given up"} and new else set()
        assert closed == (closed_before | told) - (set(range(first, last + 1)) if kind == "late" else set())

    @invariant()
    def what_is_open_lies_below_the_last_id(self) -> None:
        assert all(last <= self.topic.last_id for _, last in self.topic.open)


TestOneTopic = OneTopic.TestCase
TestOneTopic.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_nothing_is_judged_before_a_batch_has_told_how_ids_continue() -> None:
    topic = Coverage()
    assert (topic.continuity, topic.chained, topic.ordered) == (RECORDS, False, False)
    with pytest.raises(ValueError, match="no continuity"):
        topic.learn(2**16)
    assert topic.continuity_number == NOT_KNOWN


@pytest.mark.parametrize(
    ("continuity", "schema", "first_id", "all_new"),
    [
        (CHAIN, SCHEMA_OF[Trade], 8, True),
        (CHAIN, SCHEMA_OF[Trade], 7, False),
        (CHAIN, SCHEMA_OF[Gap], 8, False),
        (CHAIN, LATE + SCHEMA_OF[Trade], 8, False),
        (BOOK, SCHEMA_OF[BookSnapshot], 8, False),
        (BAR, SCHEMA_OF[Kline], 8, False),
        (RECORDS, SCHEMA_OF[Status], 7, True),
        (RECORDS, SCHEMA_OF[Trade], 1, True),
        (CHAIN, 77, 8, False),
    ],
)
def test_a_batch_is_all_new_only_if_its_first_id_tells(
    continuity: Continuity, schema: int, first_id: int, all_new: bool
) -> None:
    topic = coverage(continuity)
    topic.last_id = 7
    assert topic.all_new(schema, first_id) is all_new


def test_a_gap_or_void_among_bars_keeps_the_bar_that_came_before_but_not_its_last_state() -> None:
    topic = coverage(BAR)
    topic.last_id = 60
    assert topic.admit(Gap(60, 119, "", 0)) == Gap(60, 119, "", 0)
    assert list(topic.open) == [(60, 119)]
    assert topic.admit(Void(119, 150, 0)) == Void(119, 150, 0)
    assert topic.admit(Void(140, 150, 0)) is None


def test_a_gap_of_bars_that_a_life_does_not_know_to_have_been_final_names_only_those_that_are_missing() -> None:
    def bar(opens_ns: int, *, final: bool) -> Kline:
        close_ns = opens_ns + MINUTE_NS - 1
        return Kline(opens_ns, close_ns, "", "", "", "", "", "", "", "", 0, 0, 0, final, close_ns, 0)

    topic = coverage(BAR)
    for opens_ns in (0, MINUTE_NS):
        topic.admit(bar(opens_ns, final=True))
    assert topic.admit(Gap(MINUTE_NS, 2 * MINUTE_NS - 1, "", 0)) is None
    assert topic.admit(Backfilled(bar(MINUTE_NS, final=True))) is None
    assert topic.admit(Gap(0, 3 * MINUTE_NS - 1, "", 0)) == Gap(2 * MINUTE_NS, 3 * MINUTE_NS - 1, "", 0)
    topic.admit(bar(3 * MINUTE_NS, final=False))
    assert topic.admit(Gap(2 * MINUTE_NS, 4 * MINUTE_NS - 1, "", 0)) == Gap(3 * MINUTE_NS, 4 * MINUTE_NS - 1, "", 0)


def test_a_snapshot_makes_every_gap_below_it_good_and_an_older_one_is_old() -> None:
    topic = coverage(BOOK)
    topic.admit(DepthUpdate(1, 5, [], [], 0, 0))
    topic.admit(Gap(6, 9, "", 0))
    assert topic.admit(BookSnapshot(8, [], [], 0)) is None
    assert topic.admit(BookSnapshot(9, [], [], 0)) is not None
    assert (list(topic.open), topic.filled) == ([], 4)


def test_events_whose_ids_have_no_order_all_pass() -> None:
    topic = coverage(Continuity(identity=Identity.TEXT))
    assert [topic.admit(trade(number)) for number in (5, 3, 5)] == [trade(5), trade(3), trade(5)]
    assert topic.last_id == 5


def test_the_final_state_of_a_bar_follows_every_other_and_nothing_follows_it() -> None:
    def bar(at_ns: int, *, final: bool = False) -> Kline:
        return Kline(0, 59, "", "", "", "", "", "", "", "", 0, 0, 0, final, at_ns, 0)

    topic = coverage(BAR)
    states = [bar(5), bar(59), bar(59, final=True), bar(60), bar(59, final=True)]
    assert [topic.admit(state) for state in states] == [*states[:3], None, None]


def test_what_fills_a_gap_is_new_also_when_a_life_sends_it_in_its_order() -> None:
    trade, state = Trade(5, "1", "1", True, 0, 0, 1), Coverage(9, [(4, 6)])
    state.learn(CHAIN.number)
    assert state.admit(trade) == Backfilled(trade)
    assert state.admit(trade) is None
    assert (list(state.open), state.last_id) == ([(4, 4), (6, 6)], 9)
    book = Coverage(9, [(4, 6)])
    book.learn(BOOK.number)
    assert book.admit(DepthUpdate(4, 6, [], [], 0, 1)) is None, "only a book heals a book"


def test_a_final_bar_fills_a_gap_also_when_a_life_sends_it_in_its_order() -> None:
    bars = Coverage(200, [(60, 119)])
    bars.learn(BAR.number)
    last = Kline(60, 119, "1", "1", "1", "1", "1", "1", "1", "1", 0, 0, 0, True, 119, 1)
    update = Kline(60, 119, "1", "1", "1", "1", "1", "1", "1", "1", 0, 0, 0, False, 90, 1)
    assert bars.admit(update) is None
    assert bars.open
    assert bars.admit(last) is not None


def test_what_comes_for_closed_ids_is_new_also_when_a_life_sends_it_in_its_order() -> None:
    trade, state = Trade(5, "1", "1", True, 0, 0, 1), Coverage(9, [], [(4, 6)])
    state.learn(CHAIN.number)
    assert [state.admit(trade), state.admit(trade)] == [Backfilled(trade), None]
    assert list(state.closed) == [(4, 4), (6, 6)]
    bars = Coverage(200, [], [(60, 119)])
    bars.learn(BAR.number)
    last = Kline(60, 119, "1", "1", "1", "1", "1", "1", "1", "1", 0, 0, 0, True, 119, 1)
    assert [bars.admit(last), bars.admit(last)] == [Backfilled(last), None]


def test_closed_ids_are_remembered_up_to_a_bound_and_the_newest_of_them() -> None:
    topic = coverage(CHAIN)
    for number in range(0, 4 * MAX_CLOSED, 2):
        topic.admit(trade(number))
        topic.admit(Void(number + 1, number + 1, 0))
    assert len(topic.closed) == MAX_CLOSED
    assert topic.admit(Backfilled(trade(1))) is None
    last_id = 4 * MAX_CLOSED - 1
    assert topic.admit(Backfilled(trade(last_id))) == Backfilled(trade(last_id))


def test_gaps_of_old_ids_are_none_of_the_new_ones() -> None:
    topic = coverage(CHAIN)
    for event in (trade(1), Gap(2, 5, "", 0), Void(6, 7, 0)):
        topic.admit(event)
    topic.begin_anew(renumbered(CHAIN.number), 3)
    assert (topic.last_id, list(topic.open), list(topic.closed)) == (2, [], [])
    assert topic.admit(Backfilled(trade(4))) is None


def test_a_place_is_before_another_by_its_numbering_and_then_by_its_id() -> None:
    old, new = CHAIN.number, renumbered(CHAIN.number)
    assert is_before((old, 3), (old, 4))
    assert not is_before((old, 4), (old, 4))
    assert is_before((old, 900), (new, 1))
    assert not is_before((new, 1), (old, 900))


def test_a_batch_of_books_stands_for_all_ids_up_to_its_own() -> None:
    assert next_id_before(SCHEMA_OF[BookSnapshot], 7, 7) == 8
    assert next_id_before(SCHEMA_OF[Trade], 7, 9) == 7


def test_what_comes_again_after_a_restart_is_new_whatever_came_before() -> None:
    number = CHAIN.number
    fresh = Coverage()
    fresh.restart(number, 9)
    assert (fresh.continuity_number, fresh.last_id) == (number, 9)
    known = Coverage(20, [(5, 6), (12, 13)], [(3, 3), (15, 15)])
    known.learn(number)
    known.restart(number, 9)
    assert (known.last_id, list(known.open), list(known.closed)) == (9, [(5, 6)], [(3, 3)])
    known.restart(renumbered(number), 4)
    assert (known.continuity_number, known.last_id) == (renumbered(number), 4)
    assert (list(known.open), list(known.closed)) == ([], [])
