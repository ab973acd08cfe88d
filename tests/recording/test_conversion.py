"""Segments become files once, however often the conversion is ended and begun again; each file of changes begins with a whole book."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from k2workers.events import Backfilled, BookSnapshot, Gap
from k2workers.files.lock_file import LockFile
from k2workers.recording import journal, layout, manifest
from k2workers.recording.conversion import convert
from k2workers.recording.parquet_file import ParquetReader
from k2workers.recording.row import Loss, Restart, Row
from k2workers.recording.verification import verify
from tests.recording.support import BOOK, CHANGES, DAY, NOON_NS, TOPIC, change, journal_in, names, put, row, trade

NEXT_DAY_NS = NOON_NS + 12 * 3600 * 10**9
LATE = Backfilled(trade(2))


def rows(path: Path) -> list[Row]:
    return list(ParquetReader(path).rows())


def test_a_segment_becomes_a_file_and_a_manifest_for_each_topic_and_is_removed(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, TOPIC, trade(1), Gap(2, 2, "x", 5), trade(3), LATE, Loss(7, 8, 4, 5, NOON_NS), trade(6))
    put(made, "venue.trade.B", trade(9))
    made.roll(b"")
    assert convert(tmp_path, made.number) == []
    assert names(tmp_path) == [
        f"venue/trade/{DAY}/{name}"
        for name in ("AB%2FC.00000001.parquet", "AB%2FC.manifest.json", "B.00000001.parquet", "B.manifest.json")
    ]
    path = layout.file_of(tmp_path, TOPIC, DAY, 1)
    assert [each.of for each in rows(path)] == [
        trade(1),
        Gap(2, 2, "x", 5),
        trade(3),
        LATE,
        Loss(7, 8, 4, 5, NOON_NS),
        trade(6),
    ]
    told = manifest.read(layout.manifest_of(tmp_path, TOPIC, DAY))
    assert (told.first_id, told.last_id, told.rows) == (1, 6, {"Trade": 4, "Gap": 1, "Loss": 1})
    assert journal.segments(journal.folder_of(tmp_path)) == [2]


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, TOPIC, trade(1), trade(2))
    made.roll(b"")
    segment = journal.path_of(journal.folder_of(tmp_path), 1)
    kept = segment.read_bytes()
    convert(tmp_path, 2)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    segment.write_bytes(kept)
    convert(tmp_path, 2)
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before
    assert not segment.exists()
    assert verify(tmp_path).whole


def test_each_file_of_changes_begins_with_a_whole_book(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, BOOK, BookSnapshot(9, [("1.00", "5")], [], 7), change(10, 10, ("1.10", "2")), continuity=CHANGES)
    made.roll(b"")
    put(made, BOOK, Restart("recorder", NOON_NS), change(11, 11, ("1.00", "0")), continuity=CHANGES)
    put(made, BOOK, change(12, 12), continuity=CHANGES, publish_ns=NEXT_DAY_NS)
    made.roll(b"")
    convert(tmp_path, made.number)
    assert rows(layout.file_of(tmp_path, BOOK, DAY, 2))[0] == Row(
        None, None, BookSnapshot(10, [("1.10", "2"), ("1.00", "5")], [], 7)
    )
    assert rows(layout.file_of(tmp_path, BOOK, "2026-11-28", 2))[0] == Row(
        None, None, BookSnapshot(11, [("1.10", "2")], [], 7)
    )
    found = verify(tmp_path)
    assert found.whole
    assert found.topics[0].books is not None
    assert (found.topics[0].books.changes, found.topics[0].books.files_without) == (3, 0)


def test_after_a_loss_no_book_is_made_up(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, BOOK, BookSnapshot(9, [("1.00", "5")], [], 7), Loss(1, 2, 10, 12, NOON_NS), continuity=CHANGES)
    made.roll(b"")
    put(made, BOOK, change(13, 13), continuity=CHANGES)
    made.roll(b"")
    convert(tmp_path, made.number)
    assert rows(layout.file_of(tmp_path, BOOK, DAY, 2)) == [row(change(13, 13))]
    assert verify(tmp_path).whole


def test_a_clock_that_is_set_back_moves_nothing_to_a_day_before(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, TOPIC, trade(1), publish_ns=NEXT_DAY_NS)
    put(made, TOPIC, trade(2), publish_ns=NOON_NS)
    made.roll(b"")
    convert(tmp_path, made.number)
    assert [each.of for each in rows(layout.file_of(tmp_path, TOPIC, "2026-11-28", 1))] == [trade(1), trade(2)]


def test_what_a_recorder_that_was_away_over_midnight_says_for_itself_lies_with_what_it_then_took(
    tmp_path: Path,
) -> None:
    made = journal_in(tmp_path)
    told = Restart("recorder", NEXT_DAY_NS + 5), Loss(1, 2, None, None, NEXT_DAY_NS + 6)
    put(made, TOPIC, *told, trade(1))
    put(made, TOPIC, trade(2), publish_ns=NEXT_DAY_NS)
    put(made, TOPIC, told[0])
    put(made, BOOK, told[0])
    put(made, "venue.trade.B", trade(7))
    made.roll(b"")
    put(made, "venue.trade.B", told[1])
    made.roll(b"")
    convert(tmp_path, made.number)
    assert [each.of for each in rows(layout.file_of(tmp_path, "venue.trade.B", DAY, 2))] == [told[1]]
    assert [each.of for each in rows(layout.file_of(tmp_path, TOPIC, DAY, 1))] == [*told, trade(1)]
    assert [each.of for each in rows(layout.file_of(tmp_path, TOPIC, "2026-11-28", 1))] == [trade(2), told[0]]
    assert [each.of for each in rows(layout.file_of(tmp_path, BOOK, "2026-11-28", 1))] == [told[0]]


def test_of_a_damaged_segment_what_can_be_read_is_kept_and_it_is_named(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, TOPIC, trade(1), trade(2), trade(3))
    made.roll(b"")
    segment = journal.path_of(journal.folder_of(tmp_path), 1)
    data = bytearray(segment.read_bytes())
    data[-60] ^= 1
    segment.write_bytes(data)
    assert convert(tmp_path, made.number) == [f"{segment.name}.damaged"]
    found = verify(tmp_path)
    assert not found.whole
    assert list(found.damaged) == [f"journal/{segment.name}.damaged"]
    assert found.topics[0].days[DAY].present == 2


def test_an_empty_segment_leaves_nothing(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    made.roll(b"")
    convert(tmp_path, made.number)
    assert names(tmp_path) == []
    assert journal.segments(journal.folder_of(tmp_path)) == [2]


def test_one_conversion_waits_for_another(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, TOPIC, trade(1))
    made.roll(b"")
    lock = LockFile(journal.folder_of(tmp_path) / "conversion.lock")
    assert lock.take() == ""
    waiting = threading.Thread(target=convert, args=(tmp_path, 2))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    assert names(tmp_path) == []
    lock.close()
    waiting.join()
    assert len(names(tmp_path)) == 2


def test_as_a_program_it_says_what_went_wrong(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, TOPIC, trade(1))
    made.roll(b"")
    command = [sys.executable, "-m", "k2workers.recording", str(tmp_path), "2"]
    (tmp_path / "venue").write_text("in the way")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "venue" in done.stderr
    (tmp_path / "venue").unlink()
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0
    assert verify(tmp_path).whole
