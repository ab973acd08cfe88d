"""The files of a topic and day become few, with the same rows in the same order, whatever ends the program and whoever reads meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2workers.continuity import Continuity
from k2workers.errors import ConfigError
from k2workers.events import Backfilled, BookSnapshot, Event, Gap, Reset, Void
from k2workers.recording import catalog, compaction, journal, layout, manifest, parquet_file
from k2workers.recording.compaction import compact
from k2workers.recording.conversion import convert
from k2workers.recording.row import Kept, Loss, Restart, Row
from k2workers.recording.timeline import Run
from k2workers.recording.verification import RecordingFound, verify
from tests.recording.recorded import played, recorder, rows
from tests.recording.support import BOOK, CHANGES, DAY, NOON_NS, TOPIC, TRADES, change, journal_in, names, put, trade
from tests.support.waiting import wait_for
from tests.system.support import ROOT, demo, free_port

NEXT_DAY, NEXT_DAY_NS = "2026-11-28", NOON_NS + 12 * 3600 * 10**9
Things = Sequence[Event | Loss | Restart]


def recorded(to: Path, *segments: Things, topic: str = TOPIC, continuity: Continuity = TRADES, publish_ns: int = NOON_NS) -> Path:  # fmt: skip
    """A file of each."""
    made = journal_in(to)
    for things in segments:
        put(made, topic, *things, continuity=continuity, publish_ns=publish_ns)
        made.roll(b"")
    convert(to, made.number)
    return to


def told(found: RecordingFound) -> list[Any]:
    """What of it does not depend on how many files there are."""
    books = [None if topic.books is None else {**msgspec.structs.asdict(topic.books), "files_without": 0} for topic in found.topics]  # fmt: skip
    topics = [(topic.topic, topic.guarantee, topic.days) for topic in found.topics]
    return [found.whole, found.damaged, found.unknown, topics, books]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Trades, and changes of a book, of three segments and two days."""
    to = tmp_path / "recording"
    for first, ns in ((1, NOON_NS), (4, NOON_NS), (7, NOON_NS), (10, NEXT_DAY_NS)):
        made = journal_in(to)
        put(made, TOPIC, *(trade(number, ns + number) for number in range(first, first + 3)), publish_ns=ns)
        things = [BookSnapshot(0, [("1.50", "5")], [], ns)] if first == 1 else []
        put(made, BOOK, *things, *(change(n, n, ("1.25", str(n))) for n in range(first, first + 3)), continuity=CHANGES, publish_ns=ns)  # fmt: skip
        made.roll(b"")
        convert(to, made.number)
        made.close()
    assert verify(to).whole
    return to


def files(to: Path) -> list[str]:
    return [Path(name).name for name in names(to) if name.endswith(".parquet")]


def test_the_files_of_a_topic_and_day_become_one_with_the_same_rows(recording: Path) -> None:
    before, verified = rows(recording), verify(recording)
    found = compact(recording)
    assert (found.files, found.into, found.rows, found.damaged, found.unknown) == (6, 2, 21, {}, [])
    assert files(recording) == [
        "ABC.00000001-00000003.parquet", "ABC.00000004.parquet", "AB%2FC.00000001-00000003.parquet", "AB%2FC.00000004.parquet",
    ]  # fmt: skip
    assert rows(recording) == before
    assert told(verify(recording)) == told(verified)
    heads = [row for row in before[BOOK] if row.sequence is None]
    assert len(heads) == 3  # they stay where they are
    day = manifest.read(layout.manifest_of(recording, TOPIC, DAY))
    assert (day.first_id, day.last_id, day.rows, day.files[0].count) == (1, 9, {"Trade": 9}, 9)
    assert found.bytes > found.into_bytes == sum(path.stat().st_size for path in recording.rglob("*-*.parquet"))
    assert any("6 files of" in line for line in compaction.lines(found))


def test_the_same_again_changes_nothing_and_what_came_since_is_merged_too(recording: Path) -> None:
    compact(recording)
    before = names(recording)
    assert compact(recording).files == 0
    assert names(recording) == before
    made = journal_in(recording)
    put(made, TOPIC, trade(13, NEXT_DAY_NS), publish_ns=NEXT_DAY_NS)
    made.roll(b"")
    convert(recording, made.number)
    all_rows = rows(recording)
    assert compact(recording).files == 2
    assert rows(recording) == all_rows
    assert "AB%2FC.00000004-00000005.parquet" in files(recording)
    assert verify(recording).whole


def test_one_day_or_all_but_one(recording: Path) -> None:
    assert compact(recording, NEXT_DAY).files == 0
    assert compact(recording, but=DAY).files == 0
    assert compact(recording, DAY).files == 6


def test_the_recorder_goes_on_behind_the_highest_segment(recording: Path) -> None:
    compact(recording)
    shutil.rmtree(journal.folder_of(recording))
    assert layout.newest_segment(recording) == 4
    shutil.rmtree(recording / "venue" / "depth" / NEXT_DAY)
    assert layout.newest_segment(recording) == 4
    shutil.rmtree(recording / "venue" / "trade" / NEXT_DAY)
    assert layout.newest_segment(recording) == 3
    before = layout.newest_before(recording, BOOK, NEXT_DAY, 4)
    assert before is not None and before.name == "ABC.00000001-00000003.parquet"


numbers = st.integers(1, 9)
texts = st.sampled_from(["1.50", "2.25", "1.5", "0.00000001", "1", "1234567890123456789.25"])
marks = st.one_of(
    st.builds(Gap, numbers, numbers, st.just("x"), numbers),
    st.builds(Void, numbers, numbers, numbers),
    st.builds(Reset, numbers, numbers, numbers),
    st.builds(Loss, numbers, numbers, st.none() | numbers, st.none() | numbers, st.just(NOON_NS)),
    st.just(Restart("recorder", NOON_NS)),
)
changes = st.builds(lambda number, text: change(number, number, (text, "1.5")), numbers, texts)
books = st.builds(lambda number, text: BookSnapshot(number, [(text, "1.5")], [], 7), numbers, texts)
trades = st.builds(lambda number, text: msgspec.structs.replace(trade(number), price=text), numbers, texts)
segments_of = {
    TOPIC: st.lists(st.lists(st.one_of(trades, trades, trades.map(Backfilled), marks), min_size=1, max_size=4), min_size=2, max_size=4),
    BOOK: st.lists(st.lists(st.one_of(changes, changes, books, marks), min_size=1, max_size=4), min_size=2, max_size=4),
}  # fmt: skip


def orders(to: Path) -> tuple[list[Run], dict[str, list[list[Kept]]]]:
    """What a replay takes: all events in their one order, and each topic with what the recorder says for itself, which comes with what follows it in its file."""
    runs = list(played(to))
    return [run for run in runs if not run.own], {
        topic: [run.of for run in runs if run.topic == topic] for topic in (TOPIC, BOOK)
    }


@settings(max_examples=8)
@given(segments_of[TOPIC], segments_of[BOOK])
def test_whatever_was_recorded_is_the_same_after_it(
    tmp_path_factory: pytest.TempPathFactory, trades: list[Things], changes: list[Things]
) -> None:
    to = tmp_path_factory.mktemp("recording")
    recorded(to, *trades)
    recorded(to, *changes, topic=BOOK, continuity=CHANGES)
    before, verified, in_order = rows(to), told(verify(to)), orders(to)
    compact(to)
    assert rows(to) == before
    assert told(verify(to)) == verified
    assert orders(to) == in_order


def test_a_file_is_not_merged_with_those_before_it_was_known_how_the_topic_continues(tmp_path: Path) -> None:
    things: list[Things] = [[Restart("feed", NOON_NS)], [Loss(1, 2, 3, 4, NOON_NS)], [trade(5)], [Reset(5, 1, 7), trade(1)], [trade(2)]]  # fmt: skip
    to = recorded(tmp_path, *things)
    found = told(verify(to))
    assert compact(to).into == 2
    assert files(to) == ["AB%2FC.00000001-00000002.parquet", "AB%2FC.00000003-00000005.parquet"]
    assert told(verify(to)) == found


def test_what_waits_in_the_journal_is_not_merged(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    for number in (1, 2, 3):
        put(made, TOPIC, trade(number))
        made.roll(b"")
    segment = journal.path_of(journal.folder_of(tmp_path), 3)
    kept = segment.read_bytes()
    convert(tmp_path, made.number)
    segment.write_bytes(kept)  # as if the conversion was ended before it removed this
    compact(tmp_path)
    assert files(tmp_path) == ["AB%2FC.00000001-00000002.parquet", "AB%2FC.00000003.parquet"]
    convert(tmp_path, made.number)
    assert compact(tmp_path).files == 2
    assert verify(tmp_path).topics[0].days[DAY].rows == 3


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("hurt", [damage, Path.unlink])
def test_what_is_damaged_or_unknown_is_named_and_left_and_nothing_is_merged_across_it(
    tmp_path: Path, hurt: Callable[[Path], object]
) -> None:
    to = recorded(tmp_path, *([trade(number)] for number in range(1, 6)))
    hurt(layout.file_of(to, TOPIC, DAY, 3))
    (to / "notes.txt").touch()
    before = told(verify(to))
    found = compact(to)
    assert (list(found.damaged), found.unknown, found.into) == (["venue/trade/2026-11-27/AB%2FC.00000003.parquet"], ["notes.txt"], 2)  # fmt: skip
    merged = {"AB%2FC.00000001-00000002.parquet", "AB%2FC.00000004-00000005.parquet"}
    assert {*files(to)} - {"AB%2FC.00000003.parquet"} == merged
    assert told(verify(to)) == before
    assert [line.partition(":")[0] for line in compaction.lines(found)][:2] == ["damaged", "unknown"]


def test_without_a_readable_manifest_nothing_of_that_day_is_touched(recording: Path) -> None:
    layout.manifest_of(recording, TOPIC, DAY).write_text("{")
    found = compact(recording)
    assert (found.files, len(found.damaged)) == (3, 4)
    assert sum(name.startswith("AB%2FC.") and name.endswith(".parquet") for name in files(recording)) == 4


def test_what_was_written_is_compared_with_its_parts(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = parquet_file.write_tables

    def wrong(path: Path, head: Any, schema: Any, tables: Any, compression: int | None = None) -> None:
        write(path, head, schema, (table.slice(1) for table in tables), compression)

    monkeypatch.setattr(parquet_file, "write_tables", wrong)
    before = rows(recording)
    found = compact(recording)
    assert (found.files, len(found.damaged)) == (0, 2)
    assert "its rows are not those of its parts" in next(iter(found.damaged.values()))
    assert rows(recording) == before
    assert verify(recording).whole


def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "GROUP_BYTES", 20_000)
    to = recorded(tmp_path, *([trade(number) for number in range(first, first + 200)] for first in range(1, 1001, 200)))
    before = rows(to)
    compact(to)
    (name,) = files(to)
    assert pq.ParquetFile(layout.folder_of(to, TOPIC, DAY) / name).metadata.num_row_groups > 2
    assert rows(to) == before


def test_a_directory_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such directory"):
        compact(tmp_path / "none")


def test_who_reads_meanwhile_reads_each_row_once(recording: Path) -> None:
    expected = list(played(recording))
    for before in (0, 1, 8):
        copy = recording.with_name(f"copy{before}")
        shutil.copytree(recording, copy)
        reading = played(copy)
        found = [next(reading) for _ in range(before)]
        compact(copy, DAY)
        found += [next(reading) for _ in range(2)]
        made = journal_in(copy)
        put(made, TOPIC, trade(99, NEXT_DAY_NS))
        put(made, BOOK, change(99, 99), continuity=CHANGES)
        made.roll(b"")
        convert(copy, made.number)
        compact(copy, DAY)
        assert found + list(reading) == expected


def test_verify_of_files_that_are_merged_meanwhile_finds_the_same(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, look = told(verify(recording)), catalog.look

    def look_and_merge(to: Path) -> catalog.Catalog:
        there = look(to)
        monkeypatch.setattr(catalog, "look", look)
        compact(to)
        return there

    monkeypatch.setattr(catalog, "look", look_and_merge)
    assert told(verify(recording)) == expected
    assert files(recording)[0] == "ABC.00000001-00000003.parquet"


def test_killed_at_any_moment_each_row_counts_once_and_the_next_one_finishes_it(tmp_path: Path) -> None:
    to, place = recorded(tmp_path / "recording", [trade(1)], [trade(2)]), tmp_path / "copies"
    command = [sys.executable, "-m", "tests.recording.dying", "k2workers.recording.compaction:compact", str(to), str(place)]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)
    before, verified = list(played(to)), told(verify(to))
    copies = [*place.iterdir()]
    assert len(copies) > 8
    compact(to)
    for copy in copies:
        assert told(verify(copy)) == verified, copy
        assert list(played(copy)) == before, copy
        compact(copy)
        assert names(copy) == names(to), copy
        assert list(played(copy)) == before, copy


def test_of_a_merged_file_a_row_tells_the_same_as_before(recording: Path) -> None:
    compact(recording)
    assert rows(recording)[TOPIC][0] == Row(1, NOON_NS, trade(1, NOON_NS + 1))


@pytest.mark.long
def test_beside_a_recorder_and_its_conversions_it_is_whole_at_each_step(tmp_path: Path) -> None:
    publish, replay, books_port = (free_port() for _ in range(3))
    streams = ("--symbols", "BTCUSDT,ETHUSDT", "--streams", "trade,depth,book_ticker")
    with demo(*streams, shards=1, publish=publish, replay=replay, books=books_port) as feed:
        feed.wait_ready()
        with recorder(tmp_path, publish, "binance.", replay=replay, books=books_port, file_minutes=0.1) as program:
            merged = newest = 0
            for _ in range(3):
                wait_for("new files", lambda than=newest: layout.newest_segment(tmp_path) > than + 2)
                newest = layout.newest_segment(tmp_path)
                merged += compact(tmp_path).files
                found = verify(tmp_path)
                assert found.whole, [found.damaged, found.unknown]
            program.stop()
            assert program.process.returncode == 0
    assert merged > 20
    compact(tmp_path)
    found = verify(tmp_path)
    assert found.whole
    assert sum(day.missing + day.twice for topic in found.topics for day in topic.days.values()) == 0
    last = {topic.topic: topic.files for topic in found.topics}
    assert set(last.values()) == {1}
