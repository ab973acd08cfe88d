"""Blocks of the disk ring: what was written is read again, and what is damaged is known."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.transport.ring_block import (
    HEAD_BYTES,
    BlockDamaged,
    EpochOrder,
    TopicFrames,
    encode,
    frames_of,
    next_magic,
    read_directory,
    read_head,
)

TOPICS = {b"v.a.X": TopicFrames(1, 2, [b"v.a.X one", b"v.a.X two"]), b"v.b.Y": TopicFrames(7, 7, [b"v.b.Y seven"])}


def test_what_was_written_is_read_again() -> None:
    content, parts = encode(5, 10, 20, TOPICS)
    head = read_head(content)
    assert (head.epoch, head.first_ns, head.last_ns, head.size) == (5, 10, 20, len(content))
    body = HEAD_BYTES + head.directory_bytes
    assert read_directory(head, content[HEAD_BYTES:body]) == parts
    assert [(part.topic, part.first, part.last) for part in parts] == [("v.a.X", 1, 2), ("v.b.Y", 7, 7)]
    assert list(frames_of(content[body:])) == [b"v.a.X one", b"v.a.X two", b"v.b.Y seven"]
    assert read_head(b"??" + content, 2) == head


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_byte_of_head_and_directory_changes_unnoticed(where: int, change: int) -> None:
    content, _ = encode(5, 10, 20, TOPICS)
    head = read_head(content)
    damaged = bytearray(content)
    damaged[where % (HEAD_BYTES + head.directory_bytes)] ^= change
    with pytest.raises(BlockDamaged):
        read_directory(read_head(bytes(damaged)), bytes(damaged)[HEAD_BYTES : HEAD_BYTES + head.directory_bytes])


def test_what_is_no_block_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content, _ = encode(5, 10, 20, TOPICS)
    head = read_head(content)
    with pytest.raises(BlockDamaged, match="no whole head"):
        read_head(content[: HEAD_BYTES - 1])
    with pytest.raises(BlockDamaged, match="directory is damaged"):
        read_directory(head, content[HEAD_BYTES : HEAD_BYTES + head.directory_bytes - 1])
    monkeypatch.setattr(zlib, "crc32", lambda _: head.directory_crc)
    with pytest.raises(BlockDamaged, match="cannot be read"):
        read_directory(head, bytes(head.directory_bytes))


@pytest.mark.parametrize("content", [b"\0\0\0", b"\0\0\0\x05abcd"])
def test_frames_that_do_not_end_are_known(content: bytes) -> None:
    with pytest.raises(BlockDamaged, match="no whole"):
        list(frames_of(content))


def test_the_next_block_is_found_behind_damage() -> None:
    content, _ = encode(5, 10, 20, TOPICS)
    assert next_magic(b"xx" + content, 1) == 2
    assert next_magic(content, 1) == -1


def test_a_life_that_is_not_known_comes_by_its_number() -> None:
    rank = EpochOrder([30, 10, 20])
    assert [rank(epoch) for epoch in (30, 10, 20)] == [0, 1, 2], "known ones by their place, not by their number"
    assert rank(5) < rank(30) and rank(20) < rank(99)
    assert [rank.is_last(epoch) for epoch in (30, 20, 99)] == [False, True, False]
    assert not EpochOrder(()).is_last(0)
