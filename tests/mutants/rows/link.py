"""Owns the mutants of one part. What a worker has sent, what the aggregator took, and what a checkpoint makes safe."""

from __future__ import annotations

from tests.mutants.mutant import within

outbox = within("transport/outbox.py")
kept_bundles = within("transport/kept_bundles.py")
inbox = within("transport/inbox.py")
bundle_receiver = within("transport/bundle_receiver.py")
relay = within("transport/relay.py")
aggregator = within("processes/aggregator.py")
checkpoint = within("files/checkpoint.py")
checkpoint_file = within("files/checkpoint_file.py")

ROWS = (
    bundle_receiver(
        "a hello is answered before what came is published",
        "on_turn()  # where topics stand is after all that came before",
        "pass",
        "test_the_first_message_is_a_turn_of_its_own_and_so_is_what_waits_behind_it",
    ),
    bundle_receiver(
        "a worker in the wrong place is never challenged",
        "self._inbox.challenge(time.monotonic_ns())",
        "pass",
        "test_a_bundle_lost_on_the_way_is_asked_for_again",
    ),
    outbox(
        "bundles are not sent again to a new aggregator",
        "self._unsent = self.counters.pending_bundles = len(self._kept)",
        "pass",
        "test_a_challenge_is_answered_once_and_what_is_kept_goes_again",
        hidden=True,
    ),
    outbox(
        "a hello claims what was dropped",
        "before_dropped = self._dropped.before(topic)",
        "before_dropped = None",
        "test_what_is_dropped_is_not_claimed_until_later_ids_are_acknowledged",
    ),
    outbox(
        "what was refused counts as published",
        ("            counters.bundles_refused += 1\n            self._dropped.add(bundle_protocol.bundle_of(frame))"),
        "            counters.bundles_refused += 1",
        "test_what_was_refused_is_not_claimed_when_everything_before_it_is_acknowledged",
    ),
    outbox(
        "what was forgotten counts as published",
        "self._dropped.add(bundle_protocol.bundle_of(self._kept[0].frame))",
        "pass",
        "test_what_is_dropped_is_not_claimed_until_later_ids_are_acknowledged",
    ),
    outbox(
        "bundles are kept without bound",
        "if counters.kept_bytes + size > self._keep_bytes and not self._make_room(size):",
        "if False:",
        "transport/test_bundle_sender.py::test_an_aggregator_that_does_not_acknowledge_costs_bounded_memory",
    ),
    outbox(
        "a hello tells no open gaps",
        "still_open = {topic: (number, list(ranges)) for topic, (number, ranges) in self._before_kept.open.items()}",
        "still_open: Holes = {}",
        "transport/test_bundle_sender.py::test_a_hello_tells_which_announced_ids_the_worker_will_still_send",
    ),
    outbox(
        "what a new aggregator lacks is not wanted again",
        "        holes = before.unknown_to_us(welcome.positions)",
        "        holes = None",
        "test_holes_are_told_whoever_finds_them",
    ),
    outbox(
        "what was dropped is never forgiven",
        "self._dropped.forgive(bundle_protocol.bundle_of(self._kept[0].frame))",
        "pass",
        "test_what_is_dropped_is_not_claimed_until_later_ids_are_acknowledged",
    ),
    outbox(
        "a hello begins after what is kept",
        "first = self._kept[0].number if self._kept else self._number + 1",
        "first = self._number + 1",
        "test_a_challenge_is_answered_once_and_what_is_kept_goes_again",
    ),
    outbox(
        "a worker without bundles is not noticed",
        "self._send(bundle_protocol.numbered(bundle_protocol.PING, self._number - self._unsent))",
        "pass",
        "test_bundles_wait_for_the_welcome_and_then_go_in_order",
    ),
    outbox(
        "a hello does not tell what numberings began",
        "still_open, dict(self.begun()))",
        "still_open, {})",
        "test_a_hello_tells_what_numberings_began",
    ),
    outbox(
        "what a new aggregator forgot is nobody's to announce",
        "if forgotten := before.forgotten(welcome.positions, self.begun()):",
        "if False:",
        "processes/test_worker.py::test_what_a_new_aggregator_does_not_know_although_it_was_published_is_announced_and_fetched",
    ),
    outbox(
        "a hello claims what nobody has made safe",
        "if before_dropped is None and self._durable:",
        "if before_dropped is None:",
        "processes/test_worker.py::test_a_new_aggregator_is_told_where_topics_stand_and_what_is_still_wanted",
    ),
    kept_bundles(
        "a void of an old gap moves a topic back",
        "if not isinstance(event, Backfilled) and before.get(topic) == (number, last_id):",
        "if not isinstance(event, Backfilled) and topic in before:",
        "test_a_void_counts_if_its_topic_continues_with_it",
    ),
    kept_bundles(
        "kept late events are of ids that nobody opens",
        "            filled.add(first_id, last_id)",
        "            pass",
        "test_late_events_are_of_ids_that_were_open_and_a_book_tells_nothing",
    ),
    kept_bundles(
        "what will come is wanted again",
        "missing.remove(first, last)",
        "pass",
        "test_what_an_aggregator_lacks_and_nobody_will_send",
    ),
    kept_bundles(
        "old ids are wanted of a venue that began anew",
        "position.continuity == NOT_KNOWN or not numberings_ahead(position.continuity, reached[0])",
        "True",
        "test_what_an_aggregator_lacks_of_ids_before_they_began_anew_is_nobody_s_to_send",
    ),
    kept_bundles(
        "what is dropped behind is forgiven too",
        "while ranges and not is_before((batch.continuity, batch.last_id), (ranges[0][0], ranges[0][2])):",
        "while ranges:",
        "test_what_was_dropped_counts_until_later_ids_are_acknowledged",
    ),
    inbox(
        "bundles are acknowledged at once",
        "                self.bundles += 1\n",
        (
            "                self.bundles += 1\n"
            "                self._send(worker, bundle_protocol.numbered(bundle_protocol.ACK, number))\n"
        ),
        "test_each_bundle_is_taken_once_and_in_order_after_the_hello",
        "processes/test_aggregator.py::test_a_gap_that_no_checkpoint_holds_is_still_known_after_a_death",
        hidden=True,
    ),
    inbox(
        "a bundle that is ahead is taken",
        ("            if number == known.expected:\n                known.expected += 1"),
        ("            if 0 < known.expected <= number:\n                known.expected = number + 1"),
        "test_each_bundle_is_taken_once_and_in_order_after_the_hello",
    ),
    inbox(
        "a ping shows nothing",
        "if bundle_protocol.number_of(first) >= known.expected:",
        "if False:",
        "test_a_worker_in_the_wrong_place_is_challenged_at_a_pace",
    ),
    inbox(
        "a bundle in the wrong place is not asked about",
        ("            else:\n                self.wrong.add(worker)"),
        ("            else:\n                pass"),
        "test_each_bundle_is_taken_once_and_in_order_after_the_hello",
    ),
    inbox(
        "earlier lives of a worker are never forgotten",
        "self._forget_others(worker)",
        "pass",
        "test_an_earlier_life_is_forgotten_when_a_new_one_says_hello",
    ),
    inbox(
        "a worker that greets again has its bundles taken again",
        "known.expected = max(known.expected, hello.first_number)",
        "known.expected = hello.first_number",
        "test_each_bundle_is_taken_once_and_in_order_after_the_hello",
    ),
    relay(
        "no rewind by hello",
        "self._sequencer.rewind(hello.acknowledged, hello.dropped_after, hello.open, hello.begun)",
        "pass",
        "test_a_hello_is_answered_with_where_topics_stand_after_it",
        hidden=True,
    ),
    relay(
        "a checkpoint holds the newest positions",
        "self._writer.save(self._sequencer.epoch, due.positions,",
        "self._writer.save(self._sequencer.epoch, self._sequencer.positions(),",
        "test_a_checkpoint_holds_what_had_time_to_reach_subscribers",
        hidden=True,
    ),
    relay(
        "a checkpoint covers more than it holds",
        "covered = due.taken",
        "covered = self._links.taken()",
        "test_acknowledged_is_what_a_written_checkpoint_covers",
    ),
    relay(
        "a worker is not told of the holes it left",
        "            self._links.tell_holes(worker, holes)\n            told",
        "            told",
        "test_what_was_taken_is_published_and_remembered_and_holes_are_told",
    ),
    relay(
        "holes are told once",
        "                self._links.tell_holes(worker, holes)\n            else:",
        "                pass\n            else:",
        "test_holes_are_told_again_until_they_are_not_open_any_longer",
    ),
    relay(
        "a batch that cannot be read takes its bundle with it",
        "                self.cause = str(error)\n",
        ("                self.cause = str(error)\n                break\n"),
        "test_a_batch_that_cannot_be_read_does_not_keep_the_others_back",
    ),
    relay(
        "what is published is not remembered",
        "self._ring.put_all(published, now_ns)",
        "pass",
        "test_what_was_taken_is_published_and_remembered_and_holes_are_told",
    ),
    relay(
        "a checkpoint is begun while another is written",
        "if self._writer.busy:",
        "if False:",
        "test_acknowledged_is_what_a_written_checkpoint_covers",
    ),
    relay(
        "moments wait for a slow disk without bound",
        "deque(maxlen=MOMENTS)",
        "deque()",
        "test_moments_that_wait_for_a_slow_disk_are_bounded",
    ),
    relay(
        "a life numbers below an earlier one",
        "made(max(now_ns, epoch + 1 + salt))",
        "made(now_ns)",
        "test_numbering_begins_anew_later_than_before_whatever_the_clock_says",
    ),
    aggregator(
        "no last checkpoint at the end",
        "self.checkpoint_file.save(self.sequencer.epoch, self.sequencer.positions(), self.sequencer.tally())",
        "pass",
        "test_at_the_end_everything_that_was_published_is_in_the_checkpoint",
    ),
    aggregator(
        "the ring is never told the time",
        "self.ring.expire(time.monotonic_ns())",
        "pass",
        "test_what_is_too_old_is_replayed_no_longer",
    ),
    aggregator(
        "an aggregator ends without its last checkpoint",
        "await aggregator.last_checkpoint()",
        "pass",
        "test_an_aggregator_that_is_told_to_end_writes_down_all_that_it_published",
    ),
    checkpoint(
        "a damaged checkpoint is continued from",
        "if hashlib.blake2b(body, digest_size=16).hexdigest() != head.digest:",
        "if False:",
        "test_any_damage_is_noticed",
    ),
    checkpoint(
        "a checkpoint of another venue is continued from",
        "if strange == theirs.keys():",
        "if False:",
        "test_age_source_and_format_are_checked_and_the_epoch_is_still_given",
    ),
    checkpoint(
        "a checkpoint is written in place",
        'beside = path.with_name(path.name + ".new")',
        "beside = path",
        "test_a_write_that_ends_in_the_middle_leaves_the_old_file",
    ),
    checkpoint_file(
        "a checkpoint that could not be written is acknowledged",
        ("        else:\n            on_saved()"),
        "        on_saved()",
        "test_a_file_that_cannot_be_written_is_counted",
    ),
    checkpoint_file(
        "an unusable checkpoint tells no epoch",
        "epoch = error.epoch if isinstance(error, CheckpointUnusable) else 0",
        "epoch = 0",
        "test_a_file_that_cannot_be_used_is_a_fresh_start_after_its_epoch",
    ),
    checkpoint_file(
        "a write that is under way is not waited for",
        "return self._saving is not None and not self._saving.done()",
        "return False",
        "test_what_was_saved_is_recalled",
    ),
)
