from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from k2workers.events import Backfilled, BookSnapshot, DepthUpdate, Event, Gap
from k2workers.recording import catalog, layout, manifest, parquet_file
from k2workers.recording.conversion import convert
from k2workers.recording.parquet_file import FileHead
from k2workers.recording.playback_pace import EVER_NS
from k2workers.recording.row import Loss, Restart, Row
from k2workers.recording.timeline import Run, Timeline
from k2workers.sequencing.coverage import NOT_KNOWN
from tests.recording.support import BOOK, CHANGES, DAY, NOON_NS, TRADES, change, journal_in, put, trade

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


def runs(timeline: Timeline, until_ns: int = EVER_NS, most: int = 1_000) -> list[Run]:
    found = []
    while timeline.next_ns is not None and timeline.next_ns <= until_ns:
        found.append(timeline.take(until_ns, most))
    return found


def read(directory: Path, *topics: str, from_ns: int = 0) -> list[tuple[str, int, int]]:
    """Venue, id and second of every row, in its order."""
    found = []
    for run in runs(Timeline(directory, topics, from_ns), most=1):
        (event,) = run.of
        assert isinstance(event, Event)
        found.append((run.topic.partition(".")[0], event.first_id, (run.at_ns - NOON_NS) // 10**9))
    return found


def ids(found: list[Run]) -> list[tuple[str, list[int]]]:
    return [(run.topic, [of.first_id for of in run.of if isinstance(of, Event)]) for run in found]


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
    made = journal_in(tmp_path)
    put(made, ONE, Restart("feed", at(0)))
    made.roll(b"")
    put(made, ONE, trade(1, at(1)))
    made.roll(b"")
    put(made, ONE, Restart("feed", at(2)))
    made.roll(b"")
    convert(tmp_path, made.number)
    found = runs(Timeline(tmp_path))
    assert [run.continuity for run in found] == [NOT_KNOWN, TRADES.number, TRADES.number]
    assert [run.own for run in found] == [True, False, True]


def test_what_a_recorder_that_was_away_took_then_comes_at_its_own_times(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    for first in (1, 5):
        put(made, ONE, Restart("recorder", at(100)), Loss(1, 2, None, None, at(101)))
        put(made, ONE, trade(first, at(first)), trade(first + 1, at(first + 1)))
        made.roll(b"")
    convert(tmp_path, made.number)
    assert [(run.at_ns - NOON_NS) // 10**9 for run in runs(Timeline(tmp_path), most=1)] == [1, 1, 1, 2, 5, 5, 5, 6]
    files = manifest.read(layout.manifest_of(tmp_path, ONE, DAY)).files
    assert [(file.first_received_ns, file.last_received_ns) for file in files] == [(at(1), at(2)), (at(5), at(6))]


def test_what_was_fetched_later_comes_also_when_the_beginning_is_passed_over(recording: Path) -> None:
    for segment in (1, 2):
        late = [Row(None, None, Backfilled(trade(90 + segment, at(10**6))))]
        (place,) = [file for file in catalog.look(recording).files if (file.topic, file.segment) == (ONE, segment)]
        path = layout.addition_to(place, 1)
        parquet_file.write(path, FileHead(parquet_file.FORMAT, ONE, DAY, segment, TRADES.number), late)
        manifest.add(layout.manifest_of(recording, ONE, DAY), ONE, DAY, manifest.told_of(path, segment, late, 1))
    found = [(run.at_ns, run.of[0]) for run in runs(Timeline(recording, [ONE], at(5)))]
    assert found == [(0, Backfilled(trade(91, at(10**6)))), (at(6), trade(4, at(6))), (at(6), Backfilled(trade(92, at(10**6))))]  # fmt: skip


def two_topics(to: Path) -> Path:
    """In each ten trades, of one every 10 ms, of the other one ms later."""
    made = journal_in(to)
    for topic, later_ms in ((ONE, 1), (OTHER, 0)):
        put(made, topic, *(trade(number, NOON_NS + (10 * number + later_ms) * 10**6) for number in range(10)))
    put(made, OTHER, *(trade(number, at(1)) for number in range(10, 15)))
    made.roll(b"")
    convert(to, made.number)
    return to


def test_rows_of_a_topic_come_together_as_far_as_no_other_lies_between(tmp_path: Path) -> None:
    found = ids(runs(Timeline(two_topics(tmp_path))))
    assert found == [
        *((topic, [number]) for number in range(10) for topic in (OTHER, ONE)),
        (OTHER, list(range(10, 15))),
    ]


def test_within_a_time_they_come_topic_after_topic(tmp_path: Path) -> None:
    found = ids(runs(Timeline(two_topics(tmp_path), together_ns=35 * 10**6)))
    assert found == [
        (OTHER, [0, 1, 2, 3]), (ONE, [0, 1, 2, 3]), (OTHER, [4, 5, 6, 7]), (ONE, [4, 5, 6, 7]), (OTHER, [8, 9]), (ONE, [8, 9]), (OTHER, list(range(10, 15))),
    ]  # fmt: skip


def test_no_more_come_than_are_due_or_wanted(tmp_path: Path) -> None:
    timeline = Timeline(two_topics(tmp_path), together_ns=10**9)
    found = ids(runs(timeline, until_ns=NOON_NS + 41 * 10**6))
    assert found == [(OTHER, [0, 1, 2, 3, 4]), (ONE, [0, 1, 2, 3, 4])]
    assert timeline.next_ns == NOON_NS + 50 * 10**6
    assert ids(runs(timeline, most=3)) == [
        (OTHER, [5, 6, 7]), (ONE, [5, 6, 7]), (OTHER, [8, 9]), (ONE, [8, 9]), (OTHER, [10, 11, 12]), (OTHER, [13, 14]),
    ]  # fmt: skip


def test_a_run_is_of_one_type_all_late_or_none_and_of_the_feed_or_the_recorder(tmp_path: Path) -> None:
    book = BookSnapshot(9, [], [], at(0))
    made = journal_in(tmp_path)
    things: list[Event | Loss | Restart] = [
        trade(2, at(1)),
        trade(3, at(1)),
        Backfilled(trade(1, at(1))),
        trade(4, at(1)),
        Loss(1, 2, 5, 6, at(1)),
    ]
    put(made, ONE, Gap(1, 1, "x", at(1)), *things, Loss(3, 4, 7, 8, at(1)), trade(9, at(1)))
    put(made, BOOK, book, change(10, 11), continuity=CHANGES)
    made.roll(b"")
    put(made, BOOK, BookSnapshot(11, [], [], at(2)), continuity=CHANGES)
    put(made, BOOK, change(12, 12), continuity=CHANGES)
    made.roll(b"")
    put(made, BOOK, change(13, 13), continuity=CHANGES)
    made.roll(b"")
    convert(tmp_path, made.number)
    assert [(len(run.of), run.own) for run in runs(Timeline(tmp_path, [ONE]))] == [
        (1, False), (2, False), (1, False), (1, False), (2, True), (1, False),
    ]  # fmt: skip
    found = [(type(run.of[0]), run.own) for run in runs(Timeline(tmp_path, [BOOK]))]
    assert found == [
        (BookSnapshot, False), (DepthUpdate, False), (BookSnapshot, False), (DepthUpdate, False), (BookSnapshot, True), (DepthUpdate, False),
    ]  # fmt: skip
