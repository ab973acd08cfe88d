"""Owns the mutants of one part. What the native lane may take by itself, and who holds a topic's place."""

from __future__ import annotations

from tests.mutants.mutant import within

plain_lane = within("feed/plain_lane.py")
intake = within("feed/intake.py")
chain_lane = within("sequencing/chain_lane.py")
book_lane = within("sequencing/book_lane.py")

ROWS = (
    plain_lane(
        "what fills an announced gap is dropped natively as a copy",
        "whole = not lane.open and not lane.closed",
        "whole = True",
        "test_what_fills_an_announced_gap_is_no_copy",
    ),
    plain_lane(
        "a lane that waits for something is passed natively",
        "if not lane.only_next or lane.last_id is None or lane.last_id < 0:",
        "if lane.last_id is None or lane.last_id < 0:",
        "test_a_topic_with_a_hole_is_python_s_until_it_is_whole",
    ),
    plain_lane(
        "aggregates natively need not join",
        "link = getattr(newest, _LINKS[type(newest)][1])",
        "pass",
        "test_aggregates_must_join_and_stand_for_trades",
    ),
    plain_lane(
        "copies that were dropped natively are not counted",
        "lane.duplicates += duplicates",
        "pass",
        "test_copies_of_an_overlap_are_dropped_where_their_time_tells",
    ),
    intake(
        "a lane is looked at without what was taken natively",
        "            self.plain.settle(self._lanes, self._heard_ns)",
        "            pass",
        "feed/test_plain_lane.py::test_what_continues_a_topic_is_taken_and_its_event_is_python_s",
    ),
    intake(
        "what was read natively proves no overlap",
        "            self._note_touched(line, plain.touched())",
        "            pass",
        "feed/test_plain_lane.py::test_an_overlap_is_proven_by_what_the_lane_took",
    ),
    intake(
        "a bundle that was made natively and refused is not missing",
        "                self._take_back_encoded(memoryview(frame)[len(head) :])",
        "                pass",
        "feed/test_plain_lane.py::test_a_refused_bundle_is_missing_and_wanted_again",
    ),
    chain_lane(
        "behind a hole the next id decides",
        "return not self._held and super().only_next",
        "return super().only_next",
        "test_behind_a_hole_the_next_id_does_not_decide",
    ),
    book_lane(
        "diffs go on natively while subscribers lack a book",
        "return not self.needs_snapshot and not self.checks and super().only_next",
        "return super().only_next",
        "test_the_next_id_decides_once_subscribers_have_a_book",
    ),
)
