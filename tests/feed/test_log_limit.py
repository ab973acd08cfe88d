"""Log lines about one thing are few, however often it happens."""

from __future__ import annotations

from k2workers.feed.log_limit import LogLimit


def test_so_many_lines_are_written_in_each_stretch_of_time_and_no_more() -> None:
    limit = LogLimit(2, 10)
    assert [limit.allows(at_ns) for at_ns in (5, 6, 7, 14, 15, 16, 24)] == [True, True, False, False, True, True, False]
    assert limit.allows(1_000)
