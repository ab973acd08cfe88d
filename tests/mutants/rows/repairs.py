"""Owns the mutants of one part. What is asked of REST, when, and what becomes of the answers."""

from __future__ import annotations

from tests.mutants.mutant import within

backfill_planner = within("sequencing/backfill_planner.py")
missing_ids = within("sequencing/missing_ids.py")
history = within("venues/binance/history.py")
repairs = within("feed/repairs.py")
inquiries = within("feed/inquiries.py")
chain_lane = within("sequencing/chain_lane.py")
weight_budget = within("supervision/weight_budget.py")
book_lane = within("sequencing/book_lane.py")
backfiller = within("feed/backfiller.py")
intake = within("feed/intake.py")
intake_figures = within("feed/intake_figures.py")

ROWS = (
    inquiries(
        "a topic is asked about its links again at once",
        "asked.due_ns = max(asked.due_ns, now_ns + LINK_APART_NS)",
        "pass",
        "test_a_topic_all_of_whose_aggregates_are_broken_costs_a_request_a_minute",
    ),
    inquiries(
        "a full page is the venue's newest",
        "newest_id = None if reply.covered is None or reply.full else reply.covered[1]",
        "newest_id = None if reply.covered is None else reply.covered[1]",
        "test_a_full_page_tells_nothing_of_what_the_venue_has_above_it",
    ),
    inquiries(
        "the venue is not asked whether ids have begun anew",
        "self._planner.probe(topic_index, *asked.ids, now_ns, inquiry=True)",
        "pass",
        "feed/test_inquiries.py::test_a_single_event_that_may_be_one_of_new_ids_is_asked_about_and_confirmed",
    ),
    repairs(
        "a quiet topic has no book until its first diff",
        "self._intake.do_without_diffs(topic_index)",
        "pass",
        "test_a_quiet_topic_s_book_is_asked_for_without_a_diff_once_lines_carry_it",
    ),
    repairs(
        "a quiet topic keeps the book of before an outage",
        "self._intake.ask_book(topic_index)",
        "pass",
        "test_after_an_outage_a_book_that_has_changed_is_published_and_the_old_one_is_told_to_be_wrong",
        "system/test_repairs.py::test_the_book_of_a_quiet_symbol_that_changed_while_no_line_was_there_is_fetched_after_it",
        "processes/test_worker.py::test_the_book_is_fetched_when_changes_of_it_were_withheld",
    ),
    book_lane(
        "a book that was only checked is published anew",
        "        elif self.checks:\n            self._go_on_unchanged()\n            return True\n",
        "",
        "feed/test_repairs.py::test_after_an_outage_the_book_of_a_topic_that_stays_silent_is_checked_cheaply_and_kept_if_nothing_has_changed",
    ),
    missing_ids(
        "a second reply at once makes an id void",
        "        elif now_ns < part.due_ns:\n            return False\n",
        "",
        "test_a_look_that_comes_too_soon_does_not_count",
    ),
    missing_ids(
        "the second denial is believed",
        "if part.looks == len(self._patience_ns):",
        "if part.looks == 1:",
        "test_a_look_that_comes_too_soon_does_not_count",
        "sequencing/test_backfill_planner.py::test_a_jump_of_millions_of_ids_that_never_existed_costs_one_look_each_time",
    ),
    missing_ids(
        "ids that are proven to exist become void when they are denied often enough",
        "for ids in () if part.exists else _take(rest, covered):",
        "for ids in _take(rest, covered):",
        "test_ids_that_are_proven_to_exist_are_never_doubted_again",
    ),
    missing_ids(
        "a reply speaks for ids that it does not reach",
        "rest = IdRanges([(max(part.first, first_id), min(part.last, last_id))])",
        "rest = IdRanges([(part.first, part.last)])",
        "test_the_parts_are_always_the_ids_that_are_wanted_and_not_settled",
    ),
    missing_ids(
        "a hole that one request proves to be empty counts for thousands",
        "if part.full or part.exists else 1",
        "",
        "sequencing/test_backfill_planner.py::test_a_hole_counts_as_one_request_until_a_reply_shows_that_it_is_full_of_ids",
    ),
    missing_ids(
        "a large hole is asked for until it is filled, and newer small ones wait",
        "chosen = min(pool, key=lambda part: (part.turn, part.first))",
        "chosen = min(pool, key=lambda part: part.first)",
        "sequencing/test_backfill_planner.py::test_small_holes_do_not_wait_behind_a_large_one_of_the_same_topic",
        "sequencing/test_backfill_planner.py::test_a_hole_that_nothing_can_be_said_of_keeps_no_other_from_its_turn",
    ),
    missing_ids(
        "what events wait for waits behind older holes",
        "pool = held or ready",
        "pool = ready",
        "test_what_events_wait_for_goes_first",
    ),
    backfill_planner(
        "a hole is asked for without end",
        "for ids in need.missing.give_up(now_ns - self.policy.give_up_ns):",
        "for ids in ():",
        "test_what_cannot_be_had_is_given_up_in_the_end_and_keeps_no_newer_hole_from_its_turn",
        "test_many_hopeless_gaps_cost_a_few_requests_an_hour_and_are_all_given_up_once",
    ),
    backfill_planner(
        "a new hole waits until an old one is asked for again",
        "if new or came or urgency",
        "if came or urgency",
        "test_a_new_hole_is_asked_for_at_once_however_long_an_older_one_waits",
    ),
    backfill_planner(
        "a topic whose request failed is never asked for again",
        "        need.asking = False\n        if request.probe:",
        "        if request.probe:",
        "test_progress_asks_on_at_once_and_failure_backs_off",
    ),
    backfill_planner(
        "after an outage everything waits as long as the outage was",
        "self._service_answers(now_ns)",
        "pass",
        "test_what_failed_with_all_others_is_asked_for_again_soon_after_the_venue_answers_again",
    ),
    backfill_planner(
        "a request that was withdrawn stays under way",
        "        if need is not None:\n            need.asking = False\n",
        "        if need is not None:\n",
        "test_a_request_that_was_withdrawn_has_its_turn_again",
    ),
    backfill_planner(
        "what a probe does not find is void",
        "                del need.probes[request.inquiry]\n        elif request.snapshot:",
        "                del need.probes[request.inquiry]\n        if request.snapshot:",
        "test_the_answer_to_a_probe_says_nothing_of_a_hole_that_was_found_meanwhile",
    ),
    backfill_planner(
        "a probe is asked for without end",
        "            if need.probe_of(request) is not None:\n                del need.probes",
        "            if need.probe_of(request) is None:\n                del need.probes",
        "test_a_probe_asks_once_and_makes_nothing_void",
    ),
    backfill_planner(
        "a probe that is refused is asked for ever",
        "if not retryable and (request.inquiry or probe.attempt >= self.policy.refusals):",
        "if not retryable and request.inquiry:",
        "test_a_probe_that_is_refused_again_and_again_ends_and_an_inquiry_at_once",
    ),
    backfill_planner(
        "the answer to a probe stands for one that was wanted meanwhile",
        "if probe is not None and probe.ids == (request.first_id, request.last_id) else None",
        "",
        "test_a_probe_that_was_wanted_while_an_earlier_one_was_under_way_is_asked_whatever_came_of_that",
    ),
    backfill_planner(
        "what a line brought while it was asked for waits for ever",
        "        if not need.asking and not need.wanted:\n            del self._needs[topic_index]",
        "        pass",
        "test_what_a_line_brought_while_it_was_asked_for_is_wanted_no_longer_when_the_reply_comes",
    ),
    backfill_planner(
        "what replies said of old ids makes new ones void",
        "need.missing.clear()",
        "pass",
        "test_what_was_lacking_of_old_ids_is_forgotten_when_they_begin_anew",
    ),
    chain_lane(
        "aggregates that do not join prove that none was between",
        "            and event.first_trade_id == before.last_trade_id + 1\n        )",
        "        )",
        "test_aggregates_that_join_although_ids_are_missing_between_them_show_that_these_never_existed",
    ),
    backfiller(
        "what waits for permission keeps its place when something more urgent comes",
        "return max([*with_room, *self._waiting.values()], default=0)",
        "return max(with_room, default=0)",
        "test_what_is_more_urgent_takes_the_place_of_what_waits_for_permission",
    ),
    backfiller(
        "a request that ends in a defect leaves its topic asked for",
        "            if not told:\n                self._failed",
        "            if False:\n                self._failed",
        "test_a_defect_in_a_request_is_counted_and_the_hole_is_asked_for_again",
    ),
    weight_budget(
        "patient requests take every place",
        "            if len(self._in_flight) >= in_flight:",
        "            if len(self._in_flight) >= self.policy.in_flight:",
        "supervision/test_weight_budget.py::test_the_most_urgent_always_find_a_place_among_those_under_way",
    ),
    history(
        "aggregates whose ids do not follow each other prove a void",
        "        if last is not None and row.a != last_a + 1:\n            last = None\n",
        "",
        "test_trades_between_aggregates_that_follow_each_other_never_existed",
    ),
    history(
        "aggregates that do not join are proof enough",
        "if {first - 1, last + 1} <= shown]",
        "]",
        "test_aggregates_prove_nothing_of_trades_whose_neighbours_rest_does_not_show",
    ),
    history(
        "aggregates whose trades do not follow each other prove a void",
        "row.a > last.a + 1 and row.f == last.l + 1",
        "row.a > last.a + 1",
        "test_aggregates_between_trades_that_follow_each_other_never_existed",
    ),
    repairs(
        "a probe ends when ids begin anew",
        "self._probes[topic_index] = at_ns, first_new_id - 1",
        "self._probes.pop(topic_index, None)",
        "test_a_topic_whose_ids_begin_anew_before_it_was_probed_is_probed_from_the_new_ids_on",
    ),
    repairs(
        "no probe of a topic's tail after an outage",
        "self.planner.probe(topic_index, newest_id + 1, HIGHEST_ID, now_ns)",
        "pass",
        "test_the_tail_of_a_topic_that_stays_silent_after_an_outage_is_asked_for",
        hidden=True,
    ),
    repairs(
        "REST is asked while nobody takes what it brings",
        "request = None if self._intake.refused else self.planner.next(now_ns, before)",
        "request = self.planner.next(now_ns, before)",
        "test_nothing_is_asked_for_while_nobody_would_take_it",
    ),
    repairs(
        "a reply of old ids counts among new ones",
        "return self._asked_of.get(request.topic_index) == self._numbering(request.topic_index)",
        "return True",
        "test_a_reply_that_was_asked_for_before_ids_began_anew_fills_no_new_hole",
    ),
    repairs(
        "giving up is told to nobody",
        "self._intake.give_up(topic_index, [ids], cause)",
        "pass",
        "test_what_cannot_be_had_is_given_up_and_subscribers_are_told",
    ),
    repairs(
        "a request that failed stays under way",
        "        self._note_book(request, requested=False)\n        self.planner.failed(request, now_ns, retryable=retryable)",
        "        self._note_book(request, requested=False)",
        "test_an_announced_gap_is_asked_for_until_it_is_filled",
    ),
    repairs(
        "what a probe found is not passed on",
        "self._intake.add(request.topic_index, reply.events, now_ns)",
        "pass",
        "test_the_tail_of_a_topic_that_stays_silent_after_an_outage_is_asked_for",
    ),
    backfiller(
        "requests without permission are not asked again",
        (
            '            self._failed(request, "no_permission", "no permission to spend weight came in time")\n'
            "            return True"
        ),
        "            return True",
        "test_without_a_grant_nothing_is_asked_of_the_venue",
    ),
    backfiller(
        "a request that failed keeps its permission",
        "            self._grants.weight_done(grant_id, used, answer)",
        "            if answer is SUCCESS:\n                self._grants.weight_done(grant_id, used, answer)",
        "test_a_refusal_is_reported_to_whoever_gives_grants",
    ),
    intake(
        "what was refused is forgotten",
        "self._take_back(bundle, dirty)",
        "pass",
        "test_ids_that_were_refused_are_announced_and_wanted_again",
    ),
    intake(
        "holes that the aggregator found are not fetched",
        "            self._mark_incomplete(topic_index)\n            self._flush_ready(topic_index)\n\n    def announce",
        "            self._flush_ready(topic_index)\n\n    def announce",
        "test_gaps_that_are_resumed_and_holes_that_the_aggregator_found_are_looked_into",
    ),
    intake(
        "resumed gaps are not fetched",
        "        if lane.open or isinstance(lane, BookLane):\n            self._mark_incomplete(len(self._lanes))",
        "        if isinstance(lane, BookLane):\n            self._mark_incomplete(len(self._lanes))",
        "test_gaps_that_are_resumed_and_holes_that_the_aggregator_found_are_looked_into",
    ),
    intake(
        "a hole behind what a probe found is never announced",
        ("        if Verdict.HELD in verdicts:\n            self._wait_for_missing(topic_index)\n"),
        "",
        "test_the_newest_that_rest_brings_may_lie_behind_a_hole",
    ),
    intake(
        "a worker forgets in which numbering a topic is",
        "self._continuity_numbers.append(number if published is None else _as_in(published, number))",
        "self._continuity_numbers.append(number)",
        "test_ids_that_begin_anew_are_told_in_the_numbering_of_their_batches",
    ),
    intake(
        "what was published before is not resumed",
        "self._published = dict(positions or {})",
        "self._published = {}",
        "test_gaps_that_are_resumed_and_holes_that_the_aggregator_found_are_looked_into",
        hidden=True,
    ),
    intake(
        "a topic that is told late is not resumed",
        "                lane.resume(published)\n                self._continuity_numbers[topic_index] = number",
        "                self._continuity_numbers[topic_index] = number",
        "processes/test_worker.py::test_a_worker_that_is_told_late_where_a_topic_stands_asks_for_what_came_since",
    ),
    intake(
        "what a new aggregator forgot is not announced",
        "self.lanes[topic_index].want_again(first_id, last_id, time.time_ns())",
        "pass",
        "processes/test_worker.py::test_what_a_new_aggregator_does_not_know_although_it_was_published_is_announced_and_fetched",
    ),
    intake(
        "REST is asked again while what it brought is not announced",
        "self.refused = refused and bool(self._dirty)",
        "self.refused = False",
        "test_ids_that_were_refused_are_announced_and_wanted_again",
    ),
    intake_figures(
        "a hello tells an id of the new numbering for the old one",
        "lane.last_id if unsent is None else unsent.last_old_id",
        "lane.last_id",
        "feed/test_intake.py::test_a_reset_that_was_refused_is_told_with_what_was_missing_on_both_sides_of_it",
    ),
    intake(
        "books that nobody keeps are not published anew",
        "if lane.topic not in kept and lane.ask_book():",
        "if False:",
        "feed/test_repairs.py::test_a_book_that_somebody_lacks_is_fetched_and_published_anew_once",
    ),
    repairs(
        "a book that was ever broken comes before open gaps for ever",
        "if lane.broken:",
        "if lane.gaps:",
        "test_a_book_that_was_broken_and_is_whole_again_is_published_anew_without_hurry",
    ),
    book_lane(
        "diffs of hundreds of topics are kept for minutes until it is their turn",
        "maxlen=MAX_BUFFERED if many else MAX_WAITING",
        "maxlen=MAX_BUFFERED",
        "feed/test_repairs.py::test_few_diffs_are_kept_until_a_book_is_requested_and_many_while_it_is_under_way",
    ),
    book_lane(
        "once a book has come, many diffs are kept before the next is requested",
        "        self._buffer.clear()\n        self._snapshot = None\n        self._make_room()",
        "        self._buffer.clear()\n        self._snapshot = None",
        "feed/test_repairs.py::test_few_diffs_are_kept_until_a_book_is_requested_and_many_while_it_is_under_way",
    ),
)
