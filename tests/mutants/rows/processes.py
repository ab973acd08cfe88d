"""Owns the mutants of one part. How a worker is put together, and what the parent does for its children."""

from __future__ import annotations

from tests.mutants.mutant import within

worker = within("processes/worker.py")
shard = within("feed/shard.py")
restart = within("supervision/restart.py")
control_channel = within("supervision/control_channel.py")
connect_budget = within("supervision/connect_budget.py")
permission_client = within("supervision/permission_client.py")
permissions = within("supervision/permissions.py")
checkpoint = within("files/checkpoint.py")
relay = within("transport/relay.py")
child = within("supervision/child.py")
event_loop = within("event_loop.py")
signs_of_life = within("supervision/signs_of_life.py")
supervisor = within("supervision/supervisor.py")
ward = within("supervision/ward.py")
topology = within("processes/topology.py")
market_plan = within("processes/market_plan.py")
shard_numbers = within("processes/shard_numbers.py")
starting = within("processes/starting.py")
status = within("processes/status.py")
demonstration = within("demo/demonstration.py")
bound_path = within("files/bound_path.py")
lock_file = within("files/lock_file.py")

ROWS = (
    demonstration(
        "a checkpoint of one demonstration is believed by the next",
        'f"demo {secrets.token_hex(8)}"',
        '"demo"',
        "processes/test_run_plan.py::test_a_checkpoint_of_a_demonstration_is_of_its_run_alone_and_one_of_a_venue_of_its_address",
    ),
    permission_client(
        "a worker without a parent connects as often as it likes",
        "return max(silence_s, refused_s, turn_s)",
        "return max(silence_s, refused_s)",
        "supervision/test_permissions.py::test_a_child_whose_parent_is_silent_connects_as_often_as_its_share_and_tells",
    ),
    permission_client(
        "a worker without a parent connects although it was refused",
        "return max(silence_s, refused_s, turn_s)",
        "return max(silence_s, turn_s)",
        "supervision/test_permissions.py::test_a_refusal_met_alone_is_kept_without_the_parent",
    ),
    permission_client(
        "what a worker did alone is not told",
        "self._client.send(ConnectedAlone(self._alone_ns))",
        "pass",
        "supervision/test_permissions.py::test_a_child_whose_parent_is_silent_connects_as_often_as_its_share_and_tells",
    ),
    shard(
        "a worker does not resume positions",
        "feed.intake.resume(self._published)",
        "feed.intake.resume({})",
        "processes/test_worker.py::test_symbols_added_before_the_welcome_do_not_make_a_worker_forget_what_was_published",
    ),
    worker(
        "looks at the market are not taken",
        "self._shard.seen(MarketView(message.asked_ns, symbols, message.next_ns))",
        "pass",
        "test_a_silent_stream_of_which_the_venue_has_no_more_is_only_quiet",
        hidden=True,
    ),
    shard(
        "nobody asks for a topic's tail after an outage",
        "driver.on_live = backfiller.probe",
        "pass",
        "processes/test_worker.py::test_the_last_trades_before_an_outage_are_asked_for_although_none_follows",
    ),
    worker(
        "a worker ends before its bundles are handed over",
        "await bundle_sender.drain(DRAIN_S)",
        "pass",
        "test_what_waits_for_an_aggregator_at_the_end_is_handed_over",
    ),
    shard(
        "what was withheld is not fetched",
        "driver.on_withheld = backfiller.probe",
        "pass",
        "test_what_a_look_shows_that_no_line_brought_is_fetched_on_its_route",
    ),
    worker(
        "a worker does not tell a new aggregator of open gaps",
        "open_gaps=shard.open_gaps,",
        "",
        "test_a_new_aggregator_is_told_where_topics_stand_and_what_is_still_wanted",
    ),
    worker(
        "a worker does not tell a new aggregator where topics stand",
        "reached=shard.reached,",
        "",
        "test_a_new_aggregator_is_told_where_topics_stand_and_what_is_still_wanted",
    ),
    worker(
        "a worker does not hear of holes",
        "on_holes=shard.reopen,",
        "",
        "test_holes_that_the_aggregator_found_are_fetched",
    ),
    worker(
        "a worker does not tell what numberings began",
        "begun=shard.begun,",
        "",
        "test_a_new_aggregator_is_told_what_numberings_began",
    ),
    worker(
        "a worker does not hear of what was forgotten",
        "on_forgotten=shard.announce,",
        "",
        "test_what_a_new_aggregator_does_not_know_although_it_was_published_is_announced_and_fetched",
    ),
    worker(
        "a worker does not heed a late word of what was published",
        "shard.published(welcome.positions)",
        "None if self._shard is not None else shard.published(welcome.positions)",
        "test_a_worker_that_is_told_late_where_a_topic_stands_asks_for_what_came_since",
    ),
    shard(
        "all routes of a shard rotate in the same turn",
        "slot = self._settings.slot + len(self._feeds)",
        "slot = self._settings.slot",
        "test_each_route_is_a_connection_with_its_address_its_streams_and_its_turn",
    ),
    shard(
        "a shard is live with one of its routes",
        "return all(feed.driver.live for feed in self)",
        "return any(feed.driver.live for feed in self)",
        "test_a_route_that_loses_its_connection_leaves_the_other_alone_and_the_shard_is_not_live",
    ),
    shard(
        "what is told of topics reaches only the first route",
        "        for feed in self:\n            feed.intake.reopen(holes)",
        "        next(iter(self)).intake.reopen(holes)",
        "test_what_is_told_of_topics_reaches_each_on_its_route_and_what_they_tell_is_joined",
    ),
    market_plan(
        "symbols are too many for the fullest route",
        "return min(found, key",
        "return max(found, key",
        "test_a_shard_holds_as_many_symbols_as_fit_on_its_fullest_route",
    ),
    shard_numbers(
        "workers of two venues are due together",
        "first_slot=sum(needed.slots for needed in before if needed.lifetime_ns == own.lifetime_ns),",
        "first_slot=0,",
        "test_all_that_live_equally_long_share_the_slots_whoever_begins_first",
        "processes/test_market_plan.py::test_no_two_workers_of_a_run_are_ever_due_together",
    ),
    permissions(
        "workers of two venues rotate at once",
        "pools[allowance.rest_pool], turn)",
        "pools[allowance.rest_pool])",
        "test_one_rotates_at_a_time_of_all_venues_and_each_venue_has_a_window_of_its_own",
    ),
    connect_budget(
        "a venue whose workers ask for rotations again and again keeps those of another from any",
        "return bool(waits) and budget.rotation_asked_ns(now_ns) == min(waits)",
        "return bool(waits)",
        "test_whoever_has_waited_longest_rotates_next_whatever_the_venue_unless_it_may_not_connect_now",
    ),
    starting(
        "a mistake about one venue ends the feed of another that serves",
        "if not feed.symbols.kept_waiting or all(other.waiting_for for other in self._feeds):",
        "if True:",
        "test_a_mistake_about_one_venue_ends_the_start_but_not_another_that_has_served_while_it_was_silent",
    ),
    shard(
        "a topic that is told late is not asked for",
        "                feed.backfiller.probe()",
        "                pass",
        "processes/test_worker.py::test_a_worker_that_is_told_late_where_a_topic_stands_asks_for_what_came_since",
    ),
    worker(
        "a worker does not heed which books are missing",
        "            self._publish_books(message)",
        "            pass",
        "test_books_that_nobody_keeps_are_published_anew",
    ),
    restart(
        "a child that dies again and again is restarted for ever",
        "if len(self._deaths) > intensity:",
        "if False:",
        "test_one_death_more_than_the_intensity_gives_up",
    ),
    control_channel(
        "a permission that came too late is not given back",
        "elif waiter is None:  # came too late; nobody uses it",
        "elif False:",
        "supervision/test_permissions.py::test_a_permission_that_comes_too_late_is_given_back",
    ),
    control_channel(
        "a request that was given up stays in the parent's row",
        ("        except TimeoutError:\n            self.send(withdrawal)\n            return None"),
        ("        except TimeoutError:\n            return None"),
        "supervision/test_permissions.py::test_a_silent_parent_is_given_up_and_told_of_what_was_done_alone",
    ),
    permissions(
        "a parent that says wait is taken for dead",
        "self._send(name, Waiting(paused_s))",
        "pass",
        "test_a_parent_that_says_wait_is_obeyed_for_longer_than_its_silence_would_be",
    ),
    supervisor(
        "what a dead child was granted stays taken",
        "permissions.release_child(name)",
        "pass",
        "test_the_turn_of_a_child_that_died_is_given_to_the_next_whatever_their_venues",
    ),
    supervisor(
        "which books are missing is not passed on",
        "            if name != ward.spec.name:\n                self.send(name, message)",
        "            pass",
        "test_what_a_child_says_of_its_books_is_passed_on_to_the_others",
    ),
    restart(
        "a child that the feed can do without ends the feed when it cannot be kept alive",
        "        if intensity is not None:\n            self._deaths",
        "        intensity = intensity or 10\n        if intensity is not None:\n            self._deaths",
        "test_without_an_intensity_a_child_is_restarted_for_ever_and_more_and_more_seldom",
    ),
    supervisor(
        "a child that nobody waits for is not restarted if it never served",
        "if ward.spec.vital and not ward.served:",
        "if not ward.served:",
        "test_a_child_that_the_others_can_do_without_is_restarted_for_ever_though_it_never_served",
    ),
    restart(
        "a child that never comes to serve again is restarted for ever",
        "if self._unready >= self.policy.most_unready and",
        "if False and",
        "test_lives_that_never_came_to_serve_are_given_up_after_so_many_in_a_row_and_a_period",
    ),
    lock_file(
        "a lock whose file was removed counts as held",
        "return self._descriptor >= 0 and self._is_there(self._descriptor)",
        "return self._descriptor >= 0",
        "test_a_lock_whose_file_was_removed_is_not_held_and_can_be_taken_again",
    ),
    bound_path(
        "a socket whose file was removed is deaf",
        "            self.socket.bind(self._endpoint)\n",
        "",
        "test_who_comes_after_the_file_was_removed_is_heard_and_whoever_was_there_stays",
    ),
    status(
        "the health of the feed hangs on the books process",
        "if not state.alive and name not in run_plan.OBSERVERS",
        "if not state.alive",
        "test_the_feed_needs_no_books_process_to_be_healthy_and_ready",
        "system/test_books.py::test_a_feed_whose_port_for_books_is_taken_says_so_and_goes_on_without",
    ),
    supervisor(
        "children that drain are charged with the time for which the parent stood still",
        "            now_ns = self._listen()\n            drained_ns",
        "            now_ns = time.monotonic_ns()\n            drained_ns",
        "test_that_a_whole_host_stood_still_while_children_drain_costs_none",
    ),
    signs_of_life(
        "one that the host lets starve is taken for hung",
        "elif status in KEPT_WAITING and",
        "elif False and",
        "test_one_that_could_go_on_and_gets_none_of_the_processor_is_kept_waiting_by_the_host",
    ),
    signs_of_life(
        "an endless loop is taken for one that starves",
        "used_s < STARVED_SHARE * passed_ns / 1e9",
        "used_s >= 0",
        "test_one_that_could_go_on_and_gets_none_of_the_processor_is_kept_waiting_by_the_host",
    ),
    topology(
        "a limit in time counts only from when the venue was reached",
        "await asyncio.wait({starting, stopping}, timeout=self._left_s(), return_when=asyncio.FIRST_COMPLETED)",
        "await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)",
        "system/test_endings.py::test_a_limit_in_time_holds_without_a_venue_and_a_run_that_served_nothing_says_why",
    ),
    child(
        "a child that has lost its parent is cut off while it drains",
        "time.sleep(DRAIN_LIMIT_S)",
        "time.sleep(1.0)",
        "test_a_child_whose_parent_is_gone_has_the_same_time_to_end_as_any",
    ),
    event_loop(
        "who asks again waits for a lookup that is stuck",
        "            self._forget(query, found)  # it",
        "            pass  # it",
        "test_one_that_gives_up_waits_no_longer_and_neither_does_the_end_of_the_loop",
    ),
    topology(
        "a hangup that was to be ignored ends the feed",
        "if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:",
        "if True:",
        "system/test_endings.py::test_a_hangup_that_was_to_be_ignored_is",
    ),
    checkpoint(
        "what an earlier run of the program counted is counted to this one",
        "head.tally if head.run == run else Tally()",
        "head.tally",
        "test_what_was_counted_goes_on_in_the_same_run_alone",
    ),
    relay(
        "the report knows only the last life of the aggregator",
        "    sequencer.count_on(tally)\n",
        "",
        "test_a_new_life_counts_on_from_the_checkpoint",
    ),
    ward(
        "what a child told before the parent stood still counts as new",
        "self.beat.at_ns if self.beat is not None else 0",
        "self.life.heard_ns",
        "test_what_it_told_is_as_old_as_it_is_although_we_could_not_listen_meanwhile",
    ),
    ward(
        "the report knows only the last life of a worker",
        "return self._earlier + present",
        "return present",
        "test_what_was_counted_before_a_life_ended_still_counts",
        "supervision/test_supervisor.py::test_what_a_child_counted_before_it_died_still_counts",
    ),
)
