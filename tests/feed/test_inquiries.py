"""Questions about ids that are not missing: asked of the venue once, and again only after a while."""

from __future__ import annotations

import itertools

import pytest

from k2workers.backoff import ASK_AGAIN
from k2workers.events import AggTrade, DepthUpdate, Event, Trade
from k2workers.feed.inquiries import LINK_AFTER_NS, LINK_APART_NS, LINKS_WITHIN
from k2workers.sequencing.chain_lane import MAX_LINKS, ChainLane
from k2workers.sequencing.ranges import Range
from k2workers.venues.venue import Fetched
from tests.feed.test_repairs import Shard

SECOND = 10**9


def made(number: int, at_s: int) -> Trade:
    return Trade(number, "1", "1", True, at_s * 10**9, at_s * 10**9, at_s * 10**9)


def test_a_single_event_that_may_be_one_of_new_ids_is_asked_about_and_confirmed() -> None:
    shard = Shard("trade")
    shard.line(made(500, 0))
    shard.line(made(3, 600))
    request = shard.asked(0)
    assert request is not None
    assert (request.first_id, request.last_id, request.probe) == (3, 3, True)
    shard.repairs.took_events(request, Fetched([made(3, 600)], (2, 3)), 0, 7)
    assert [event.last_id for event in shard.pushed] == [500, 3, 3]
    assert (shard.asked(10**10), shard.confirmed) == (None, [])


def test_a_glitch_is_asked_about_and_not_confirmed() -> None:
    shard = Shard("trade")
    shard.line(made(500, 0))
    shard.line(made(3, 600))
    request = shard.asked(0)
    assert request is not None
    shard.repairs.took_events(request, Fetched([], (400, 500)), 0, 7)
    assert shard.asked(ASK_AGAIN.delay_ns(1, 0.5) - 1) is None
    again = shard.asked(ASK_AGAIN.delay_ns(1, 0.5))
    assert again is not None
    assert again.first_id == 3, "until the topic goes on it is asked again"
    shard.repairs.took_events(again, Fetched([], None), 0, 7)
    shard.line(made(501, 601))
    shard.intake.expire(1)
    assert [event.last_id for event in shard.pushed] == [500, 501]
    assert shard.intake.outliers_by_kind() == {"trade": 1}


def test_a_question_and_a_probe_of_the_tail_are_both_asked_whichever_was_wanted_first() -> None:
    shard = Shard("trade")
    shard.line(made(500, 0))
    shard.line(made(3, 600))
    shard.repairs.look(0)
    shard.repairs.planner.probe(0, 501, 600, 0)
    question, tail = shard.asked(0), None
    assert question is not None
    shard.repairs.took_events(question, Fetched([], None), 0, 7)
    assert (question.first_id, question.inquiry, shard.confirmed) == (3, True, [])
    tail = shard.asked(0)
    assert tail is not None
    shard.repairs.took_events(tail, Fetched([], None), 0, 7)
    assert (tail.first_id, shard.confirmed) == (501, [(0, False)])


def test_the_answer_to_a_question_that_is_settled_by_then_says_nothing_of_the_tail() -> None:
    shard = Shard("trade")
    shard.line(made(500, 0))
    shard.line(made(3, 600))
    request = shard.asked(0)
    assert request is not None
    shard.line(made(501, 601))
    shard.line(made(4, 1_200))
    shard.repairs.look(10**12)
    shard.repairs.took_events(request, Fetched([made(3, 600)], None), 10**12, 7)
    assert [event.last_id for event in shard.pushed] == [500, 501]
    assert shard.confirmed == []


def test_a_full_page_tells_nothing_of_what_the_venue_has_above_it() -> None:
    """A late line brings copies after a restart, and the venue has them too: it shows first whether it has the position as well."""

    def sold(number: int) -> AggTrade:
        return AggTrade(number, number, number, "1", "1", True, *[number * 10**9 // 40] * 3)

    for full, kinds in ((True, []), (False, ["Reset"] + ["AggTrade"] * 80)):
        shard = Shard("agg_trade", 5_000)
        for number in range(2_600, 2_680):
            shard.line(sold(number), now_ns=number * 10**9 // 40)
        request = shard.asked(2_680 * 10**9 // 40)
        assert request is not None
        page: list[Event] = [sold(request.first_id)]
        shard.repairs.took_events(request, Fetched(page, (2_600, 3_598), full=full), 10**12, 7)
        assert [type(event).__name__ for event in shard.pushed] == kinds


def aggregate(number: int, first: int, last: int) -> AggTrade:
    return AggTrade(number, first, last, "1", "1", True, 0, 0, 0)


def told_of(shard: Shard) -> list[tuple[Range, str]]:
    """What will be told of broken links: their ids, and what the venue has there."""
    told: list[tuple[Range, str]] = []
    shard.repairs.inquiries.on_link = lambda _topic_index, link, words: told.append((link.ids, words))
    return told


@pytest.mark.parametrize(
    ("has", "words"),
    [
        ([aggregate(1, 1, 2), aggregate(2, 5, 5)], "broken too"),
        ([aggregate(1, 1, 4), aggregate(2, 5, 5)], "joined"),
        ([aggregate(1, 1, 4)], "not there"),
    ],
)
def test_aggregates_that_do_not_join_are_looked_at_once_and_no_gap_is_told(has: list[Event], words: str) -> None:
    shard = Shard("agg_trade")
    told = told_of(shard)
    shard.line(aggregate(1, 1, 2), aggregate(2, 5, 5), aggregate(3, 7, 7))
    assert shard.asked(0) is None
    request = shard.asked(LINK_AFTER_NS)
    assert request is not None
    assert (request.first_id, request.last_id, request.probe) == (1, 3, True)
    assert shard.asked(LINK_AFTER_NS) is None
    shard.repairs.took_events(request, Fetched(has, (1, 2)), LINK_AFTER_NS, 7)
    assert told == [((1, 2), words), ((2, 3), "not there")]
    assert (shard.asked(10**12), shard.intake.gaps, shard.intake.links_broken) == (None, 0, 2)


@pytest.mark.parametrize("answers", [True, False])
def test_a_topic_all_of_whose_aggregates_are_broken_costs_a_request_a_minute(answers: bool) -> None:
    shard = Shard("agg_trade")
    told, asked = told_of(shard), []
    for tenth in range(3_000):
        now_ns, number = tenth * 10**8, tenth + 1
        shard.line(aggregate(number, 3 * number, 3 * number), now_ns=now_ns)
        request = shard.asked(now_ns)
        if request is not None:
            asked.append(now_ns)
            if answers:
                shard.repairs.took_events(request, Fetched([], (1, number)), now_ns, 7)
            else:
                shard.repairs.failed(request, now_ns)
    assert shard.intake.links_broken == 2_999
    lane = shard.intake.lanes[0]
    assert isinstance(lane, ChainLane)
    assert len(lane.broken_links) <= MAX_LINKS
    if answers:
        assert len(asked) == 5
        assert min(later - earlier for earlier, later in itertools.pairwise(asked)) >= LINK_APART_NS
        assert len(told) == 5 * MAX_LINKS


def test_links_far_from_each_other_are_asked_about_one_after_the_other() -> None:
    shard = Shard("agg_trade")
    told = told_of(shard)
    far = 2 * LINKS_WITHIN
    shard.line(aggregate(1, 1, 1), aggregate(2, 5, 5))
    shard.line(
        *[aggregate(number, number + 3, number + 3) for number in range(3, far)], aggregate(far, far + 9, far + 9)
    )
    shard.repairs.look(0)
    for at_ns, ids in ((LINK_AFTER_NS, (1, 2)), (LINK_AFTER_NS + LINK_APART_NS, (far - 1, far))):
        assert shard.asked(at_ns - 1) is None
        request = shard.asked(at_ns)
        assert request is not None
        assert (request.first_id, request.last_id) == ids
        shard.repairs.took_events(request, Fetched([], None), at_ns, 7)
        shard.repairs.look(at_ns + SECOND)
    assert [ids for ids, _ in told] == [(1, 2), (far - 1, far)]


def test_about_a_topic_that_rest_does_not_have_by_id_nothing_is_asked() -> None:
    shard = Shard("depth", 5)
    shard.line(DepthUpdate(9, 9, [], [], 0, 0))
    shard.line(DepthUpdate(1, 1, [], [], 9 * 10**9, 9 * 10**9))
    request = shard.asked(0)
    assert request is not None
    assert (request.snapshot, request.probe) == (True, False)
