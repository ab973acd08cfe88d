"""Silence is judged by what a stream used to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.feed.liveness import (
    ANSWER_NS,
    FACTOR,
    LEARNED_AFTER,
    QUIET_NS,
    SECOND_ANSWER_NS,
    DataWatch,
    LineWatch,
    SilenceWatch,
)

S = 1_000_000_000


def learned(gaps_s: list[int]) -> tuple[SilenceWatch, int]:
    """A watch whose only stream brought data after each of these pauses, again and again."""
    watch, now_ns, mark = SilenceWatch(min_silence_ns=3 * S), 0, 0
    while mark < 2 * LEARNED_AFTER:
        for gap_s in gaps_s:
            for _ in range(gap_s):
                now_ns += S
                assert watch.look([mark], now_ns) == []
            mark += 1
            assert watch.look([mark], now_ns) == []
    return watch, now_ns


def test_a_busy_stream_that_stops_is_suspicious_once_and_until_it_speaks() -> None:
    watch, now_ns = learned([1])
    last = 2 * LEARNED_AFTER
    assert watch.look([last], now_ns + 5 * S) == []
    assert watch.look([last], now_ns + 6 * S) == [0]
    assert watch.look([last], now_ns + 9 * S) == []
    assert watch.silent == {0}
    assert watch.look([last + 1], now_ns + 10 * S) == []
    assert watch.silent == set()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_a_stream_is_never_suspicious_within_the_silences_that_it_used_to_have(gaps_s: list[int]) -> None:
    watch, now_ns = learned(gaps_s)
    assert watch.look([10**6], now_ns) == []
    assert watch.look([10**6], now_ns + max(gaps_s) * S * (FACTOR - 1)) == []


def test_a_stream_that_was_hardly_seen_is_not_judged() -> None:
    watch = SilenceWatch(min_silence_ns=3 * S)
    for mark in range(LEARNED_AFTER - 1):
        watch.look([mark], mark * S)
    assert watch.look([LEARNED_AFTER - 2], 10**6 * S) == []


def test_a_silence_that_the_venue_confirms_is_learned() -> None:
    watch, now_ns = learned([1])
    last = 2 * LEARNED_AFTER
    assert watch.look([last], now_ns + 10 * S) == [0]
    watch.quiet(0, now_ns + 10 * S)
    assert watch.look([last], now_ns + 45 * S) == []
    assert watch.look([last], now_ns + 60 * S) == [0]


def test_a_line_that_lives_without_data_is_given_up_soon_if_it_used_to_be_busy() -> None:
    watch = DataWatch(min_silence_ns=5 * S, max_silence_ns=30 * S)
    watch.renewed(0)
    for count in range(1, LEARNED_AFTER + 2):
        assert not watch.look(count, count * S // 10)
    now_ns = (LEARNED_AFTER + 1) * S // 10
    assert not watch.look(LEARNED_AFTER + 1, now_ns + 5 * S)
    assert watch.look(LEARNED_AFTER + 1, now_ns + 6 * S)
    watch.renewed(now_ns + 6 * S)
    assert not watch.look(LEARNED_AFTER + 1, now_ns + 10 * S)


def test_lines_that_bring_nothing_one_after_the_other_are_given_up_ever_later_until_data_comes() -> None:
    watch = DataWatch(min_silence_ns=5 * S, max_silence_ns=30 * S)
    watch.renewed(0)
    for count in range(1, LEARNED_AFTER + 2):
        watch.look(count, count * S)
    count, now_ns, terms = LEARNED_AFTER + 1, (LEARNED_AFTER + 1) * S, []
    for _ in range(9):
        silent_since_ns = now_ns
        while not watch.look(count, now_ns):
            now_ns += S
        terms.append((now_ns - silent_since_ns) // S)
        watch.renewed(now_ns)
    assert terms == [11, 11, 21, 41, 81, 161, 321, 641, 641]
    watch.look(count + 1, now_ns + S)
    assert watch.look(count + 1, now_ns + 32 * S)


def test_a_line_that_never_brought_anything_is_not_judged_by_its_data() -> None:
    watch = DataWatch(min_silence_ns=5 * S, max_silence_ns=30 * S)
    assert not watch.look(0, 10**6 * S)


def busy(stale_after_s: int = 30, ping_interval_s: int = 20) -> tuple[LineWatch, int, int]:
    """The watch of a line that used to bring ten messages a second; its last message, and when that came."""
    watch, now_ns, count = LineWatch(stale_after_s * S, ping_interval_s * S), 0, 0
    for count in range(1, LEARNED_AFTER + 2):
        now_ns += S // 10
        assert watch.look(now_ns, count, now_ns) is None
    return watch, count, now_ns


def test_how_much_is_known_is_told() -> None:
    assert not LineWatch(30 * S, 20 * S).learned
    assert busy()[0].learned
    watch = SilenceWatch()
    for second in range(LEARNED_AFTER):
        assert watch.learned == 0
        watch.look([second, 0], second * S)
    assert watch.learned == 1


def test_a_line_on_which_nothing_comes_is_stale_and_no_longer_fresh_before_that() -> None:
    watch = LineWatch(stale_after_ns=40 * S, ping_interval_ns=20 * S)
    assert [watch.fresh(S, (1 + silence_s) * S) for silence_s in (29, 30)] == [True, False]
    assert [watch.look(S, 0, (1 + silence_s) * S) for silence_s in (39, 40)] == [None, "stale"]


def test_a_line_on_which_only_pings_can_be_expected_is_not_stale_between_two_of_them() -> None:
    watch = LineWatch(stale_after_ns=5 * S, ping_interval_ns=20 * S)
    assert [watch.fresh(S, (1 + silence_s) * S) for silence_s in (22, 23)] == [True, False]
    assert [watch.look(S, 0, (1 + silence_s) * S) for silence_s in (29, 30)] == [None, "stale"]


def test_a_line_that_used_to_be_busy_is_stale_as_soon_as_is_set() -> None:
    watch, count, at_ns = busy(stale_after_s=5)
    assert [watch.look(at_ns, count, at_ns + silence_s * S) for silence_s in (4, 5)] == [None, "stale"]


def test_where_pings_are_further_apart_than_is_allowed_the_venue_is_asked_before_a_line_is_stale() -> None:
    watch, count, at_ns = busy(stale_after_s=5)
    for now_ns in (at_ns + 2 * S, at_ns + 3 * S):
        assert watch.look(at_ns, count, now_ns) is None
    assert watch.asking
    watch.answered(at_ns + 3 * S, False, at_ns + 4 * S)
    assert [watch.look(at_ns, count, at_ns + silence_s * S) for silence_s in (29, 30)] == [None, "stale"]


def test_a_long_silence_of_the_market_is_soon_forgotten() -> None:
    watch, count, at_ns = busy()
    watch.look(at_ns + 3600 * S, count + 1, at_ns + 3600 * S)
    now_ns = at_ns + 3600 * S
    for more in range(2, 3_000):
        now_ns += S // 20
        watch.look(now_ns, count + more, now_ns)
    watch.look(now_ns + 6 * S, count + more, now_ns + 6 * S)
    assert watch.asking


def silent_line() -> tuple[LineWatch, int, int]:
    """A busy line that has just come in question: pings come, and no data."""
    watch, count, at_ns = busy()
    assert watch.look(at_ns + 5 * S, count, at_ns + 5 * S) is None
    assert not watch.asking
    assert watch.look(at_ns + 6 * S, count, at_ns + 6 * S) is None
    assert watch.asking
    return watch, count, at_ns + 6 * S


def test_a_line_that_pings_and_brings_no_data_is_silent_until_another_one_carries_the_feed() -> None:
    watch, count, at_ns = silent_line()
    assert [watch.look(at_ns + late, count, at_ns + late) for late in (ANSWER_NS - 1, ANSWER_NS)] == [None, "silent"]
    watch.renewed(at_ns + ANSWER_NS)
    assert not watch.asking
    assert watch.look(at_ns + ANSWER_NS + S, count, at_ns + ANSWER_NS + S) is None


def test_a_line_without_data_is_given_up_as_soon_as_the_venue_shows_what_it_did_not_bring() -> None:
    watch, count, at_ns = silent_line()
    watch.answered(at_ns + S, True, at_ns + S)
    assert not watch.asking
    assert watch.look(at_ns + S, count, at_ns + 2 * S - 1) is None, "it may be on its way"
    assert watch.look(at_ns + S, count, at_ns + 2 * S) == "silent"


def test_what_was_on_its_way_keeps_the_line() -> None:
    watch, count, at_ns = silent_line()
    watch.answered(at_ns + S, True, at_ns + S)
    assert watch.look(at_ns + S, count + 1, at_ns + 2 * S) is None
    assert watch.look(at_ns + S, count + 1, at_ns + 3 * S) is None


def test_a_line_without_data_is_kept_while_the_venue_has_none_and_pings_come() -> None:
    watch, count, at_ns = silent_line()
    watch.answered(at_ns + S, False, at_ns + S)
    assert watch.quiet
    for second in range(1, QUIET_NS // S):
        now_ns = at_ns + second * S
        assert watch.look(now_ns, count, now_ns) is None
        assert not watch.asking
    now_ns = at_ns + S + QUIET_NS
    assert watch.look(now_ns, count, now_ns) is None
    assert watch.asking, "an old answer counts no longer"
    watch.answered(now_ns + S, False, now_ns + S)
    now_ns += 25 * S
    assert watch.look(now_ns - 24 * S, count, now_ns) is None, "pings may be 20 s apart"
    assert watch.look(now_ns - 30 * S, count, now_ns) == "stale"


def test_a_quiet_market_ends_with_data_with_another_line_or_with_news_that_do_not_come() -> None:
    watch, count, at_ns = silent_line()
    watch.answered(at_ns + S, False, at_ns + S)
    assert watch.look(at_ns + 2 * S, count + 1, at_ns + 2 * S) is None
    assert not watch.quiet
    watch, count, at_ns = silent_line()
    watch.answered(at_ns + S, False, at_ns + S)
    watch.renewed(at_ns + 2 * S)
    assert not watch.quiet
    watch, count, at_ns = silent_line()
    watch.answered(at_ns + S, False, at_ns + S)
    watch.answered(at_ns + 9 * S, True, at_ns + 9 * S)
    assert not watch.quiet
    assert watch.look(at_ns + 10 * S, count, at_ns + 10 * S) == "silent"


def test_a_first_look_that_only_begins_a_comparison_gives_the_second_one_its_time() -> None:
    watch, count, at_ns = silent_line()
    watch.answered(at_ns + S, None, at_ns + S)
    watch.answered(at_ns + 2 * S, None, at_ns + 2 * S)
    late_ns = at_ns + S + SECOND_ANSWER_NS
    assert watch.look(late_ns - 1, count, late_ns - 1) is None
    watch.answered(late_ns - 1, False, late_ns - 1)
    assert watch.quiet
    watch, count, at_ns = silent_line()
    watch.answered(at_ns + S, None, at_ns + S)
    assert watch.look(late_ns, count, late_ns) == "silent"


def test_the_time_for_an_answer_begins_when_the_weight_allows_the_question() -> None:
    watch, count, at_ns = busy()
    may_ask_ns = at_ns + 40 * S
    watch.answered(at_ns, False, at_ns, may_ask_ns)
    for second in range(6, 55):
        assert watch.look(at_ns + second * S, count, at_ns + second * S) is None, second
    assert watch.asking
    watch.answered(may_ask_ns + 10 * S, None, may_ask_ns + 10 * S, may_ask_ns + 70 * S)
    late_ns = may_ask_ns + 70 * S + SECOND_ANSWER_NS
    assert watch.look(late_ns - 1, count, late_ns - 1) is None
    assert watch.look(late_ns, count, late_ns) == "silent"


def test_looks_say_nothing_of_a_line_that_is_not_in_question_or_brought_something_just_now() -> None:
    watch, count, at_ns = busy()
    for news in (True, False, None):
        watch.answered(at_ns + 2 * S, news, at_ns + 2 * S)
    assert not watch.quiet
    assert watch.look(at_ns + 4 * S, count, at_ns + 4 * S) is None
    watch, count, at_ns = silent_line()
    watch.answered(at_ns - 6 * S, False, at_ns)
    assert watch.asking


def test_an_outage_of_a_line_is_no_silence_of_the_topics() -> None:
    watch = SilenceWatch()
    for second in range(30):
        watch.look([second], second * S)
    watch.renewed(90 * S)
    for second in range(91, 95):
        watch.look([second], second * S)
    assert watch.look([94], 104 * S) == []
    assert watch.look([94], 105 * S) == [0], "ten seconds, as before the outage"
    watch.renewed(106 * S)
    assert watch.silent == set()


def test_a_silence_that_the_venue_contradicts_is_not_learned() -> None:
    watch = SilenceWatch()
    for second in range(30):
        watch.look([second], second * S)
    assert watch.look([29], 40 * S) == [0]
    watch.missed(0, 40 * S)
    watch.look([60], 41 * S)
    assert watch.look([60], 52 * S) == [0]


def test_where_data_can_be_expected_a_line_is_fresh_only_once_it_has_brought_some_since_we_stood_still() -> None:
    watch, count, at_ns = busy()
    watch.stood_still(4 * S, at_ns + 4 * S)
    assert not watch.fresh(at_ns, at_ns + 4 * S)
    assert watch.look(at_ns + 5 * S, count, at_ns + 5 * S) is None
    assert not watch.fresh(at_ns + 5 * S, at_ns + 5 * S), "only a ping came"
    assert watch.look(at_ns + 6 * S, count + 1, at_ns + 6 * S) is None
    assert watch.fresh(at_ns + 6 * S, at_ns + 6 * S)


def fresh_after(latency_s: int) -> Callable[[LineWatch, int, int], bool]:
    """Whether a line is fresh after a message that is so old."""

    def fresh(watch: LineWatch, count: int, now_ns: int) -> bool:
        assert watch.look(now_ns, count, now_ns, latency_s * S) is None
        return watch.fresh(now_ns, now_ns)

    return fresh


def test_what_waited_while_we_stood_still_makes_no_line_fresh() -> None:
    watch, count, at_ns = busy()
    assert fresh_after(7)(watch, count + 1, at_ns + S), "a clock that is wrong is wrong before and after"
    watch.stood_still(25 * S, at_ns + 26 * S)
    assert not fresh_after(30)(watch, count + 2, at_ns + 27 * S)
    assert not fresh_after(11)(watch, count + 3, at_ns + 28 * S)
    assert fresh_after(10)(watch, count + 4, at_ns + 29 * S)
    assert fresh_after(12)(watch, count + 5, at_ns + 30 * S), "later on that is the venue's way"


def test_data_that_tell_no_time_may_have_waited_while_we_stood_still() -> None:
    watch, count, at_ns = busy()
    back_ns = at_ns + 25 * S
    watch.stood_still(25 * S, back_ns)
    for second in range(1, 25):
        assert watch.look(back_ns + second * S, count + second, back_ns + second * S, None) is None
        assert not watch.fresh(back_ns + second * S, back_ns + second * S)
    watch.look(back_ns + 25 * S, count + 25, back_ns + 25 * S, None)
    assert watch.fresh(back_ns + 25 * S, back_ns + 25 * S), "as long as we stood still, and no longer"


@pytest.mark.parametrize(("absent_s", "limit_s"), [(25, 25), (3_600, 60)])
def test_a_clock_that_was_set_while_we_stood_still_keeps_no_line_from_being_fresh_for_long(
    absent_s: int, limit_s: int
) -> None:
    watch, count, at_ns = busy()
    back_ns = at_ns + absent_s * S
    watch.stood_still(absent_s * S, back_ns)
    found = [fresh_after(3_600)(watch, count + second, back_ns + second * S) for second in range(1, limit_s + 2)]
    assert found.index(True) == limit_s - 1
    watch.stood_still(absent_s * S, back_ns + 100 * S)
    assert fresh_after(3_600)(watch, count + 100, back_ns + 101 * S), "from then on that is how old they are"


def test_where_no_data_can_be_expected_a_line_is_as_fresh_as_its_last_ping_although_we_stood_still() -> None:
    unknown = LineWatch(30 * S, 20 * S)
    unknown.stood_still(4 * S, 4 * S)
    assert [unknown.fresh(0, now_s * S) for now_s in (4, 23)] == [True, False]
    watch, _, at_ns = silent_line()
    watch.answered(at_ns + S, False, at_ns + S)
    watch.stood_still(4 * S, at_ns + 5 * S)
    assert watch.fresh(at_ns, at_ns + 5 * S), "the venue has none"


def test_while_we_stood_still_neither_a_line_nor_the_venue_was_late() -> None:
    watch, count, at_ns = busy()
    watch.stood_still(3_600 * S, at_ns + 3_600 * S)
    now_ns = at_ns + 3_605 * S
    assert watch.look(now_ns, count, now_ns) is None
    assert not watch.asking
    assert watch.look(now_ns + S, count, now_ns + S) is None
    assert watch.asking
    watch.stood_still(3_600 * S, now_ns + 3_601 * S)
    late_ns = now_ns + 3_601 * S + ANSWER_NS
    assert [watch.look(ns, count, ns) for ns in (late_ns - 1, late_ns)] == [None, "silent"]


def test_that_we_stood_still_is_not_learned_as_a_silence() -> None:
    watch, count, at_ns = busy()
    watch.stood_still(3_600 * S, at_ns + 3_600 * S)
    now_ns = at_ns + 3_601 * S
    assert watch.look(now_ns, count + 1, now_ns) is None
    assert watch.learned, "it is still known how often data come"
    topics, then_ns = learned([1])
    topics.stood_still(3_600 * S, then_ns + 3_600 * S)
    then_ns += 3_601 * S
    assert topics.look([10**6], then_ns) == []
    assert topics.look([10**6], then_ns + 5 * S) == []
    assert topics.look([10**6], then_ns + 6 * S) == [0]
