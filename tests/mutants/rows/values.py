"""Owns the mutants of one part. What a value of the venue may be, and which kinds cannot be read."""

from __future__ import annotations

from tests.mutants.mutant import within

codec = within("venues/binance/codec.py")
values = within("venues/binance/values.py")
readability = within("feed/readability.py")
venue_clock = within("feed/venue_clock.py")

ROWS = (
    codec(
        "prices of a read are not checked",
        "return runs if plain or values.are_decimals(texts) else None",
        "return runs",
        "test_no_event_holds_a_price_or_quantity_that_is_no_decimal",
    ),
    codec(
        "levels of a read are not checked",
        "if books and not self._have_plain_levels(books, messages):",
        "if False:",
        "test_no_event_holds_a_price_or_quantity_that_is_no_decimal",
    ),
    codec(
        "a message that is read alone is not checked",
        "if not values.are_decimals(texts):\n            raise",
        "if False:\n            raise",
        "test_no_event_holds_a_price_or_quantity_that_is_no_decimal",
    ),
    codec(
        "times count as microseconds whatever the venue writes",
        "for unit_ns in dict.fromkeys((*self._units_ns, *values.UNITS_NS)):",
        "for unit_ns in self._units_ns:",
        "test_the_unit_of_the_times_is_seen_in_the_values",
    ),
    values(
        "a point alone is a number",
        'plain and "." not in texts',
        "plain",
        "test_one_odd_text_among_any_is_found",
    ),
    readability(
        "what is read does not heal its kind",
        "self.in_question.pop(kind, None)",
        "pass",
        "test_a_message_that_is_read_among_odd_ones_heals_its_kind",
    ),
    readability(
        "a few notices of an unknown sort make every kind unreadable for ever",
        "del self.in_question[UNKNOWN]",
        "pass",
        "test_messages_of_an_unknown_kind_that_do_not_recur_are_forgotten_and_odd_ones_of_a_kind_are_not",
    ),
    readability(
        "frames without a wrapper say nothing of any kind",
        "self.unreadable = sorted(set(kinds) if UNKNOWN in lost else lost)",
        "self.unreadable = sorted(lost - {UNKNOWN})",
        "test_messages_of_an_unknown_kind_count_against_all_kinds_while_nothing_is_read",
    ),
    venue_clock(
        "a clock once ahead is so for ever",
        "self._most_before_ns = self._most_ns if passed == 1 else 0",
        "self._most_before_ns = max(self._most_before_ns, self._most_ns)",
        "test_the_most_that_events_show_counts_for_a_window_and_the_next",
    ),
)
