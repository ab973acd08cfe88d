"""Files of the disk ring as crashes and damage leave them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from k2workers.transport import ring_block, ring_segment
from k2workers.transport.ring_block import TopicFrames, encode
from k2workers.transport.ring_segment import RingSegment


def block(number: int, size: int = 100) -> tuple[bytes, list[object]]:
    content, parts = encode(1, number, number + 5, {b"t.a": TopicFrames(number, number, [bytes(size)])})
    return content, list(parts)


def made(folder: Path, blocks: int = 3, size: int = 100) -> RingSegment:
    segment = RingSegment(folder, 1)
    for number in range(1, blocks + 1):
        segment.append(*block(number, size))  # type: ignore[arg-type]
    return segment


def numbers(segment: RingSegment, at: int = 0) -> list[int]:
    return [part.first for found in segment.blocks(at) for part in found.parts]


def again(folder: Path) -> RingSegment:
    segment = RingSegment(folder, 1)
    segment.recall()
    return segment


@pytest.mark.parametrize("complete", [True, False])
def test_what_an_earlier_process_wrote_is_known_with_a_summary_and_without(tmp_path: Path, complete: bool) -> None:
    segment = made(tmp_path)
    segment.complete() if complete else segment.close()
    found = again(tmp_path)
    assert found.summary == segment.summary
    assert (found.summary.first_ns, found.summary.last_ns, found.summary.lasts) == (1, 8, {1: {"t.a": 3}})
    assert numbers(found) == [1, 2, 3]
    found.append(*block(4))  # type: ignore[arg-type]
    found.complete()
    assert numbers(again(tmp_path)) == [1, 2, 3, 4]


@pytest.mark.parametrize("cut", [1, 20, 90, 160])
def test_a_tail_that_was_not_written_to_its_end_is_cut(tmp_path: Path, cut: int) -> None:
    segment = made(tmp_path)
    segment.close()
    os.truncate(segment.path, segment.summary.size - cut)
    with capture_logs() as logs:
        found = again(tmp_path)
    assert [one["event"] for one in logs][-1] == "ring_tail_cut"
    assert numbers(found) == [1, 2]
    assert segment.path.stat().st_size == found.summary.size
    found.append(*block(9))  # type: ignore[arg-type]
    assert numbers(found) == [1, 2, 9]


@pytest.mark.parametrize("search", [1, 50, 2**20])
def test_damage_in_between_is_told_once_and_passed_over(
    tmp_path: Path, search: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_segment, "SEARCH_BYTES", search)
    segment = made(tmp_path)
    segment.close()
    second = len(block(1)[0])
    content = bytearray(segment.path.read_bytes())
    content[second + 20] ^= 1
    content[second + 70 : second + 74] = ring_block.MAGIC  # no head, though it begins like one
    segment.path.write_bytes(content)
    with capture_logs() as logs:
        found = again(tmp_path)
        assert numbers(found) == [1, 3] == numbers(found)
    assert [(one["event"], one["at"]) for one in logs] == [("ring_damaged", second)]
    assert found.damaged == {second}


def test_damage_where_a_reader_goes_on_is_told(tmp_path: Path) -> None:
    segment = made(tmp_path)
    segment.complete()
    second = len(block(1)[0])
    content = bytearray(segment.path.read_bytes())
    content[second + 20] ^= 1
    segment.path.write_bytes(content)
    with capture_logs() as logs:
        found = again(tmp_path)
        assert len(list(found.blocks(second))) == 1
        assert len(list(found.blocks(second + 1))) == 1, "where no block begins"
    assert [(one["event"], one["at"]) for one in logs] == [("ring_damaged", second)]


def test_a_summary_that_is_not_of_this_file_does_not_count(tmp_path: Path) -> None:
    segment = made(tmp_path)
    segment.complete()
    summary = segment.path.with_suffix(ring_segment.SUMMARY_SUFFIX)
    whole = summary.read_bytes()
    for content in (b"", b"\xff" + whole[1:], whole[:-1]):
        summary.write_bytes(content)
        assert again(tmp_path).summary == segment.summary
    summary.write_bytes(whole)
    with segment.path.open("ab") as file:
        file.write(block(4)[0])
    assert numbers(again(tmp_path)) == [1, 2, 3, 4]


def test_large_directories_and_blocks_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_segment, "READ_BYTES", 64)
    segment = made(tmp_path, size=500)
    assert numbers(segment) == [1, 2, 3]
    blocks = segment.blocks(0)
    assert next(blocks).read(4, 500) == bytes(500)


def test_a_write_that_fails_leaves_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = made(tmp_path)
    write = os.pwrite

    def half(descriptor: int, content: bytes, at: int) -> int:
        write(descriptor, content[: len(content) // 2], at)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space"):
        segment.append(*block(4))  # type: ignore[arg-type]
    monkeypatch.undo()
    assert segment.path.stat().st_size == segment.summary.size
    segment.append(*block(5))  # type: ignore[arg-type]
    segment.complete()
    segment.complete()
    assert numbers(again(tmp_path)) == [1, 2, 3, 5]
    segment.remove()
    assert list(tmp_path.iterdir()) == []
