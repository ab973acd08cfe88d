"""How often the venue is asked for what topics lack."""

from __future__ import annotations

from itertools import pairwise

from k2workers.feed.fetches import BURST, FIRST_PAUSE_NS, LONGEST_PAUSE_NS, Fetches

S = 1_000_000_000


def test_a_class_of_mute_topics_is_asked_for_in_turn_and_in_a_small_share() -> None:
    fetches, taken = Fetches(connections=2), []
    for second in range(100, 1_900):
        for topic in range(300):
            fetches.want(topic)
        taken.append(fetches.take(second * S))
    assert len(taken[0]) == BURST
    assert sum(map(len, taken[:60])) <= BURST + 60 // 4
    assert {topic for each in taken for topic in each} == set(range(300)), "each has its turn"


def test_a_topic_is_asked_for_ever_less_often_until_it_lacks_nothing() -> None:
    fetches, at = Fetches(connections=1), []
    for second in range(100, 4_000):
        fetches.want(7)
        at += [second] * len(fetches.take(second * S))
    pauses = [after - before for before, after in pairwise(at)]
    assert pauses == [min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS * 2**n) // S for n in range(len(pauses))]
    assert pauses[-1] == LONGEST_PAUSE_NS // S
    fetches.want(7)
    fetches.settled(7)
    assert fetches.take(5_000 * S) == []
    fetches.want(7)
    assert fetches.take(5_000 * S) == [7]
    fetches.want(7)
    assert fetches.take(5_000 * S + FIRST_PAUSE_NS) == [7], "the first pause counts again"


def test_what_had_no_turn_stays_wanted() -> None:
    fetches = Fetches(connections=1)
    for topic in range(BURST + 1):
        fetches.want(topic)
    assert fetches.take(100 * S) == list(range(BURST))
    assert fetches.take(101 * S) == []
    assert fetches.take(102 * S) == [BURST]
