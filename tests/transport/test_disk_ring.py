"""The disk ring: its bounds, and where readers begin and go on, in all that several lives left there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from k2workers import wire
from k2workers.transport import disk_ring
from k2workers.transport.disk_ring import DiskRing, RingFilesGone
from k2workers.transport.frame_keeper import FrameKeeper
from k2workers.transport.ring_block import frames_of
from k2workers.transport.ring_places import RingCursor
from tests.transport.support import published

A, B = "v.trade.A", "v.trade.B"
GB, HOUR = 10**9, 3_600 * 10**9

Place = tuple[int, str, int]
"""Epoch, topic, sequence."""


def put(ring: DiskRing, *places: Place, at: int = 1) -> None:
    """One block of these."""
    keeper = FrameKeeper(places[0][0], {topic: sequence - 1 for _, topic, sequence in reversed(places)})
    for epoch, topic, sequence in places:
        keeper.take(published(sequence, topic=topic, epoch=epoch, publish_ns=at), 0)
    while (block := keeper.cut()) is not None:
        ring.append(block, at)


def places(content: bytes) -> list[Place]:
    heads = [wire.read_header(frame) for frame in frames_of(content)]
    return [(head.epoch, head.topic, head.sequence) for head in heads]


def read(ring: DiskRing, cursor: RingCursor, *wanted: str) -> list[Place]:
    """All from there to the end."""
    found = []
    while True:
        piece = ring.read(wanted or ("v.",), cursor)
        found += places(piece.frames)
        if piece.at_end:
            assert ring.read(wanted or ("v.",), piece.cursor).frames == b""
            return found
        assert piece.cursor != cursor
        cursor = piece.cursor


def two_lives(folder: Path) -> DiskRing:
    ring = DiskRing(folder, GB, HOUR)
    put(ring, (10, A, 1), (10, A, 2), (10, B, 1), at=100)
    put(ring, (10, A, 3), at=200)
    put(ring, (5, A, 1), (5, B, 1), at=300)
    put(ring, (5, B, 2), at=400)
    return ring


WHOLE = [(10, A, 1), (10, A, 2), (10, B, 1), (10, A, 3), (5, A, 1), (5, B, 1), (5, B, 2)]


@pytest.mark.parametrize(
    ("positions", "rest"),
    [
        ({10: {A: 2, B: 1}}, WHOLE[3:]),
        ({10: {A: 3, B: 1}}, WHOLE[4:]),
        ({10: {A: 1, B: 1}}, WHOLE),
        ({10: {B: 1}, 5: {A: 1}}, WHOLE[4:]),
        ({5: {A: 1, B: 1}}, WHOLE[6:]),
        ({5: {A: 1, B: 2}}, []),
        ({5: {A: 1}}, WHOLE[4:]),  # B is not known: what there is of it in that life
        ({99: {A: 1, B: 1}}, []),  # a life after all that is here
        ({1: {A: 1, B: 1}}, WHOLE),  # one before it
        ({}, WHOLE),
    ],
)
def test_a_reader_goes_on_behind_what_it_has(
    tmp_path: Path, positions: dict[int, dict[str, int]], rest: list[Place]
) -> None:
    ring = two_lives(tmp_path)
    start = ring.find(["v."], positions)
    assert start.epochs == [10, 5], "in the order of writing"
    assert read(ring, start.cursor) == rest


def test_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    ring = two_lives(tmp_path)
    assert read(ring, RingCursor(0), B) == [place for place in WHOLE if place[1] == B]
    assert read(ring, RingCursor(0), A) == [place for place in WHOLE if place[1] == A]
    assert read(ring, RingCursor(0), "w.") == []
    assert ring.find([B], {10: {B: 1}}).cursor == ring.find(["v."], {10: {A: 3, B: 1}}).cursor


def test_a_time_begins_where_the_first_batch_of_it_is(tmp_path: Path) -> None:
    ring = two_lives(tmp_path)
    moment = ring.at(["v."], 150)
    assert (moment.epoch, moment.sequences, moment.epochs) == (10, {A: 2, B: 1}, [10, 5])
    assert read(ring, moment.cursor) == WHOLE[3:]
    later = ring.at([B], 400)
    assert (later.epoch, later.sequences, read(ring, later.cursor)) == (5, {B: 1}, WHOLE[6:])
    end = ring.at(["v."], 401)
    assert (end.epoch, end.sequences, read(ring, end.cursor)) == (5, {A: 1, B: 2}, [])
    first = ring.at(["v."], 1)
    assert (first.epoch, first.sequences, read(ring, first.cursor)) == (0, {}, WHOLE)


def test_a_ring_with_nothing_in_it_answers_all_the_same(tmp_path: Path) -> None:
    ring = DiskRing(tmp_path / "not there", GB, HOUR)
    ring.recall()
    ring.expire(0)
    ring.close()
    assert (ring.stands(), ring.size, ring.oldest_ns, ring.damaged) == ((None, {}), 0, 0, 0)
    start, moment = ring.find(["v."], {1: {A: 1}}), ring.at(["v."], 5)
    assert (start.epochs, moment.epoch, moment.sequences) == ([], 0, {})
    piece = ring.read(["v."], start.cursor)
    assert (piece.frames, piece.at_end) == (b"", True)
    put(ring, (1, A, 2))
    assert read(ring, piece.cursor) == [(1, A, 2)]


def test_the_bounds_in_bytes_and_in_age_are_kept_the_oldest_goes_first(tmp_path: Path) -> None:
    ring = DiskRing(tmp_path, 2**20, HOUR)
    for sequence in range(1, 4_001):
        put(ring, *((1, A, 10 * sequence + n) for n in range(10)), at=sequence)
    assert 2**20 * 0.7 < ring.size <= 2**20
    assert sum(path.stat().st_size for path in tmp_path.glob("*.ring")) == ring.size
    held = read(ring, RingCursor(0))
    assert held == [(1, A, sequence) for sequence in range(held[0][2], 40_010)]
    assert read(ring, RingCursor(1)) == held, "a place that is gone is that of the oldest"
    ring.expire(HOUR + 4_000)
    assert len(list(tmp_path.glob("*.ring"))) == 1, "what is older than the age"
    put(ring, (1, A, 50_000), at=2 * HOUR)
    assert read(ring, RingCursor(0))[-1] == (1, A, 50_000)
    ring.expire(2 * HOUR)
    assert (ring.oldest_ns, read(ring, RingCursor(0))) == (2 * HOUR, [(1, A, 50_000)])


def test_the_next_process_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    two_lives(tmp_path).close()
    (tmp_path / "notes.ring").write_text("somebody's")
    (tmp_path / "0000000009.ring").mkdir()
    ring = DiskRing(tmp_path, GB, HOUR)
    with capture_logs() as logs:
        ring.recall()
        assert ring.stands() == (5, {A: 1, B: 2})
        put(ring, (5, A, 2), at=500)
        assert read(ring, RingCursor(0)) == [*WHOLE, (5, A, 2)]
    assert all(one["event"] in {"ring_unreadable", "ring_damaged"} for one in logs)


def test_damaged_frames_are_told_and_left_out_and_the_rest_serves(tmp_path: Path) -> None:
    ring = two_lives(tmp_path)
    (path,) = tmp_path.glob("*.ring")
    content = bytearray(path.read_bytes())
    content[content.index(published(1, topic=B, epoch=10, publish_ns=100)) + 30] ^= 1
    path.write_bytes(content)
    with capture_logs() as logs:
        assert read(ring, RingCursor(0)) == [place for place in WHOLE if place != (10, B, 1)]
    assert [one["event"] for one in logs] == ["ring_damaged"]
    assert ring.damaged == 1


def test_answers_are_bounded_in_bytes_and_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_ring, "REPLY_BYTES", 300)
    monkeypatch.setattr(disk_ring, "RUN_BYTES", 300)
    monkeypatch.setattr(disk_ring, "BLOCKS_A_REPLY", 3)
    ring = DiskRing(tmp_path, GB, HOUR)
    expected = []
    for number in range(20):
        own: list[Place] = [(1, f"v.t.{n}", number + 1) for n in range(5)]
        put(ring, *own)
        expected += own
    piece = ring.read(["v."], RingCursor(0))
    assert 0 < len(piece.frames) < 1_000 and not piece.at_end
    assert read(ring, RingCursor(0)) == expected
    assert read(ring, RingCursor(0), "v.t.1", "v.t.3") == [one for one in expected if one[1] in {"v.t.1", "v.t.3"}]
    quiet = ring.read(["w."], RingCursor(0))
    assert (quiet.frames, quiet.at_end) == (b"", False), "it looks at so many blocks at once"


def test_a_file_that_goes_while_it_is_read_is_no_error(tmp_path: Path) -> None:
    ring = two_lives(tmp_path)
    for path in tmp_path.glob("*.ring"):
        path.unlink()
    assert ring.read(["v."], RingCursor(0)).frames == b""
    (tmp_path / "0000000001.ring").mkdir()
    with capture_logs() as logs:
        assert ring.read(["v."], RingCursor(0)).frames == b""
    assert [one["event"] for one in logs] == ["ring_damaged"]


@pytest.mark.parametrize("moved", [True, False])
def test_what_was_removed_or_moved_is_told_once_and_nothing_is_written_to_it(tmp_path: Path, moved: bool) -> None:
    ring = two_lives(tmp_path / "ring")
    if moved:
        (tmp_path / "ring").rename(tmp_path / "other")
        (tmp_path / "ring").mkdir()
        (tmp_path / "ring" / "0000000001.ring").touch()
    else:
        shutil.rmtree(tmp_path / "ring")
    with pytest.raises(RingFilesGone, match="1 of its files were removed or moved"):
        put(ring, (5, B, 3), at=500)
    assert (ring.stands(), ring.size) == ((None, {}), 0)
    put(ring, (5, B, 3), at=500)
    put(ring, (5, B, 4), at=600)
    assert read(ring, RingCursor(1)) == [(5, B, 3), (5, B, 4)], "a place in a file that is gone is that of the next"
    assert ring.size == (tmp_path / "ring" / "0000000002.ring").stat().st_size
    ring.close()
