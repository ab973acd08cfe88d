"""Owns the mutants of one part. When a line is given up, replaced or subscribed again."""

from __future__ import annotations

from tests.mutants.mutant import within

driver = within("feed/driver.py")
rotation_permission = within("feed/rotation_permission.py")
lines = within("feed/lines.py")
subscription = within("feed/subscription.py")
liveness = within("feed/liveness.py")
silence = within("feed/silence.py")
fetches = within("feed/fetches.py")
steps = within("rotation/steps.py")
readiness = within("processes/readiness.py")

TABLE = "rotation/test_table.py::test_the_table_answers_as_the_scenario_tells"

ROWS = (
    silence(
        "a topic of which a new line brings nothing is looked at once and never compared in time",
        "look_ns = since_ns + FIRST_LOOK_NS if topic.base is None else topic.compare_ns",
        "look_ns = since_ns + FIRST_LOOK_NS",
        "test_a_topic_of_which_a_new_line_has_brought_nothing_is_judged_as_soon_as_one_that_never_brought_anything",
    ),
    silence(
        "a new line is trusted to bring what the one before brought",
        "if topic.heard_ns < self._renewed_ns or not topic.heard_ns:",
        "if not topic.heard_ns:",
        "test_a_topic_of_which_a_new_line_has_brought_nothing_is_judged_as_soon_as_one_that_never_brought_anything",
    ),
    steps(
        "standbys are tried again and again without a pause",
        "    memory.hurried += 1\n",
        "",
        TABLE,
    ),
    steps(
        "a standby that works does not end the hurry",
        "    memory.hurried = 0\n",
        "",
        TABLE,
    ),
    steps(
        "an announced standby gets more time at the last moment",
        "min(_some(memory.deadline_ns), now_ns + memory.policy.doomed_overlap_ns)",
        "now_ns + memory.policy.doomed_overlap_ns",
        TABLE,
    ),
    readiness(
        "a wait for weight that nothing needs is a reason",
        "if wait_s and any(reason.word in ENDED_BY_REST for reason in found):",
        "if wait_s:",
        "test_the_wait_for_weight_is_a_reason_only_beside_one_that_it_would_end",
    ),
    readiness(
        "a worker that has reported nothing is ready",
        'yield Reason(Word.STARTING, name, 1, f"{called} has not reported yet")',
        "yield from ()",
        "test_a_worker_that_serves_is_not_believed_before_it_has_reported",
    ),
    rotation_permission(
        "a permission that came as it was withdrawn is kept",
        "grant.done()  # given in the moment of the withdrawal",
        "pass",
        "test_a_permission_given_in_the_moment_of_the_withdrawal_is_given_back",
    ),
    driver(
        "a line without data is kept",
        ("        self._give_up_silent(now_ns)\n        if now_ns"),
        "        if now_ns",
        "test_a_line_that_pings_and_answers_and_brings_no_data_is_replaced",
    ),
    driver(
        "subscriptions are never audited",
        "self.lines.audit(line.number, now_ns)",
        "pass",
        "test_an_audit_while_streams_are_added_and_refused_keeps_the_line",
    ),
    driver(
        "a silent stream is not told of",
        "self.on_withheld(found.fetch)",
        "pass",
        "test_a_stream_that_falls_silent_is_told_of_once",
    ),
    driver(
        "nobody is told that a line carries the feed again",
        "self.on_live()\n        _log",
        "_log",
        "test_it_is_told_that_a_line_carries_the_feed_again",
    ),
    driver(
        "what an old line took with it is not asked for",
        "if not action.complete:",
        "if False:",
        "test_a_line_that_took_over_without_proof_is_followed_by_a_question_for_what_the_old_one_took_with_it",
    ),
    driver(
        "what is held back is forgotten at the end",
        "self.intake.expire(2**63 - 1)",
        "pass",
        "test_what_is_held_back_goes_on_at_the_end",
    ),
    driver(
        "holes are never announced while nothing comes",
        "self.intake.expire(now_ns)",
        "pass",
        "test_a_hole_is_announced_although_nothing_more_comes",
    ),
    driver(
        "a stream that the new line lacks ends with the old one",
        "bool(self.lines.withheld(self.machine.standby, self.machine.primary))",
        "False",
        "test_a_stream_that_the_venue_refuses_on_the_new_line_keeps_the_old_one",
    ),
    lines(
        "streams that are added are only on lines that are up",
        "self.names += names",
        "pass",
        "feed/test_driver.py::test_streams_added_while_a_standby_warms_are_on_it",
    ),
    lines(
        "audit answers make a line look alive",
        "return self.traffic[1] - self.replies",
        "return self.traffic[1]",
        "feed/test_driver.py::test_a_line_that_pings_and_answers_and_brings_no_data_is_replaced",
    ),
    lines(
        "a line that ended is not reported",
        ("        self.drop(number)\n        self._report(Closed(number, cause))"),
        "        self.drop(number)",
        "feed/test_driver.py::test_what_a_line_asked_for_is_withdrawn_when_it_ends",
    ),
    lines(
        "a refused handshake teaches nobody",
        ("            self._grants.answered(error)\n            raise"),
        "            raise",
        "feed/test_driver.py::test_a_refused_handshake_is_a_failed_attempt_and_teaches_the_parent",
    ),
    lines(
        "a failed attempt is not reported",
        ("            self.drop(number)\n            self._report(Failed(number))\n            return"),
        ("            self.drop(number)\n            return"),
        "feed/test_driver.py::test_a_refused_handshake_is_a_failed_attempt_and_teaches_the_parent",
    ),
    subscription(
        "lost subscriptions are not subscribed again",
        "if not missing or await self.add(line, missing):",
        "if not missing:",
        "test_an_audit_subscribes_again_what_the_venue_forgot",
        hidden=True,
    ),
    subscription(
        "one refused name takes its whole request down",
        "self._to_ask += [names[:middle], names[middle:]]",
        'self.refused.update(dict.fromkeys(names, "no"))',
        "test_the_names_that_the_venue_refuses_are_found_and_the_others_subscribed",
    ),
    liveness(
        "a worker that stood still is ready before anything has come since",
        "self.came, self._catch_up_ns = False,",
        "self.came, self._catch_up_ns = True,",
        "test_where_data_can_be_expected_a_line_is_fresh_only_once_it_has_brought_some_since_we_stood_still",
    ),
    liveness(
        "a line that only pings is kept",
        "return SILENT if self._give_up_ns is not None and now_ns >= self._give_up_ns else None",
        "return None",
        "test_a_line_that_pings_and_brings_no_data_is_silent_until_another_one_carries_the_feed",
        hidden=True,
    ),
    liveness(
        "a stale line is kept",
        ("        if now_ns - last_read_ns >= self._stale_limit_ns:\n            return STALE\n"),
        "",
        "test_a_line_on_which_nothing_comes_is_stale_and_no_longer_fresh_before_that",
    ),
    liveness(
        "a stream that fell silent is not suspicious",
        ("                self.silent.add(topic_index)\n                found.append(topic_index)"),
        "                self.silent.add(topic_index)",
        "test_a_busy_stream_that_stops_is_suspicious_once_and_until_it_speaks",
    ),
    liveness(
        "a line is given up for an answer that the weight forbids to ask for",
        "self._question_ns, self._give_up_ns = now_ns, max(now_ns, self._next_ns) + ANSWER_NS",
        "self._question_ns, self._give_up_ns = now_ns, now_ns + ANSWER_NS",
        "test_the_time_for_an_answer_begins_when_the_weight_allows_the_question",
    ),
    liveness(
        "a line without data is given up although the venue has none",
        "self.quiet = self.quiet or self._give_up_ns is not None\n            self._give_up_ns = None",
        "self.quiet = self.quiet or self._give_up_ns is not None",
        "test_a_line_without_data_is_kept_while_the_venue_has_none_and_pings_come",
    ),
    liveness(
        "a quiet line is stale between two pings",
        "return self._stale_after_ns if self._data.expected and not self.quiet else self._pings_within_ns",
        "return self._stale_after_ns",
        "test_a_line_on_which_only_pings_can_be_expected_is_not_stale_between_two_of_them",
    ),
    silence(
        "what may be on its way counts as withheld",
        "due_ns = max(now_ns, (topic.doubted_ns or now_ns) + SETTLE_NS)",
        "due_ns = now_ns",
        "test_an_acknowledged_topic_that_never_brings_anything_is_silent_once_the_market_has_moved",
    ),
    silence(
        "a topic that is behind the last trade is quiet",
        "behind_id = shown if known and ahead else None",
        "behind_id = None",
        "test_a_topic_that_is_behind_the_last_trade_is_silent_after_one_look",
    ),
    silence(
        "lines are tried for ever in a storm",
        "self._pause_ns = min(LONGEST_PAUSE_NS, 2 * self._pause_ns)",
        "pass",
        "test_lines_are_tried_ever_less_often_while_the_topic_stays_silent",
    ),
    silence(
        "a late answer is taken for the market as it was when the topic fell silent",
        "topic.base, topic.ripe = shown, view.asked_ns >= self._since_ns(topic) + LATE_NS",
        "topic.base, topic.ripe = shown, True",
        "test_what_happened_just_before_a_line_came_is_no_news_when_the_answers_catch_up",
    ),
    silence(
        "a symbol that trades again owes no book until it is looked at",
        "topic.state = _State.FLOWING\n        topic.trading = True\n",
        "topic.state = _State.FLOWING\n",
        "test_a_symbol_that_brings_something_trades_whatever_was_shown_before_and_is_shown_now",
    ),
    fetches(
        "what a class of mute topics lacks takes all the weight",
        "self._used_ns += len(taken) * self._every_ns",
        "pass",
        "test_a_class_of_mute_topics_is_asked_for_in_turn_and_in_a_small_share",
    ),
    silence(
        "a topic that stopped, and of which nobody can tell, gets another line for ever",
        "topic.tried = self._rotate_once = True",
        "self._rotate_once = True",
        "test_for_a_stopped_topic_of_which_nobody_can_tell_one_line_is_tried_and_another_one_when_it_stops_again",
    ),
    silence(
        "nobody notices that a depth says nothing while its best prices change",
        "topic.doubted_ns, topic.hurry_ns, topic.apart_ns = topic.apart_ns, now_ns, 0",
        "pass",
        "test_a_depth_that_dies_alone_is_asked_about_soon_after_the_top_of_its_book_has_changed",
    ),
    silence(
        "one stale answer is an alarm",
        "if topic.doubted_ns and enough:",
        "if enough:",
        "test_one_stale_answer_is_no_news",
    ),
    silence(
        "a book that does not trade is asked for its changes",
        "shown = seen.top if seen.trading else None",
        "shown = seen.top",
        "test_the_book_of_a_symbol_that_does_not_trade_owes_nothing_though_its_prices_change",
    ),
)
