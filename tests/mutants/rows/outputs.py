"""Owns the mutants of one part. The way of logs and pictures out of a process."""

from __future__ import annotations

from tests.mutants.mutant import within

outlet = within("logs/outlet.py")
console = within("processes/console.py")

ROWS = (
    outlet(
        "lines without a reader are kept without a bound",
        "        if self._waiting + len(line) > (MOST_WAITING // 2 if dropping else MOST_WAITING):",
        "        if False:",
        "test_what_nobody_reads_is_held_up_to_a_bound_then_dropped_and_counted",
    ),
    outlet(
        "lines that go on after dropped ones do not say so",
        "        if dropping and not self._failed:\n            self._tell()\n",
        "",
        "test_the_first_line_after_those_that_were_dropped_tells_how_many",
    ),
    outlet(
        "lines that were dropped last are told only by the next one",
        "if shown and self.dropped > self._told and not self._queue:",
        "if False:",
        "test_who_reads_on_learns_of_dropped_lines_also_if_no_line_follows",
    ),
    outlet(
        "an end waits as long as a stalled reader likes",
        "            while self._left and now_s < min(end_s, limit_s):\n                self._changed.wait(min(end_s, limit_s) - now_s)",
        "            while self._left:\n                self._changed.wait()",
        "test_a_flush_ends_although_nobody_reads",
    ),
    outlet(
        "an event loop waits for a stalled reader when it flushes",
        "            asyncio.get_running_loop()\n            return\n",
        "            asyncio.get_running_loop()\n",
        "test_in_an_event_loop_a_flush_waits_for_nobody",
    ),
    console(
        "lines are printed into the live table",
        "        self._terminal.show_with(lambda lines: _print_above(console, lines), LINES_A_DRAWING)\n",
        "",
        "test_lines_stand_above_the_table_and_after_its_end_below_it",
    ),
)
