"""Files that are what their manifests say are read; what is missing is told and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from k2workers.events import Backfilled, Event, Gap
from k2workers.recording import catalog, layout, manifest, parquet_file
from k2workers.recording.compaction import compact
from k2workers.recording.conversion import convert
from k2workers.recording.exports import recorded_topic
from k2workers.recording.exports.recorded_topic import RecordedTopic, Window
from k2workers.recording.parquet_file import FileHead
from k2workers.recording.row import Kept, Loss, Restart, Row
from tests.recording.support import DAY, NOON_NS, TOPIC, TRADES, journal_in, put, trade


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three files of three trades each, and a hole in the second; a trade comes each second, and the fifth was read before the fourth."""
    made = journal_in(tmp_path)
    seconds = {number: number for number in range(1, 10)} | {5: 3.5}
    for first in (1, 4, 7):
        for number in range(first, first + 3):
            if number == 6:
                put(
                    made,
                    TOPIC,
                    Gap(6, 6, "connection lost", NOON_NS + 6 * 10**9),
                    Loss(8, 8, None, None, NOON_NS + 6 * 10**9),
                )
            else:
                put(made, TOPIC, trade(number, NOON_NS + int(seconds[number] * 10**9)))
        made.roll(b"")
    convert(tmp_path, made.number)
    return tmp_path


def read(
    directory: Path, window: Window = recorded_topic.ALL
) -> tuple[RecordedTopic, list[tuple[int, Kept]], list[str]]:
    there = catalog.look(directory)
    heard: list[str] = []
    topic = RecordedTopic(TOPIC, there.files, there.told, heard.append, window)
    rows = [((at_ns - NOON_NS) // 10**9, row.of) for at_ns, row in topic.rows()]
    return topic, rows, heard


def ids(rows: list[tuple[int, Kept]]) -> list[int]:
    return [of.first_id for _, of in rows if isinstance(of, Event)]


def test_times_never_go_back_and_holes_are_told(recording: Path) -> None:
    topic, rows, heard = read(recording)
    assert [at for at, _ in rows] == [1, 2, 3, 4, 4, 6, 6, 7, 8, 9]
    assert heard == [
        f"missing: {TOPIC}: ids 6 to 6: connection lost",
        f"missing: {TOPIC}: ids not known: lost by the recorder",
    ]
    figures = dict(topic.audit.days())[DAY]
    assert (figures.present, figures.named, figures.missing, figures.losses) == (8, 1, 0, 1)
    assert topic.continuity is not None


def test_what_a_recorder_that_was_away_took_then_has_its_own_times(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    for first in (1, 5):
        put(made, TOPIC, Restart("recorder", NOON_NS + 10**15), Loss(1, 2, None, None, NOON_NS + 10**15))
        put(made, TOPIC, *(trade(number, NOON_NS + number * 10**9) for number in (first, first + 1)))
        made.roll(b"")
    convert(tmp_path, made.number)
    topic, rows, _ = read(tmp_path)
    assert [at for at, _ in rows] == [1, 1, 1, 2, 5, 5, 5, 6]
    assert [day for day, _ in topic.audit.days()] == [DAY]


def test_what_was_fetched_behind_a_damaged_first_file_is_of_its_day(recording: Path) -> None:
    late = [Row(None, None, Backfilled(trade(2, NOON_NS + 10**15)))]
    path = layout.addition_to(catalog.look(recording).files[0], 1)
    parquet_file.write(path, FileHead(parquet_file.FORMAT, TOPIC, DAY, 1, TRADES.number), late)
    manifest.add(layout.manifest_of(recording, TOPIC, DAY), TOPIC, DAY, manifest.told_of(path, 1, late, 1))
    layout.file_of(recording, TOPIC, DAY, 1).write_bytes(b"")
    topic, rows, _ = read(recording)
    assert [at for at, _ in rows][:3] == [1, 1, 4]
    assert [day for day, _ in topic.audit.days()] == [DAY]


def test_only_so_many_holes_are_told_one_by_one(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_topic, "TOLD", 1)
    topic, _, heard = read(recording)
    assert (topic.holes, len(heard)) == (2, 2)
    assert heard[1] == f"missing: {TOPIC}: there may be more, which are only counted"


def test_files_before_the_window_are_not_read_and_it_ends_the_reading(recording: Path) -> None:
    layout.file_of(recording, TOPIC, DAY, 1).write_bytes(b"not read")
    topic, rows, heard = read(recording, Window(NOON_NS + 5 * 10**9, NOON_NS + 8 * 10**9))
    assert ids(rows) == [4, 5, 6, 7]
    assert (topic.damaged, len(heard)) == ({}, 2)
    assert dict(topic.audit.days())[DAY].rows == 3


@pytest.mark.parametrize("segment", [1, 2, 3])
def test_in_the_place_of_a_damaged_file_comes_a_loss_and_what_it_held_is_missing(recording: Path, segment: int) -> None:
    path = layout.file_of(recording, TOPIC, DAY, segment)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    topic, rows, heard = read(recording)
    assert list(topic.damaged) == [path]
    assert "checksum" in topic.damaged[path]
    assert f"damaged: {path}: {topic.damaged[path]}" in heard
    assert not {3 * segment - 2, 3 * segment - 1} & set(ids(rows))
    assert sum(isinstance(of, Loss) for _, of in rows) == (1 if segment == 2 else 2)
    assert dict(topic.audit.days())[DAY].missing == (3 if segment == 2 else 0)


def test_a_file_that_is_gone_or_in_no_manifest_is_damaged(recording: Path) -> None:
    gone, strange = layout.file_of(recording, TOPIC, DAY, 2), layout.file_of(recording, TOPIC, DAY, 9)
    gone.rename(strange)
    topic, rows, _ = read(recording)
    assert topic.damaged == {gone: "its manifest names it, and it is not there", strange: "no manifest names it"}
    assert ids(rows) == [1, 2, 3, 7, 8, 9]


@pytest.mark.parametrize("merged", [False, True])
def test_what_was_fetched_later_and_what_was_merged_is_read_in_its_place(recording: Path, merged: bool) -> None:
    (place,) = [file for file in catalog.look(recording).files if file.segment == 2]
    late = [Row(None, None, Backfilled(trade(6, NOON_NS + 10**15)))]
    path = layout.addition_to(place, 1)
    parquet_file.write(path, FileHead(parquet_file.FORMAT, TOPIC, DAY, 2, TRADES.number), late)
    manifest.add(layout.manifest_of(recording, TOPIC, DAY), TOPIC, DAY, manifest.told_of(path, 2, late, 1))
    if merged:
        compact(recording)
        assert not path.exists()
    topic, rows, _ = read(recording)
    assert topic.damaged == {}
    assert [(at, of.first_id) for at, of in rows if isinstance(of, Backfilled)] == [(6, 6)]
    assert [at for at, _ in rows] == [1, 2, 3, 4, 4, 6, 6, 6, 7, 8, 9]
