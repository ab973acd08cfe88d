"""Owns the mutants of one part. Which ids a topic has, lacks, and gives up: lanes in the worker, the sequencer after them."""

from __future__ import annotations

from tests.mutants.mutant import within

lane = within("sequencing/lane.py")
doubts = within("sequencing/doubts.py")
chain_lane = within("sequencing/chain_lane.py")
book_lane = within("sequencing/book_lane.py")
bar_lane = within("sequencing/bar_lane.py")
coverage = within("sequencing/coverage.py")
sequencer = within("sequencing/sequencer.py")
topic_state = within("sequencing/topic_state.py")
native_sequencer = within("sequencing/native_sequencer.py")

ROWS = (
    doubts(
        "only the newest glitch is remembered",
        "maxlen=KNOWN_GLITCHES",
        "maxlen=1",
        "test_glitches_that_a_late_line_brings_one_after_the_other_do_not_agree",
    ),
    doubts(
        "one event behind is a new life of the ids",
        "AGREE = 2",
        "AGREE = 1",
        "test_one_event_behind_is_a_glitch_once_the_topic_goes_on",
    ),
    doubts(
        "late copies are a new life of the ids",
        "later = made is not None and made > after_ns",
        "later = made is not None",
        "test_copies_are_never_a_new_life_however_many_come_after_the_other_line_has_ended",
    ),
    doubts(
        "a run goes on whatever the topic accepts meanwhile",
        "if self._below is not newest or not self._run or first < self._first:",
        "if not self._run or first < self._first:",
        "test_a_line_with_other_ids_beside_one_that_goes_on_changes_nothing",
    ),
    doubts(
        "times agree only with a clock that is right",
        "passed = passed_ns(other, one) if self._reach.times else 0",
        "passed = 0",
        "test_with_our_clock_behind_by_an_hour_no_event_of_a_topic_is_lost_however_seldom_they_come",
    ),
    doubts(
        "our clock alone tells when a position was made",
        "0 if made is None else made + LAG_NS",
        "0",
        "test_after_a_restart_copies_are_no_new_life_however_far_our_clock_is_behind",
    ),
    doubts(
        "a run that is over is still asked about",
        "return None if self._below is not newest else self._run[0]",
        "return self._run[0]",
        "test_a_book_shows_no_new_life_of_a_run_that_is_over",
    ),
    chain_lane(
        "a run of copies fills nothing",
        "any(map(self._still_new, events))",
        "False",
        "test_a_run_of_copies_that_fills_a_gap_is_not_dropped",
    ),
    bar_lane(
        "a bar from a database that is behind is believed",
        "return event.trade_count >= max(counts)",
        "return True",
        "test_a_fetched_bar_with_fewer_trades_than_were_seen_of_it_is_not_believed",
    ),
    chain_lane(
        "aggregates that do not join pass unseen",
        "self.links_broken += 1",
        "pass",
        "test_aggregates_that_do_not_join_are_noted_and_nothing_is_missing",
    ),
    lane(
        "glitches are kept",
        "for event in self._doubts.dismissed(self.newest):",
        "for event in ():",
        "sequencing/test_doubts.py::test_one_event_far_ahead_is_a_glitch_and_the_topic_goes_on",
    ),
    chain_lane(
        "what is far ahead is taken at once",
        "elif self._far_ahead(event):",
        "elif False:",
        "sequencing/test_doubts.py::test_one_event_far_ahead_is_a_glitch_and_the_topic_goes_on",
    ),
    lane(
        "a lane that resumes forgets open gaps",
        "self.open = IdRanges(published.open)",
        "pass",
        "sequencing/test_chain_lane.py::test_a_resumed_lane_continues_after_what_was_published",
    ),
    lane(
        "gaps are hoped for without bound",
        "while len(self.open) > MAX_OPEN:",
        "while False:",
        "sequencing/test_chain_lane.py::test_hopeless_gaps_are_bounded",
    ),
    lane(
        "what could not be sent is not wanted again",
        "self.reopen(first_id, last_id, at_ns)",
        "pass",
        "feed/test_intake.py::test_ids_that_were_refused_are_announced_and_wanted_again",
    ),
    lane(
        "what could not be sent is not announced",
        "        self.ready.append(Gap(first_id, last_id, NOT_SENT, at_ns))\n        self.mixed = True",
        "        pass",
        "feed/test_intake.py::test_ids_that_were_refused_are_announced_and_wanted_again",
    ),
    lane(
        "old gaps are wanted among new ids",
        "self.open, self.closed = IdRanges(), IdRanges()",
        "pass",
        "sequencing/test_chain_lane.py::test_ids_that_begin_anew_are_told_after_what_was_held_and_of_the_old_ones_nothing_is_wanted",
    ),
    lane(
        "what was given up is gone for good",
        ("            close_ids(self.closed, first, last)\n            self.ready.append(GivenUp"),
        "            self.ready.append(GivenUp",
        "sequencing/test_chain_lane.py::test_an_event_for_a_void_id_corrects_it_and_one_for_an_id_that_was_given_up_still_counts",
    ),
    lane(
        "closed ids are forgotten by a lane that resumes",
        "self.closed = IdRanges(published.closed)",
        "pass",
        "sequencing/test_chain_lane.py::test_a_resumed_lane_still_takes_events_for_ids_that_were_told_to_be_none",
    ),
    chain_lane(
        "a late line does not fill a gap",
        "if self._still_new(event) and not made_later(event, self.newest) and self.fill((event,), now_ns):",
        "if False:",
        "test_a_late_copy_of_an_announced_id_fills_the_gap",
    ),
    chain_lane(
        "events are held without bound",
        "if hold_ns == 0 or len(self._held) > MAX_HELD:",
        "if hold_ns == 0:",
        "test_what_is_held_is_bounded",
    ),
    chain_lane(
        "the hole behind a hole is waited for without end",
        ("            self._deadline_ns = now_ns + hold_ns\n\n    def _announce"),
        ("            self._deadline_ns = None\n\n    def _announce"),
        "test_each_hole_has_a_time_of_its_own",
    ),
    chain_lane(
        "what corrects a void is given each time it comes",
        "self.closed.remove(event.first_id, event.last_id)",
        "pass",
        "test_an_event_for_a_void_id_corrects_it_and_one_for_an_id_that_was_given_up_still_counts",
    ),
    book_lane(
        "depth resumed with open gaps asks for no book",
        "self.needs_snapshot = self.broken or not published.whole",
        "self.needs_snapshot = not published.whole",
        "test_a_lane_that_resumes_with_an_open_gap_needs_a_book",
        hidden=True,
    ),
    book_lane(
        "depth resumed before its first book asks for none",
        "self.needs_snapshot = self.broken or not published.whole",
        "self.needs_snapshot = self.broken",
        "test_a_lane_that_resumes_before_the_first_book_was_published_still_needs_one",
    ),
    book_lane(
        "a book older than the diffs at hand is taken",
        "if not first_id - 1 <= snapshot.last_update_id <= first_id + FAR_IDS:",
        "if snapshot.last_update_id > first_id + FAR_IDS:",
        "test_a_snapshot_older_than_the_buffer_is_fetched_again",
    ),
    book_lane(
        "a book is published before the diffs reach it",
        "if snapshot is None or self.last_id is None or self.last_id < snapshot.last_update_id:",
        "if snapshot is None or self.last_id is None:",
        "test_a_new_topic_gets_a_book_as_soon_as_its_diffs_reach_the_snapshot",
    ),
    book_lane(
        "a book gap asks for no new book",
        ("        super()._announce_gap(first_id, last_id, noticed_ns, cause)\n        self._break()"),
        "        super()._announce_gap(first_id, last_id, noticed_ns, cause)",
        "test_a_hole_is_announced_at_once_and_healed_by_a_snapshot",
    ),
    book_lane(
        "diffs wait for a book without bound",
        "maxlen=MAX_BUFFERED if many else MAX_WAITING",
        "maxlen=None",
        "test_the_buffer_is_bounded_and_then_asks_for_a_newer_book",
    ),
    book_lane(
        "a book that was asked for is not fetched",
        "(len(self._buffer) > 0 or self._asked or self._quiet)",
        "(len(self._buffer) > 0 or self._quiet)",
        "test_a_book_that_is_asked_for_is_published_anew_at_the_place_where_the_topic_stands",
    ),
    bar_lane(
        "a bar whose last state is unknown is not asked for",
        "self._reached_ns = self.last_id if published.next_id == NO_ID else published.next_id",
        "self._reached_ns = (self.last_id or 0) + 60_000_000_000 if published.next_id == NO_ID else published.next_id",
        "test_a_resumed_lane_asks_for_the_bar_that_may_not_have_ended",
    ),
    bar_lane(
        "bars are held without bound",
        "if hold_ns == 0 or len(self._held) > MAX_HELD_BARS:",
        "if hold_ns == 0:",
        "test_what_is_held_is_bounded",
    ),
    bar_lane(
        "the next bar goes on before the last one is final",
        "self._reached_ns = bar.next_open_ns if bar.final else bar.open_time_ns",
        "self._reached_ns = bar.next_open_ns",
        "test_the_next_bar_waits_for_the_final_state_of_the_one_before",
    ),
    bar_lane(
        "a final state is dropped if its time is not later",
        "if same and isinstance(newest, Kline) and not bar.final and bar.venue_time_ns <= newest.venue_time_ns:",
        "if same and isinstance(newest, Kline) and bar.venue_time_ns <= newest.venue_time_ns:",
        "test_a_final_state_follows_the_last_update_though_it_has_the_same_time",
    ),
    bar_lane(
        "a late line does not fill the gap of a final bar",
        "if late and self.fill((event,), now_ns):",
        "if False:",
        "test_a_line_that_is_late_still_fills_the_gap",
    ),
    coverage(
        "a late event comes out of nowhere",
        "return late if filled else None",
        "return late",
        "TestOneTopic",
    ),
    coverage(
        "a book goes back",
        ("        if snapshot.last_id < self.last_id:\n            return None"),
        ("        if False:\n            return None"),
        "test_a_snapshot_makes_every_gap_below_it_good_and_an_older_one_is_old",
    ),
    coverage(
        "closed ids are remembered without bound",
        "    closed.keep_newest(MAX_CLOSED)",
        "    pass",
        "test_closed_ids_are_remembered_up_to_a_bound_and_the_newest_of_them",
    ),
    coverage(
        "old gaps stay open among new ids",
        (
            "        self.last_id, self.last_time_ns = first_new_id - 1, NO_ID\n"
            "        self.open, self.closed = IdRanges(), IdRanges()"
        ),
        "        self.last_id, self.last_time_ns = first_new_id - 1, NO_ID",
        "test_gaps_of_old_ids_are_none_of_the_new_ones",
    ),
    coverage(
        "a void that proves wrong is not corrected",
        "filled = self.open.remove(*ids) + self.closed.remove(*ids)",
        "filled = self.open.remove(*ids)",
        "TestOneTopic",
    ),
    sequencer(
        "open gaps of a hello are forgotten",
        "state.open.add(first_id, min(last_id, state.last_id) if claimed else last_id)",
        "pass",
        "test_ids_that_a_worker_will_still_send_are_open_in_a_new_life_and_only_there",
    ),
    sequencer(
        "what a worker dropped moves a topic back",
        ("            if state.last_id == NO_ID:\n                state.restart"),
        ("            if not state.sequence:\n                state.restart"),
        "test_a_worker_that_had_to_give_something_up_says_from_where_and_it_counts_if_nothing_better_is_known",
    ),
    sequencer(
        "a topic of this life is moved back by a hello",
        "if not state.sequence and (state.last_id == NO_ID or is_before(reached, known)):",
        "if state.last_id == NO_ID or is_before(reached, known):",
        "test_a_restored_sequencer_continues_and_a_worker_may_send_from_earlier",
    ),
    sequencer(
        "a hole between workers is passed over",
        ("            self._find_gap(batch.first_id, state, now_ns)\n            self._pass(batch, state)"),
        "            self._pass(batch, state)",
        "test_a_new_worker_that_begins_later_is_announced",
    ),
    sequencer(
        "a hole between workers is nobody's to fill",
        "self.found_holes.setdefault(state.topic, (state.continuity_number, []))[1].append((gap.first_id, gap.last_id))",
        "pass",
        "test_a_gap_or_void_that_was_told_before_is_trimmed_or_dropped",
    ),
    sequencer(
        "what overlaps is published twice",
        (
            "            self._pass(batch, state)\n"
            "        else:\n"
            "            self._newer_part(batch, state)\n"
            "\n"
            "    def _newer_part"
        ),
        (
            "            self._pass(batch, state)\n"
            "        else:\n"
            "            self._pass(batch, state)\n"
            "\n"
            "    def _newer_part"
        ),
        "test_depth_that_overlaps_is_trimmed_to_what_is_new",
    ),
    sequencer(
        "a gap or void jumps over ids",
        "if state.chained and state.last_id != NO_ID and event.first_id > state.last_id + 1:",
        "if False:",
        "test_neither_a_void_nor_a_gap_jumps_over_ids",
    ),
    sequencer(
        "ids of an earlier numbering are taken for new ones",
        ("            if ahead < 0:\n                self.old_events += batch.count\n            elif ahead or"),
        "            if ahead or",
        "test_ids_that_begin_anew_are_not_old_and_those_before_are",
    ),
    sequencer(
        "a reset that was lost is not told",
        "        self._put(wire.batch_of(batch.topic, [reset], batch.continuity), state)",
        (
            "        if batch.schema == RESET_SCHEMA:\n"
            "            self._put(wire.batch_of(batch.topic, [reset], batch.continuity), state)"
        ),
        "test_a_reset_that_was_lost_is_told_all_the_same_and_what_the_worker_lacks_is_named",
    ),
    sequencer(
        "what is missing before a reset is not named",
        "if is_next and state.chained and NO_ID != state.last_id < reset.last_old_id:",
        "if False:",
        "test_old_ids_that_never_came_are_announced_before_the_reset_and_no_worker_is_asked_for_them",
    ),
    native_sequencer(
        "what was taken natively in a turn is lost when Python takes over",
        "frames = undone[: len(undone) - but_last]",
        "frames = undone[:0]",
        "test_who_asks_within_a_turn_is_told_what_was_taken_in_it",
    ),
    native_sequencer(
        "the bundle that was left is taken twice",
        "self._python_s(but_last=1)",
        "self._python_s()",
        "test_anything_else_is_python_s_with_its_whole_turn",
    ),
    native_sequencer(
        "topics that Python changed stand natively where they stood",
        "self._touched[batch.topic] = None",
        "pass",
        "test_a_hole_is_found_behind_what_was_taken_natively_and_then_it_goes_on",
    ),
    native_sequencer(
        "a reader sees where topics stood before",
        "state.last_id, state.sequence = last_id, sequence",
        "pass",
        "test_what_continues_is_taken_after_python_took_the_first_of_a_topic",
    ),
    topic_state(
        "a position forgets the open gaps",
        "self.last_id, list(self.open), self.continuity_number,",
        "self.last_id, [], self.continuity_number,",
        "sequencing/test_sequencer.py::test_a_gap_of_a_worker_stays_open_until_it_is_filled_or_void",
    ),
    topic_state(
        "a bar counts as final before it is",
        "bar.next_open_ns if bar.final else bar.open_time_ns",
        "bar.next_open_ns",
        "sequencing/test_sequencer.py::test_a_position_among_bars_tells_which_bar_is_next",
    ),
    topic_state(
        "a first book that never came counts as published",
        "self.whole = earlier is not None and earlier.whole",
        "self.whole = True",
        "sequencing/test_sequencer.py::test_a_position_tells_whether_the_topic_has_had_a_book_in_any_life",
    ),
    topic_state(
        "among new ids the book of the old ones counts",
        "self.first_id, self.count, self.whole = None, 0, False",
        "self.first_id, self.count = None, 0",
        "sequencing/test_sequencer.py::test_a_topic_whose_ids_began_anew_has_had_no_book_of_the_new_ones",
    ),
    topic_state(
        "closed ids are forgotten by a position",
        "self.whole, next_id, list(self.closed)",
        "self.whole, next_id, []",
        "sequencing/test_sequencer.py::test_ids_that_are_given_up_are_missing_no_longer_and_still_come_late",
    ),
    sequencer(
        "a topic goes on from a hello that its checkpoint does not reach",
        "if not state.sequence and (state.last_id == NO_ID or is_before(reached, known)):",
        "if not state.sequence:",
        "test_what_a_checkpoint_does_not_reach_is_missing_also_if_a_worker_knows_that_it_was_published",
    ),
    coverage(
        "what comes in its order for closed ids is new only while some gap is open",
        "return self._late(event) if fresh is None and (self.open or self.closed) else fresh",
        "return self._late(event) if fresh is None and self.open else fresh",
        "test_what_comes_for_closed_ids_is_new_also_when_a_life_sends_it_in_its_order",
    ),
)
