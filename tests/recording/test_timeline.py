from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from k2workers.events import Event, Gap
from k2workers.recording import layout
from k2workers.recording.conversion import convert
from k2workers.recording.timeline import moments
from k2workers.sequencing.coverage import NOT_KNOWN
from tests.recording.support import DAY, NOON_NS, TRADES, journal_in, put, trade

ONE, OTHER = "venue.trade.A", "other.trade.A"


def at(second: int) -> int:
    return NOON_NS + second * 10**9


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two segments; in one topic a time goes back."""
    made = journal_in(tmp_path)
    put(made, ONE, Gap(1, 1, "x", at(0)), trade(2, at(3)), trade(3, at(2)))
    put(made, OTHER, trade(1, at(1)), trade(2, at(3)), trade(3, at(4)))
    made.roll(b"")
    put(made, ONE, trade(4, at(6)))
    put(made, OTHER, trade(4, at(5)))
    made.roll(b"")
    convert(tmp_path, made.number)
    return tmp_path


def read(directory: Path, *topics: str, from_ns: int = 0) -> list[tuple[str, int, int]]:
    found = []
    for moment in moments(directory, topics, from_ns):
        assert isinstance(moment.row.of, Event)
        found.append((moment.topic.partition(".")[0], moment.row.of.first_id, (moment.at_ns - NOON_NS) // 10**9))
    return found


def test_all_topics_come_in_one_order_of_time_and_each_in_its_own(recording: Path) -> None:
    assert sorted(read(recording)) == sorted(
        [
            ("venue", 1, 0),
            ("other", 1, 1),
            ("other", 2, 3),
            ("venue", 2, 3),
            ("venue", 3, 3),
            ("other", 3, 4),
            ("other", 4, 5),
            ("venue", 4, 6),
        ]
    )
    times = [time for _, _, time in read(recording)]
    assert times == sorted(times)
    assert [number for venue, number, _ in read(recording) if venue == "venue"] == [1, 2, 3, 4]


def test_topics_and_prefixes_choose(recording: Path) -> None:
    assert {venue for venue, _, _ in read(recording, ONE)} == {"venue"}
    assert {venue for venue, _, _ in read(recording, "other.")} == {"other"}
    assert read(recording, "other", "venue.trade") == []


def test_files_that_ended_before_are_not_read(recording: Path) -> None:
    layout.file_of(recording, ONE, DAY, 1).write_bytes(b"")
    with capture_logs() as logged:
        assert read(recording, from_ns=at(5)) == [("other", 4, 5), ("venue", 4, 6)]
    assert logged == []


def test_what_cannot_be_read_is_told_and_left_out(recording: Path) -> None:
    layout.file_of(recording, ONE, DAY, 1).write_bytes(b"")
    layout.manifest_of(recording, OTHER, DAY).write_bytes(b"")
    with capture_logs() as logged:
        assert [number for venue, number, _ in read(recording) if venue == "venue"] == [4]
    assert [line["event"] for line in logged] == ["manifest_unreadable", "file_left_out"]


def test_how_a_topic_continues_is_known_from_its_first_event_on(tmp_path: Path) -> None:
    from k2workers.recording.row import Restart

    made = journal_in(tmp_path)
    put(made, ONE, Restart("feed", at(0)))
    made.roll(b"")
    put(made, ONE, trade(1, at(1)))
    made.roll(b"")
    put(made, ONE, Restart("feed", at(2)))
    made.roll(b"")
    convert(tmp_path, made.number)
    assert [moment.continuity for moment in moments(tmp_path)] == [NOT_KNOWN, TRADES.number, TRADES.number]
