"""Owns the mutants of one part. What a subscriber is given, in which order, and what is repaired or named."""

from __future__ import annotations

from tests.mutants.mutant import within

reassembly = within("transport/reassembly.py")
lives = within("transport/lives.py")
standing = within("transport/standing.py")
subscriber = within("transport/subscriber.py")
subscriber_sockets = within("transport/subscriber_sockets.py")
waiting_clock = within("transport/waiting_clock.py")
replay_server = within("transport/replay_server.py")
ring = within("transport/ring.py")
peer = within("transport/peer.py")
peer_watch = within("transport/peer_watch.py")
publisher = within("transport/publisher.py")

ROWS = (
    waiting_clock(
        "a subscriber gives up while the aggregator is away",
        "if now_s - self._heard_s < SILENT_S:",
        "if True:",
        "test_it_stands_still_while_the_aggregator_is_silent",
    ),
    waiting_clock(
        "a subscriber that did not look gives up at once",
        "min(now_s - self.looked_s, MAX_STEP_S)",
        "now_s - self.looked_s",
        "test_a_program_that_was_elsewhere_finds_its_clock_where_it_was",
    ),
    reassembly(
        "an epoch that was left is taken again",
        ("        if epoch in self._left:\n            self.counters"),
        ("        if False:\n            self.counters"),
        "test_an_epoch_that_was_left_is_never_taken_again",
    ),
    reassembly(
        "what was held when a life ended is dropped",
        "state.former += state.held.values()",
        "pass",
        "test_what_was_held_when_a_life_ended_is_given_if_the_next_begins_beyond",
    ),
    lives(
        "ids missing between two lives are not named",
        "        if state.chained and header.first_id != state.last_id + 1 and (missing := state.missing_before(header)):\n            self._lose",
        "        if False:\n            self._lose",
        "transport/test_reassembly.py::test_a_new_life_that_begins_beyond_is_a_loss_known_by_ids",
    ),
    reassembly(
        "what the ring has no longer is passed over without a word",
        ("            self._give_up(topic, state, first - 1)\n        self._drain(topic, state)"),
        ("            state.sequence = first - 1\n        self._drain(topic, state)"),
        "test_what_the_ring_has_no_longer_is_named_with_its_ids",
    ),
    reassembly(
        "a subscriber holds without bound",
        "        self._want(header.topic, state, now_ns)\n        if self._held_bytes > MAX_HELD_BYTES:",
        "        self._want(header.topic, state, now_ns)\n        if False:",
        "test_what_is_held_behind_holes_is_bounded",
    ),
    reassembly(
        "a topic that began after joining counts from its newest batch",
        "begins = 0 if self._begun_since(header.topic) else header.sequence - 1",
        "begins = header.sequence - 1",
        "test_a_topic_that_begins_after_joining_counts_from_its_first_batch",
    ),
    reassembly(
        "the ring is asked for a hole only once",
        "if now_ns - state.asked_ns >= ASK_AGAIN_NS:",
        "if state.asked_ns < 0:",
        "test_a_ring_that_gives_a_part_is_asked_on",
    ),
    reassembly(
        "epochs that were left are remembered without bound",
        "while len(self._left) > MAX_EPOCHS_LEFT:",
        "while False:",
        "test_the_epochs_left_are_bounded",
    ),
    reassembly(
        "a position counts what still waits for the program",
        "found[item.topic] = TopicPosition(*before)",
        "pass",
        "test_a_position_is_what_was_given_and_survives_being_saved",
    ),
    reassembly(
        "a topic that began unheard is not asked for",
        ("                state = self._add(topic, Standing(epoch, 0))\n            if sequence"),
        ("                state = self._add(topic, Standing(epoch, sequence))\n            if sequence"),
        "test_a_topic_that_went_on_unheard_is_asked_for",
    ),
    reassembly(
        "a hole is never given up",
        (
            "            if state.held:\n"
            "                self._give_up(topic, state, min(state.held) - 1)\n"
            "                state.deadline_ns"
        ),
        ("            if state.held:\n                state.deadline_ns"),
        "test_without_an_answer_the_hole_is_named_when_its_time_is_up",
    ),
    standing(
        "a void begins a topic",
        "return None if self.last_id == NO_ID and self.chained else super()._admit_closing(event)",
        "return super()._admit_closing(event)",
        "test_a_void_is_no_start",
    ),
    standing(
        "late events of a gap that a new life knows are dropped",
        "if self.renewed and self.chained and NO_ID != self.last_id < late.first_id:",
        "if False:",
        "test_late_events_ahead_are_new_only_while_a_new_life_has_not_shown_how_far_it_is",
    ),
    standing(
        "a book hides the diffs that are missing before it",
        "return self._missing_through(header.last_id) if header.schema in SNAPSHOT_SCHEMAS else None",
        "return None",
        "test_what_is_missing_before_a_batch_after_id_10",
    ),
    standing(
        "a saved position forgets the open gaps",
        "self._open_list = list(self.open)",
        "self._open_list = []",
        "test_a_place_in_the_middle_of_a_batch",
    ),
    subscriber(
        "a missed heartbeat raises no doubt",
        ("            self._unsure = True\n        self._heartbeat"),
        ("            pass\n        self._heartbeat"),
        "test_a_last_batch_that_was_lost_is_noticed_by_the_heartbeat",
    ),
    subscriber(
        "an answer of another life begins it",
        (
            "            epoch, newest_of = replay_server.unpack_newest(rest[1])\n"
            "            if epoch == self._reassembly.epoch:"
        ),
        ("            epoch, newest_of = replay_server.unpack_newest(rest[1])\n            if True:"),
        "test_only_what_is_published_begins_another_life",
    ),
    subscriber(
        "nobody is told that nobody speaks",
        "if self._speaks and self._clock.silent_s >= FEED_LOST_S:",
        "if False:",
        "test_a_program_is_told_when_nobody_speaks_and_when_a_feed_is_back",
    ),
    subscriber(
        "a feed that is back is not told",
        "        if not self._speaks:\n",
        "        if False:\n",
        "test_a_program_is_told_when_nobody_speaks_and_when_a_feed_is_back",
    ),
    subscriber_sockets(
        "subscriptions beyond a thousand are dropped",
        "send_high_water_mark=0, ",
        "",
        "transport/test_subscriber.py::test_very_many_exact_topics_are_all_heard",
    ),
    subscriber(
        "items wait for a slow program without bound",
        "full = self._subscribed and len(self._reassembly.ready) >= READY_LIMIT",
        "full = False",
        "test_what_a_slow_program_does_not_read_stays_in_zeromq",
    ),
    subscriber(
        "the newest sequences are asked for only once",
        (
            "                for topic in self._unanswered:\n"
            "                    self._say(replay_server.NEWEST, topic.encode())"
        ),
        (
            "                for topic in self._unanswered:\n"
            "                    self._say(replay_server.NEWEST, topic.encode())\n"
            "                self._unanswered = set()"
        ),
        "test_the_newest_sequences_are_asked_for_until_they_are_answered",
    ),
    replay_server(
        "a replay begins one batch late",
        "topic, sequence, limit_bytes",
        "topic, sequence + 1, limit_bytes",
        "transport/test_subscriber.py::test_a_feed_that_is_named_is_asked_itself_for_what_was_missed",
    ),
    replay_server(
        "replies are made for one that does not read",
        "            requester.reply = reply\n            self._full[sender] = requester\n",
        "            self._requesters[sender] = requester\n",
        "transport/test_replay_server.py::test_replies_that_nobody_reads_are_not_made",
    ),
    peer(
        "quiet is credit for a flood",
        "max(0.0, self._level - passed)",
        "self._level - passed",
        "test_quiet_is_no_credit_for_more_than_a_burst",
    ),
    peer(
        "what a peer has taken is still owed",
        "self._handed - (acked - self._acked) - queued",
        "self._handed - queued",
        "test_what_it_is_owed_counts_from_when_the_kernel_takes_no_more",
    ),
    peer_watch(
        "the connection of who does harm is not ended",
        "connection.socket.shutdown(sockets.SHUT_RDWR)",
        "pass",
        "test_whoever_floods_is_cut_loose_and_nobody_else",
    ),
    publisher(
        "what a slow subscriber is owed is not counted",
        "                peer.hand(frame)",
        "                pass",
        "transport/test_peer_watch.py::test_whoever_does_not_read_is_cut_loose_at_a_bound_in_bytes",
    ),
    ring(
        "the ring forgets nothing by age",
        "while self._times and self._times[0][0] < now_ns - self._max_age_ns:",
        "while False:",
        "TestRing",
    ),
    ring(
        "the ring grows beyond its bytes",
        "while self.bytes > self._max_bytes:",
        "while self.bytes > 2 * self._max_bytes:",
        "TestRing",
    ),
    ring(
        "a quiet topic loses its last value",
        "held.last = held.frames.popleft()",
        "held.frames.popleft()",
        "TestRing",
    ),
    ring(
        "the ring says that it still has what it forgot",
        "first = held.newest + 1 - len(held.frames)",
        "first = 1",
        "TestRing",
    ),
    lives(
        "among bars a closed gap shows how far a life is",
        "(header.schema == GAP_SCHEMA if state.bars else not state.chained)",
        "(header.schema < 1000 if state.bars else not state.chained)",
        "transport/test_reassembly.py::test_a_closed_gap_does_not_show_how_far_a_life_is_among_bars",
    ),
    reassembly(
        "what was held over a reset is given in the order of ids alone",
        "state.former.sort(key=state.place_of)",
        "state.former.sort(key=lambda frame: wire.read_header(frame).first_id)",
        "test_what_was_held_over_a_reset_when_a_life_ended_is_given_in_the_order_of_numberings",
    ),
    standing(
        "in a new life the last state of the bar at which a topic stands is dropped if it comes late",
        "            self._admit_bar(bar)\n            self.open.remove(*covered_ids(bar))\n            return late",
        "            pass",
        "transport/test_reassembly.py::test_what_fills_a_gap_does_not_show_how_far_a_life_is_among_bars",
    ),
    reassembly(
        "a subscriber without patience believes a new life at once",
        "DOUBT * (self._patience_ns or PATIENCE_NS)",
        "DOUBT * self._patience_ns",
        "test_a_subscriber_without_patience_waits_all_the_same_for_a_life_that_only_repeats",
    ),
    reassembly(
        "each batch of book changes is asked whether there is a book",
        "            if state.wait is not None or not state.whole:\n                self._follow_book",
        "            if True:\n                self._follow_book",
        "test_work.py::test_a_batch_of_book_changes_is_little_work_for_a_subscriber_that_has_a_book",
    ),
    standing(
        "each batch of bars makes lists of what is open and closed",
        "        if self.open or self._open_list:\n",
        "        if True:\n",
        "test_work.py::test_a_state_of_a_bar_is_little_work_for_a_subscriber",
    ),
)
