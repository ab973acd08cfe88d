"""Owns the mutants of one part. Whole books: who has one, who gives it away, and who waits for it."""

from __future__ import annotations

from tests.mutants.mutant import within

order_book = within("sequencing/order_book.py")
book_lane = within("sequencing/book_lane.py")
book_reassembly = within("transport/book_reassembly.py")
lives = within("transport/lives.py")
books = within("processes/books.py")
standing = within("transport/standing.py")
book_questions = within("transport/book_questions.py")
subscriber = within("transport/subscriber.py")
books_server = within("transport/books_server.py")
supervisor = within("supervision/supervisor.py")
intake = within("feed/intake.py")

book_side = within("sequencing/book_side.py")
book_topics = within("sequencing/book_topics.py")
book_teller = within("processes/book_teller.py")
book_page = within("processes/book_page.py")
latest_outbox = within("transport/latest_outbox.py")
kept_books = within("transport/kept_books.py")

ROWS = (
    book_side(
        "a level far from the market is told although others lie before it",
        "for price in self.levels if (rank := sign * float(price)) <= end}",
        "for price in self.levels if (rank := sign * float(price)) < math.inf}",
        "test_of_a_part_the_nearest_levels_are_those_of_the_whole_or_fewer_of_them",
    ),
    order_book(
        "a book of which no level is known for sure stays whole",
        "        if self.bid_side.ends or self.ask_side.ends:",
        "        if False:",
        "test_a_book_tells_nothing_beyond_the_levels_that_it_began_with_and_knows_when_they_become_few",
    ),
    book_lane(
        "a level that changed beyond those of the venue's book is published with it",
        "book.snapshot(known=True)",
        "book.snapshot()",
        "test_of_a_book_that_may_be_a_part_no_level_is_published_that_others_may_lie_before",
    ),
    books(
        "a book that the market leaves is not asked for anew",
        "for topic in self.whole if topic not in self.short)",
        "for topic in self.whole)",
        "test_a_book_that_the_market_leaves_is_asked_for_anew_before_nothing_is_known_of_it",
    ),
    book_side(
        "a level that goes stays in the order",
        "                del order[bisect_left(order, rank)]",
        "                pass",
        "test_the_nearest_levels_are_those_of_all_levels_sorted",
    ),
    book_side(
        "levels left to the dict are taken for ranked ones",
        "            self._edge = order[most - 1]",
        "            pass",
        "test_levels_beyond_those_in_order_are_left_to_the_dict_until_so_many_are_asked_for",
    ),
    book_topics(
        "that a book is stale waits for the pace of its levels",
        "                if book.whole and topic.due_ns > now_ns:",
        "                if topic.due_ns > now_ns:",
        "test_a_book_that_breaks_is_stale_at_once_whatever_the_pace_and_empty_until_it_is_whole",
    ),
    book_topics(
        "what an earlier life told counts on",
        "                    if topic.name == name:",
        "                    if False:",
        "test_a_new_life_tells_that_what_earlier_ones_told_is_stale_until_it_has_the_book",
    ),
    book_teller(
        "what was refused counts as told",
        "                self._topics.not_told(some, self._books)",
        "                pass",
        "test_one_that_does_not_read_is_told_later_how_it_is_by_then",
    ),
    book_teller(
        "another aggregator is told nothing of what is known",
        "        self._topics.begin_anew(welcome.positions, self._books)",
        "        pass",
        "test_an_aggregator_is_told_everything_as_it_is_when_it_comes_and_then_what_changes",
    ),
    latest_outbox(
        "what is sent to nobody counts as sent",
        "if not self.welcomed or not self._send(frame):",
        "if not self._send(frame):",
        "test_what_cannot_go_at_once_is_refused_and_never_goes",
    ),
    kept_books(
        "after a loss the program's book stands",
        "                self._books[item.topic].lose()",
        "                pass",
        "test_a_gap_or_a_loss_leaves_no_level",
    ),
    book_page(
        "who has the book is sent it again",
        "tag, known)",
        'tag, "")',
        "test_who_has_the_book_already_is_told_so",
    ),
    books(
        "a crossed book is kept",
        "            book.lose()\n        if self.teller",
        "            pass\n        if self.teller",
        "test_a_book_whose_best_bid_is_not_below_its_best_ask_is_none",
    ),
    lives(
        "after a loss no book is asked for",
        "            state.whole = False\n            self._lack_book(topic, state, hold=True)",
        "            pass",
        "transport/test_book_reassembly.py::test_after_a_loss_comes_a_book",
    ),
    book_reassembly(
        "a book of another life is taken",
        "        if self.in_past or header.epoch != self.epoch or header.schema not in SNAPSHOT_SCHEMAS:",
        "        if self.in_past or header.schema not in SNAPSHOT_SCHEMAS:",
        "test_a_book_of_another_life_is_none",
    ),
    book_reassembly(
        "a book that is behind is taken",
        "        elif header.sequence < state.sequence or header.last_id < state.last_id:",
        "        elif False:",
        "test_a_book_that_is_behind_is_asked_for_again_and_one_that_is_ahead_covers_what_is_held_and_holes",
    ),
    book_reassembly(
        "what is held for a book is held without bound",
        "        elif header.schema in SNAPSHOT_SCHEMAS or self._held_bytes > MAX_HELD_BYTES:",
        "        elif header.schema in SNAPSHOT_SCHEMAS:",
        "test_what_is_held_for_a_book_is_bounded",
    ),
    book_reassembly(
        "who gets no book waits for ever",
        "            elif wait is not None and wait.look(now_ns, self._patience_ns):",
        "            elif False:",
        "test_without_an_answer_the_changes_go_on_without_a_book_and_it_is_asked_for_on",
    ),
    books(
        "a book is kept over a loss",
        "        if isinstance(item, Lost):\n            book.lose()",
        "        if isinstance(item, Lost):\n            pass",
        "test_a_loss_after_which_nothing_comes_leaves_no_book_either",
    ),
    books(
        "a book that is not whole is given away",
        "        if not book.whole or place is None:",
        "        if place is None:",
        "test_after_a_gap_or_when_ids_begin_anew_there_is_no_book_until_the_venues_next",
    ),
    books(
        "workers are not told which books are missing",
        "        return BooksKept(self._prefixes, tuple(topic",
        "        return None and BooksKept(self._prefixes, tuple(topic",
        "test_the_workers_are_told_what_is_kept_soon_after_a_start_or_a_loss_and_seldom_else",
    ),
    order_book(
        "a diff that does not continue the book is applied",
        "        if diff.first_update_id > self.last_id + 1:",
        "        if False:",
        "test_missing_ids_a_gap_or_a_loss_leave_no_book_until_the_next_snapshot",
    ),
    order_book(
        "a book is kept over a gap",
        "            elif isinstance(event, Gap | Reset):\n                self.lose()",
        "            elif isinstance(event, Gap | Reset):\n                pass",
        "test_missing_ids_a_gap_or_a_loss_leave_no_book_until_the_next_snapshot",
    ),
    order_book(
        "a book is applied again to diffs that it holds",
        "        if diff.last_update_id <= self.last_id:",
        "        if False:",
        "test_what_the_snapshot_holds_already_changes_nothing_and_what_spans_its_end_is_applied_whole",
    ),
    order_book(
        "a side of a book grows without bound",
        "        if len(self.bids) > most or len(self.asks) > most:",
        "        if False:",
        "test_the_nearest_levels_of_both_sides_stay",
    ),
    book_reassembly(
        "a book leaves out what those who have none are given",
        "elif wait.bare and header.sequence > state.sequence:",
        "elif False:",
        "test_a_late_book_follows_the_batch_at_its_own_place",
    ),
    standing(
        "a saved position does not know that there is a book",
        "position.last_time_ns, position.renewed, position.whole",
        "position.last_time_ns, position.renewed, False",
        "transport/test_book_reassembly.py::test_a_position_knows_whether_there_is_a_book",
    ),
    book_questions(
        "a joiner asks for no book of a quiet topic",
        "for wanted in self._bookless:\n                self._say(wanted)",
        "for wanted in self._bookless:\n                pass",
        "transport/test_books_server.py::test_a_joiner_gets_books_of_quiet_and_busy_topics_and_a_running_one_after_a_loss",
    ),
    books_server(
        "a joiner that does not read is given up",
        "            client.made = frame\n            self._clients[sender] = client\n",
        "            pass\n",
        "test_a_client_that_does_not_read_keeps_nobody_waiting_and_gets_everything_later",
    ),
    supervisor(
        "what the books process says goes nowhere",
        "if name != ward.spec.name:",
        "if False:",
        "test_what_a_child_says_of_its_books_is_passed_on_to_the_others",
    ),
    intake(
        "a book that somebody lacks is not published anew",
        "if lane.topic not in kept and lane.ask_book():",
        "if False:",
        "feed/test_repairs.py::test_a_book_that_somebody_lacks_is_fetched_and_published_anew_once",
    ),
    order_book(
        "a level that is no quantity ends the process",
        "        except ValueError:\n",
        "        except ZeroDivisionError:\n",
        "test_a_level_that_is_no_price_and_quantity_leaves_no_book_until_the_next_snapshot",
        "processes/test_books.py::test_a_level_that_is_no_quantity_costs_one_book_until_the_venues_next",
    ),
    book_lane(
        "diffs that wait behind a hole are passed over by a book",
        "        self._release(0, 2**62)\n",
        "",
        "test_diffs_that_wait_behind_a_hole_go_on_from_a_book_that_has_come_to_them",
    ),
    book_lane(
        "a diff that cannot be read makes a worker's book",
        "            if not book.whole:\n                self._begin_again_after(place)",
        "            if False:\n                self._begin_again_after(place)",
        "test_what_cannot_be_read_voids_the_book_that_it_is_in_and_nothing_else",
    ),
)
