"""Which topics are unproven, quiet or silent, by what they bring and what looks at the market show."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from k2workers.feed.fetches import BURST
from k2workers.feed.liveness import LEARNED_AFTER
from k2workers.feed.silence import (
    FEW,
    FIRST_PAUSE_NS,
    FORGET_PAUSES_NS,
    LATE_NS,
    LONGEST_PAUSE_NS,
    NEW_LINE_NS,
    NO_ANSWER_NS,
    SETTLE_NS,
    UNTOLD_NS,
    Finding,
    LookUrgency,
    MarketView,
    Silence,
)
from k2workers.venues.market_evidence import Evidence, SymbolSeen

S = 1_000_000_000
TRADES, TOPS, NONE = Evidence.TRADES, Evidence.TOPS, Evidence.NONE
OWN = Evidence.OWN_TRADES
SETTLE_S = SETTLE_NS // S
LATE_S = LATE_NS // S


class Shard:
    """Topics of one symbol each (or of those named), with a line that carries the feed from second 100 on."""

    def __init__(self, *kinds: Evidence, by_id: bool = True, symbols: Sequence[str] = "") -> None:
        self.silence = Silence()
        self.second = 100
        self.heard = [0] * len(kinds)
        self.newest: list[int | str | None] = [None] * len(kinds)
        self.symbols = symbols or "ABCDEFGHIJ"[: len(kinds)]
        self.found: list[Finding] = []
        for symbol, kind in zip(self.symbols, kinds, strict=True):
            self.silence.serve(symbol, kind, by_id=by_id, now_ns=50 * S)
        self.silence.renewed(100 * S)

    def brings(self, *topics: int, newest: int | str | None = None) -> None:
        """A line delivers something of these topics now."""
        for topic in topics:
            self.heard[topic] = self.second * S
            self.newest[topic] = newest

    def passes(self, seconds: int, *busy: int) -> Finding:
        """Seconds pass, in each of which these topics bring something; what was found in them together."""
        together = Finding()
        for _ in range(seconds):
            self.second += 1
            self.brings(*busy)
            found = self.silence.look(self.heard, self.newest, self.second * S)
            together.silent += found.silent
            together.fetch += found.fetch
            together.rotate = together.rotate or found.rotate
        return together

    def shows(self, **seen: int | str | SymbolSeen | None) -> bool | None:
        """A look at the market: of each symbol its last trade, its best prices, or both."""
        symbols = {}
        for symbol, shown in seen.items():
            if isinstance(shown, SymbolSeen):
                symbols[symbol] = shown
            else:
                trade = shown if isinstance(shown, int) else None
                symbols[symbol] = SymbolSeen(trade, shown if isinstance(shown, str) else None)
        return self.silence.seen(MarketView(self.second * S, symbols), self.newest, self.second * S)

    @property
    def counts(self) -> tuple[set[int], set[int], set[int]]:
        """The silent topics, the unproven, the quiet."""
        return self.silence.silent, self.silence.unproven, self.silence.quiet

    def look_wanted(self) -> LookUrgency:
        return self.silence.look_wanted(self.second * S)


# ── topics without any event ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "by_id", "shown", "before"),
    [(OWN, True, 7, 7), (OWN, True, -1, None), (OWN, False, 7, None), (TRADES, True, 7, None)],
)
def test_where_a_topic_begins_that_brought_nothing_yet_is_known_from_the_first_look(
    kind: Evidence, by_id: bool, shown: int, before: int | None
) -> None:
    shard = Shard(kind, by_id=by_id)
    assert shard.silence.before_first(0) is None
    for last_trade in (shown, 9):
        shard.passes(3)
        shard.shows(A=last_trade)
    assert shard.silence.before_first(0) == before
    shard.passes(1, 0)
    assert shard.silence.before_first(0) is None


def test_a_topic_is_unproven_until_its_first_event_and_asked_for_soon() -> None:
    shard = Shard(TRADES, TOPS)
    assert shard.counts == (set(), {0, 1}, set())
    assert shard.look_wanted() is LookUrgency.NO
    shard.passes(2, 0)
    assert shard.counts == (set(), {1}, set())
    assert shard.look_wanted() is LookUrgency.AT_ONCE
    shard.shows(A=7, B="1 2")
    assert shard.look_wanted() is LookUrgency.NO
    shard.passes(4, 0)
    assert shard.look_wanted() is LookUrgency.AT_ONCE, "the second look is the one that tells"
    assert shard.shows(A=8, B="1 3") is None, "the first one may have been older than the line"
    shard.passes(4, 0)
    assert shard.look_wanted() is LookUrgency.AT_ONCE
    shard.passes(1, 1)
    assert shard.counts == (set(), set(), set())
    assert shard.look_wanted() is LookUrgency.NO


def test_a_stream_that_the_venue_refuses_is_no_riddle_and_no_other_line_is_tried_for_it() -> None:
    for refused, counts, found in (
        (frozenset[int](), ({0}, {1}, set[int]()), Finding(silent=[0], fetch=[0], rotate=True)),
        (frozenset({0, 1}), (set[int](), set[int](), set[int]()), Finding(fetch=[0])),
    ):
        shard = Shard(TRADES, TRADES)
        shard.silence.refused = refused
        shard.passes(LATE_S)
        shard.shows(A=7, B=7)
        shard.passes(8)
        shard.shows(A=9)
        assert shard.passes(SETTLE_S) == found, "what the venue has of it is fetched"
        assert shard.counts == counts


@pytest.mark.parametrize(("first", "then"), [(7, 9), (-1, 0)])
def test_an_acknowledged_topic_that_never_brings_anything_is_silent_once_the_market_has_moved(
    first: int, then: int
) -> None:
    shard = Shard(TRADES)
    shard.passes(LATE_S)
    assert shard.shows(A=first) is None, "nothing to compare with"
    shard.passes(8)
    assert shard.counts == (set(), {0}, set())
    assert shard.shows(A=then) is True
    assert shard.passes(SETTLE_S - 1) == Finding(), "it may be on its way"
    assert shard.passes(1) == Finding(silent=[0], fetch=[0], rotate=True)
    assert shard.counts == ({0}, set(), set())


def test_an_acknowledged_topic_of_best_prices_that_never_brings_any_is_silent_once_two_looks_show_others() -> None:
    shard = Shard(TOPS)
    shard.passes(LATE_S)
    assert shard.shows(A="1 2") is None
    shard.passes(8)
    assert shard.shows(A="1 3") is None
    assert shard.look_wanted() is LookUrgency.AT_ONCE
    shard.passes(3)
    assert shard.counts == (set(), {0}, set())
    assert shard.shows(A="1 4") is True
    assert shard.passes(1) == Finding(silent=[0], fetch=[0], rotate=True), "the first news had its time"


@pytest.mark.parametrize(("kind", "shown"), [(TRADES, (7, 8, 9)), (TOPS, ("1 2", "1 3", "1 4"))])
def test_a_topic_that_a_busy_market_withholds_from_a_new_line_is_silent_ten_seconds_after_it_came(
    kind: Evidence, shown: tuple[int | str, ...]
) -> None:
    shard, shown_last = Shard(kind), None
    for seconds, each in zip((2, 4, 4), shown, strict=True):
        shard.passes(seconds)
        assert shard.look_wanted() is LookUrgency.AT_ONCE
        shown_last = shard.shows(A=each)
    assert shown_last is True
    assert shard.passes(1).silent == [0]


def test_a_topic_of_which_a_new_line_has_brought_nothing_is_judged_as_soon_as_one_that_never_brought_anything() -> None:
    shard = Shard(TOPS)
    shard.passes(30, 0)
    shard.passes(1)
    shard.silence.renewed(shard.second * S)
    assert shard.look_wanted() is LookUrgency.NO
    shard.passes(2)
    assert shard.look_wanted() is LookUrgency.AT_ONCE
    shard.shows(A="1 2")
    assert shard.look_wanted() is LookUrgency.NO
    shard.passes(4)
    assert shard.look_wanted() is LookUrgency.AT_ONCE
    assert shard.shows(A="1 3") is None
    shard.passes(4)
    assert shard.shows(A="1 4") is True
    assert shard.passes(1).silent == [0]
    assert shard.silence.silent == {0}


@pytest.mark.parametrize(("kind", "shown"), [(TRADES, 7), (TRADES, -1), (TOPS, "1 2")])
def test_a_topic_is_quiet_if_the_market_has_not_moved(kind: Evidence, shown: int | str) -> None:
    shard = Shard(kind)
    shard.passes(3)
    shard.shows(A=shown)
    shard.passes(8)
    assert shard.shows(A=shown) is False
    assert shard.counts == (set(), set(), {0})
    assert shard.passes(60) == Finding()
    assert shard.look_wanted() is LookUrgency.SOON, "also a quiet topic is asked for again"


def test_an_older_last_trade_is_no_news() -> None:
    shard = Shard(TRADES)
    shard.passes(3)
    shard.shows(A=7)
    shard.passes(8)
    assert shard.shows(A=6) is False


def test_what_was_shown_before_a_topic_was_served_or_its_line_came_is_not_compared() -> None:
    shard = Shard(TRADES)
    assert shard.silence.seen(MarketView(99 * S, {"A": SymbolSeen(7, None)}), [None], 101 * S) is None
    shard.passes(5)
    shard.shows(A=8)
    shard.silence.renewed(shard.second * S)
    shard.passes(5)
    assert shard.shows(A=9) is None


def test_a_topic_of_which_neither_a_line_nor_a_look_has_told_for_long_is_not_taken_on_trust() -> None:
    shard = Shard(TRADES, TRADES, NONE)
    shard.passes(1, 0, 1, 2)
    shard.passes(80)
    shard.shows(A=0)
    shard.passes(int(UNTOLD_NS / S), 1)
    assert shard.counts[1] == set()
    shard.passes(1)
    assert shard.counts[1] == {0}
    shard.passes(int(UNTOLD_NS / S))
    assert shard.counts[1] == {0, 1}, "and never one of which nobody can tell"
    shard.shows(A=0, B=0)
    shard.passes(1)
    assert shard.counts[1] == set()


def test_a_symbol_that_a_look_does_not_tell_of_stays_in_question() -> None:
    shard = Shard(TRADES)
    shard.passes(12)
    assert shard.shows() is None
    assert shard.counts == (set(), {0}, set())
    assert shard.look_wanted() is LookUrgency.SOON


@pytest.mark.parametrize("seen", [SymbolSeen(None, None, trading=False), SymbolSeen(None, None)])
@pytest.mark.parametrize("kind", [TRADES, TOPS])
def test_a_symbol_that_is_not_listed_any_longer_owes_nothing(kind: Evidence, seen: SymbolSeen) -> None:
    shard = Shard(kind)
    shard.passes(12)
    assert shard.shows(A=seen) is False
    assert shard.counts == (set(), set(), {0})
    assert shard.silence.at_rest == (set() if seen.trading else {0})


def test_a_symbol_that_brings_something_trades_whatever_was_shown_before_and_is_shown_now() -> None:
    shard = Shard(TOPS)
    shard.passes(12)
    shard.shows(A=SymbolSeen(None, None, trading=False))
    assert shard.silence.at_rest == {0}
    shard.passes(1, 0)
    assert shard.silence.at_rest == set()
    shard.passes(3)
    shard.shows(A=SymbolSeen(None, None, trading=False))
    assert shard.silence.at_rest == set()
    shard.passes(5)
    shard.shows(A=SymbolSeen(None, None, trading=False))
    assert shard.silence.at_rest == {0}


def test_the_book_of_a_symbol_that_does_not_trade_owes_nothing_though_its_prices_change() -> None:
    shard = Shard(TOPS)
    shard.passes(3)
    shard.shows(A="1 2")
    shard.passes(8)
    assert shard.shows(A=SymbolSeen(7, "0 0", trading=False)) is False


def test_of_some_kinds_nobody_can_tell_and_they_are_never_in_question() -> None:
    shard = Shard(NONE)
    assert shard.passes(60) == Finding()
    assert shard.counts == (set(), set(), set())
    assert shard.look_wanted() is LookUrgency.NO
    assert shard.shows(A=7) is None


# ── topics that have brought something ──────────────────────────────────────────────────────────────────────


def test_a_topic_that_is_behind_the_last_trade_is_silent_after_one_look() -> None:
    shard = Shard(TRADES)
    shard.brings(0, newest=7)
    shard.passes(9)
    assert shard.look_wanted() is LookUrgency.SOON
    assert shard.shows(A=8) is True
    assert shard.passes(SETTLE_S) == Finding(silent=[0], fetch=[0], rotate=True)


def test_a_topic_that_told_other_best_prices_is_silent_after_two_looks() -> None:
    shard = Shard(TOPS)
    shard.brings(0, newest="1 2")
    shard.passes(9)
    assert shard.shows(A="1 2") is False
    assert shard.shows(A="1 3") is None
    assert shard.look_wanted() is LookUrgency.AT_ONCE, "another look is to confirm it"
    shard.passes(3)
    assert shard.shows(A="1 4") is True
    assert shard.passes(1) == Finding(silent=[0], fetch=[0], rotate=True)


def test_best_prices_that_changed_while_there_was_no_line_are_nobodys_silence() -> None:
    shard = Shard(TOPS)
    shard.brings(0, newest="1 2")
    shard.passes(1)
    shard.silence.renewed(shard.second * S)
    shard.passes(2)
    assert shard.look_wanted() is LookUrgency.AT_ONCE
    assert shard.shows(A="1 3") is None
    assert shard.passes(4) == Finding()
    assert shard.look_wanted() is LookUrgency.AT_ONCE
    assert shard.shows(A="1 3") is False
    assert shard.counts == (set(), set(), {0})


# ── answers that are behind the streams ─────────────────────────────────────────────────────────────────────


def test_a_trade_that_was_told_is_no_news_when_the_answers_catch_up() -> None:
    shard = Shard(TRADES)
    shard.brings(0, newest=100)
    shard.passes(1)
    shard.shows(A=99)
    shard.passes(11)
    assert shard.shows(A=100) is False
    assert shard.passes(SETTLE_S) == Finding()


@pytest.mark.parametrize("told", ["1 3", None])
def test_best_prices_are_not_compared_with_an_answer_that_may_be_older_than_the_event_that_told_them(
    told: str | None,
) -> None:
    shard = Shard(TOPS)
    shard.passes(2)
    shard.brings(0, newest=told)
    shard.passes(2)
    shard.shows(A="1 2")
    shard.passes(2)
    shard.shows(A="1 2")
    for _ in range(4):
        shard.passes(4)
        assert shard.shows(A="1 3") is not True
        assert shard.passes(SETTLE_S) == Finding()
    assert shard.counts == (set(), set(), {0})


@pytest.mark.parametrize(("kind", "first", "then"), [(TRADES, 7, 8), (TOPS, "1 2", "1 3")])
def test_what_happened_just_before_a_line_came_is_no_news_when_the_answers_catch_up(
    kind: Evidence, first: int | str, then: int | str
) -> None:
    shard = Shard(kind)
    shard.passes(2)
    shard.shows(A=first)
    for _ in range(3):
        shard.passes(4)
        assert shard.shows(A=then) is not True
    assert shard.passes(SETTLE_S) == Finding()
    assert shard.counts == (set(), set(), {0})


@pytest.mark.parametrize("told", ["1 3", None])
def test_one_stale_answer_is_no_news(told: str | None) -> None:
    shard = Shard(TOPS)
    shard.brings(0, newest=told)
    shard.passes(9)
    shard.shows(A="1 3")
    shard.passes(10)
    assert shard.shows(A="1 2") is None
    shard.passes(3)
    assert shard.shows(A="1 3") is False
    assert shard.passes(SETTLE_S) == Finding()
    shard.passes(10)
    assert shard.shows(A="1 2") is None, "two stale ones with a good one between them are none either"
    assert shard.passes(SETTLE_S) == Finding()


def test_what_comes_meanwhile_was_on_its_way() -> None:
    shard = Shard(TRADES)
    shard.brings(0, newest=7)
    shard.passes(9)
    shard.shows(A=8)
    shard.brings(0, newest=8)
    assert shard.passes(30) == Finding()
    assert shard.counts == (set(), set(), set())


def test_a_second_look_meanwhile_gives_no_more_time() -> None:
    shard = Shard(TRADES)
    assert shard.silence.served == 1
    shard.brings(0, newest=7)
    shard.passes(9)
    shard.shows(A=8)
    shard.passes(1)
    shard.shows(A=8)
    assert shard.passes(SETTLE_S - 1).silent == [0]


def test_a_topic_that_brought_something_just_before_the_look_flows() -> None:
    shard = Shard(TRADES, TOPS)
    shard.passes(9, 0, 1)
    assert shard.shows(A=8, B="1 2") is None
    shard.passes(9, 0)
    shard.shows(A=9, B="1 3")
    shard.brings(1)
    shard.passes(9, 0)
    assert shard.shows(A=10, B="1 4") is None, "the comparison begins anew with each event"


def test_a_topic_that_has_the_last_trade_is_quiet_after_one_look() -> None:
    shard = Shard(TRADES)
    shard.brings(0, newest=7)
    shard.passes(9)
    assert shard.shows(A=7) is False
    assert shard.counts == (set(), set(), {0})


def test_a_silent_topic_whose_trades_were_fetched_stays_silent_as_long_as_its_line_is_the_same() -> None:
    shard = Shard(TRADES)
    shard.brings(0, newest=7)
    shard.passes(9)
    shard.shows(A=8)
    shard.passes(SETTLE_S)
    shard.newest = [8]
    for _ in range(3):
        shard.passes(10)
        shard.shows(A=8)
        assert shard.counts == ({0}, set(), set())
    shard.brings(0, newest=9)
    shard.passes(1)
    assert shard.counts == (set(), set(), set())


def test_a_silent_topic_is_quiet_when_another_line_has_nothing_to_bring_either() -> None:
    shard = Shard(TRADES)
    shard.brings(0, newest=7)
    shard.passes(9)
    shard.shows(A=8)
    shard.passes(SETTLE_S)
    shard.newest = [8]
    shard.silence.renewed(shard.second * S)
    shard.passes(5)
    shard.shows(A=8)
    assert shard.counts == ({0}, set(), set()), "a comparison takes two looks"
    shard.passes(10)
    shard.shows(A=8)
    assert shard.counts == (set(), set(), {0})


def test_a_silent_topic_whose_symbol_is_not_listed_any_longer_is_quiet_at_once() -> None:
    shard = Shard(TRADES)
    shard.brings(0, newest=7)
    shard.passes(9)
    shard.shows(A=8)
    shard.passes(SETTLE_S)
    shard.shows(A=None)
    assert shard.counts == (set(), set(), {0})


def test_what_is_missing_is_fetched_again_at_each_look_that_shows_more() -> None:
    shard = Shard(TRADES)
    shard.brings(0, newest=7)
    shard.passes(9)
    shard.shows(A=8)
    shard.passes(SETTLE_S)
    shard.passes(5)
    shard.shows(A=9)
    assert shard.passes(1).fetch == [0]
    shard.shows(A=10)
    assert shard.passes(1).fetch == [], "not so soon again"
    assert shard.passes(5).fetch == [0]


def test_when_a_class_of_topics_is_mute_what_they_lack_is_asked_for_in_a_small_share() -> None:
    shard, fetched = Shard(*[TRADES] * 300, symbols=[f"S{n}" for n in range(300)]), 0
    shard.brings(*range(300), newest=7)
    for more in range(12):
        fetched += len(shard.passes(10).fetch)
        shard.shows(**dict.fromkeys(shard.symbols, 8 + more))
        shard.newest = [8 + more] * 300  # fetched meanwhile
    assert len(shard.silence.silent) == 300
    assert BURST <= fetched <= BURST + 120 // 2


def test_trades_that_were_made_while_there_was_no_line_are_nobodys_silence_once_they_are_fetched() -> None:
    shard = Shard(TRADES)
    shard.brings(0, newest=7)
    shard.passes(1)
    shard.silence.renewed(110 * S)
    shard.second = 115
    assert shard.shows(A=9) is True
    shard.newest = [9]
    assert shard.passes(SETTLE_S) == Finding()
    assert shard.counts == (set(), set(), {0})


def test_trades_that_were_made_while_there_was_no_line_and_cannot_be_fetched_are_missing_and_no_reason_for_another_line() -> (
    None
):
    shard = Shard(TRADES)
    shard.brings(0, newest=7)
    shard.passes(1)
    shard.silence.renewed(110 * S)
    shard.second = 115
    shard.shows(A=9)
    assert shard.passes(SETTLE_S) == Finding(silent=[0], fetch=[0])


def test_of_bars_only_two_looks_tell() -> None:
    shard = Shard(TRADES, by_id=False)
    shard.brings(0, newest=7)
    shard.passes(9)
    assert shard.shows(A=9) is None, "the venue sends a bar when its time has come"
    shard.passes(10)
    assert shard.shows(A=9) is False
    assert shard.counts == (set(), set(), {0})
    shard.passes(10)
    assert shard.shows(A=10) is True
    assert shard.passes(SETTLE_S) == Finding(silent=[0], fetch=[0], rotate=True)


# ── two topics of the best prices of one symbol ─────────────────────────────────────────────────────────────


def book_and_top() -> Shard:
    """A depth, which does not tell best prices, and the top of the book of the same symbol; both have brought something just now."""
    shard = Shard(TOPS, TOPS, symbols="AA")
    shard.brings(1, newest="1 2")
    shard.passes(1, 0)
    shard.newest[1] = "1 2"
    return shard


def top_moves(shard: Shard, top: str, seconds: int) -> Finding:
    shard.brings(1, newest=top)
    return shard.passes(seconds)


def test_a_depth_that_dies_alone_is_asked_about_soon_after_the_top_of_its_book_has_changed() -> None:
    shard = book_and_top()
    shard.passes(1)
    top_moves(shard, "1 3", SETTLE_S)
    assert shard.look_wanted() is LookUrgency.NO
    shard.passes(1)
    assert shard.look_wanted() is LookUrgency.AT_ONCE
    assert shard.shows(A="1 3") is True
    assert shard.passes(1) == Finding(silent=[0], fetch=[0], rotate=True)


def test_a_depth_is_not_blamed_if_the_venue_shows_no_other_best_prices() -> None:
    shard = book_and_top()
    shard.passes(1)
    top_moves(shard, "1 3", SETTLE_S + 1)
    assert shard.shows(A="1 2") is not True
    assert shard.passes(1) == Finding()
    assert shard.look_wanted() is not LookUrgency.AT_ONCE


def test_best_prices_that_come_back_or_a_depth_that_comes_later_are_no_question() -> None:
    shard = book_and_top()
    shard.passes(1)
    top_moves(shard, "1 3", SETTLE_S)
    top_moves(shard, "1 2", 2)
    assert shard.look_wanted() is not LookUrgency.AT_ONCE
    top_moves(shard, "1 3", SETTLE_S)
    shard.passes(1, 0)
    shard.newest[0] = None
    shard.passes(3)
    assert shard.look_wanted() is not LookUrgency.AT_ONCE


def test_a_depth_that_has_not_brought_anything_is_not_compared_with_the_top_of_its_book() -> None:
    shard = Shard(TOPS, TOPS, symbols="AA")
    for top in ("1 2", "1 3"):
        top_moves(shard, top, SETTLE_S + 2)
    shard.shows(A="1 3")
    assert shard.look_wanted() is not LookUrgency.AT_ONCE


def test_what_a_line_before_brought_says_nothing_of_a_depth_on_this_one() -> None:
    shard = book_and_top()
    shard.passes(1)
    shard.silence.renewed(shard.second * S)
    assert top_moves(shard, "1 3", 1) == Finding()
    assert shard.look_wanted() is LookUrgency.NO
    assert top_moves(shard, "1 4", SETTLE_S + 1) == Finding()
    assert shard.shows(A="1 4") is not True


# ── busy topics ─────────────────────────────────────────────────────────────────────────────────────────────


def busy(*kinds: Evidence, symbols: str = "") -> Shard:
    """Topics that used to bring something each second; the first one goes on."""
    shard = Shard(*kinds, symbols=symbols)
    shard.passes(LEARNED_AFTER + 5, *range(len(kinds)))
    return shard


def test_a_busy_topic_that_falls_silent_is_silent_until_a_look_clears_it() -> None:
    shard = busy(TRADES, TRADES)
    assert shard.silence.learned == 2
    shard.newest[1] = 7
    assert shard.passes(10, 0).silent == []
    assert shard.passes(1, 0) == Finding(silent=[1], fetch=[1])
    assert shard.counts == ({1}, set(), set())
    assert shard.look_wanted() is LookUrgency.AT_ONCE
    shard.shows(B=7)
    assert shard.counts == (set(), set(), {1})
    assert shard.look_wanted() is LookUrgency.SOON


def test_a_busy_topic_that_falls_silent_and_of_which_the_venue_has_more_gets_another_line() -> None:
    shard = busy(TRADES, TRADES)
    shard.newest[1] = 7
    shard.passes(11, 0)
    shard.shows(B=9)
    assert shard.passes(SETTLE_S, 0) == Finding(fetch=[1], rotate=True), "it was told of before"
    assert shard.counts == ({1}, set(), set())


def test_of_a_busy_topic_that_has_no_ids_nothing_is_asked_for_alone() -> None:
    shard = busy(TRADES, TOPS)
    assert shard.passes(11, 0) == Finding(silent=[1], fetch=[1])
    shard = Shard(TRADES, TOPS, by_id=False)
    shard.passes(LEARNED_AFTER + 5, 0, 1)
    assert shard.passes(11, 0) == Finding(silent=[1])


def test_many_that_fall_silent_together_are_not_asked_for_one_by_one() -> None:
    shard = busy(*[TRADES] * (FEW + 2))
    assert shard.passes(11, 0) == Finding(silent=list(range(1, FEW + 2)))


@pytest.mark.parametrize("newer", [True, False])
def test_a_busy_topic_is_cleared_or_not_by_what_is_fetched_of_it_alone(newer: bool) -> None:
    shard = busy(TRADES, TRADES)
    shard.passes(11, 0)
    shard.silence.fetched(1, newer, shard.second * S)
    assert shard.counts == (({1}, set(), set()) if newer else (set(), set(), {1}))
    assert shard.passes(SETTLE_S, 0).rotate == newer
    shard.silence.fetched(0, True, shard.second * S)
    assert 0 not in shard.silence.silent, "what flows is complete by itself"


def test_what_is_fetched_of_a_topic_that_is_not_watched_yet_tells_nothing() -> None:
    shard = Shard(TRADES)
    shard.silence.fetched(1, True, shard.second * S)
    assert shard.counts == (set(), {0}, set())


def test_without_any_look_another_line_is_tried_once_and_the_topic_stays_silent() -> None:
    shard = busy(TRADES, TRADES)
    shard.passes(11, 0)
    found = shard.passes(NO_ANSWER_NS // S, 0)
    assert found == Finding(fetch=[1], rotate=True)
    shard.silence.renewed(shard.second * S)
    assert shard.passes(200, 0) == Finding()
    assert shard.counts == ({1}, set(), set())
    shard.shows(B=7)
    shard.passes(10, 0)
    shard.shows(B=7)
    assert shard.counts == (set(), set(), {1}), "a late look clears it all the same"


def test_without_any_look_nothing_is_tried_while_the_whole_line_is_silent() -> None:
    shard = busy(TRADES, TRADES)
    assert not shard.passes(60).rotate


def test_a_busy_topic_of_which_nobody_can_tell_gets_another_line_once_and_is_never_told_of() -> None:
    shard = busy(TRADES, NONE)
    assert shard.passes(60, 0) == Finding(rotate=True)
    assert shard.counts == (set(), set(), set())
    shard = busy(TRADES, NONE)
    assert not shard.passes(60).rotate, "the whole line is silent"


def test_for_a_stopped_topic_of_which_nobody_can_tell_one_line_is_tried_and_another_one_when_it_stops_again() -> None:
    shard = busy(TRADES, NONE)
    for _ in range(2):
        assert shard.passes(60, 0).rotate
        for _ in range(20):
            shard.silence.renewed(shard.second * S)
            assert shard.passes(60, 0) == Finding()
        shard.passes(LEARNED_AFTER + 3_000, 0, 1)


def test_a_silence_that_the_venue_confirmed_is_learned() -> None:
    shard = busy(TRADES, TRADES)
    shard.newest[1] = 7
    shard.passes(20, 0)
    shard.shows(B=7)
    shard.brings(1, newest=8)
    assert shard.passes(60, 0) == Finding()


def test_a_silence_that_the_venue_contradicted_is_not_learned() -> None:
    shard = busy(TRADES, TRADES)
    shard.newest[1] = 7
    for trade in range(8, 20):
        shard.passes(10, 0)
        shard.shows(B=trade)
    shard.brings(1, newest=20)
    shard.passes(LEARNED_AFTER, 0, 1)
    assert shard.passes(11, 0).silent == [1], "as soon as before"


def test_a_topic_of_which_a_new_line_brings_nothing_while_the_market_moves_is_not_taken_on_trust() -> None:
    shard = busy(TRADES, TOPS)
    shard.passes(1, 0)
    shard.silence.renewed(shard.second * S)
    shard.passes(2, 0)
    shard.shows(B="1 2")
    shard.passes(LATE_S, 0)
    assert shard.counts[1] == set()
    assert shard.shows(B="1 3") is None
    shard.passes(1, 0)
    assert shard.counts[1] == {1}, "two looks will tell; until then nobody can say that it flows"
    shard.passes(1, 0, 1)
    assert shard.counts == (set(), set(), set())


def test_a_topic_that_a_new_line_has_not_brought_is_not_taken_on_trust_for_long_if_looks_are_seldom() -> None:
    shard = Shard(TRADES, TOPS)
    shard.passes(1, 0, 1)
    shard.passes(1, 0)
    shard.silence.renewed(shard.second * S)
    shard.passes(2, 0)
    shard.shows(A=20, B="1 2")
    shard.passes(NEW_LINE_NS // S - 2, 0)
    assert shard.counts[1] == set()
    shard.passes(1, 0)
    assert shard.counts[1] == {1}, "one look is the beginning of a comparison"
    shard.shows(A=20, B="1 2")
    shard.passes(1, 0)
    assert shard.counts[1:] == (set(), {1})
    shard.passes(60, 0)
    assert shard.counts[1] == set()


# ── how often another line is tried ─────────────────────────────────────────────────────────────────────────


def withheld(shard: Shard, trade: int) -> list[int]:
    """On each new line the market moves and nothing comes: seconds between the lines that are wanted, until the pause is longest."""
    wanted: list[int] = []
    while len(wanted) < 9:
        trade += shard.second % 5 == 0
        if shard.second % 5 == 0:
            shard.shows(A=trade)
        if shard.passes(1).rotate:
            wanted.append(shard.second)
            shard.silence.renewed(shard.second * S)
    return [after - before for before, after in pairwise(wanted)]


def test_lines_are_tried_ever_less_often_while_the_topic_stays_silent() -> None:
    pauses = withheld(Shard(TRADES), 7)
    wanted = [min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS * 2**n) // S for n in range(8)]
    assert all(least <= pause <= least + 12 for least, pause in zip(wanted, pauses, strict=True))


def test_when_it_has_healed_for_long_the_next_one_is_tried_at_once() -> None:
    shard = Shard(TRADES)
    withheld(shard, 7)
    shard.passes((LONGEST_PAUSE_NS + FORGET_PAUSES_NS) // S + 1, 0)
    shard.newest[0] = 10_000
    shard.passes(9)
    shard.shows(A=10_001)
    assert shard.passes(SETTLE_S).rotate
    shard.silence.renewed(shard.second * S)
    shard.passes(LATE_S)
    shard.shows(A=10_001)
    shard.passes(9)
    shard.shows(A=10_002)
    assert shard.passes(SETTLE_S).rotate


def test_that_we_stood_still_is_no_silence_of_a_busy_topic() -> None:
    shard = busy(TRADES, TRADES)
    shard.second += 3_600
    shard.silence.stood_still(3_600 * S, shard.second * S)
    assert shard.passes(10, 0).silent == []
    assert shard.passes(1, 0).silent == [1]
