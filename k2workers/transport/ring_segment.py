"""Owns one file of the disk ring: blocks one after another, and next to it, once it is complete, a summary of them.

A file that a killed process left is good up to its last whole block. Damage in between is found by checksums, named once, and passed over.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import structlog

from k2workers.transport import ring_block
from k2workers.transport.ring_block import HEAD_BYTES, BlockDamaged, BlockHead, BlockPart

SUFFIX, SUMMARY_SUFFIX = ".ring", ".summary"

READ_BYTES = 64 * 1024
"""Read at a time where a block begins: mostly head and directory are in it."""

SEARCH_BYTES = 2**20
"""Looked through at a time for the next block behind damage."""

_log = structlog.get_logger(__name__)


class SegmentSummary(msgspec.Struct, gc=False):
    """What is in a segment: good bytes, its first and last publish time (wall-clock ns), and by epoch, in order, each topic's last sequence."""

    size: int = 0
    first_ns: int = 0
    last_ns: int = 0
    lasts: dict[int, dict[str, int]] = {}

    def add(self, head: BlockHead, parts: Sequence[BlockPart]) -> None:
        """A block more."""
        self.first_ns = min(self.first_ns or head.first_ns, head.first_ns)
        self.last_ns = max(self.last_ns, head.last_ns)
        self.lasts.setdefault(head.epoch, {}).update((part.topic, part.last) for part in parts)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SegmentSummary).decode


class FoundBlock(msgspec.Struct, frozen=True, gc=False):
    """A block, and where it begins. Its bytes can be read until the next one is asked for."""

    at: int
    head: BlockHead
    parts: list[BlockPart]
    descriptor: int
    content: bytes
    """Its first ones, which have been read."""

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.at + self.head.size

    def read(self, begin: int, size: int) -> bytes:
        """So many bytes of its parts; fewer if the file ends before. Raises OSError."""
        begin += HEAD_BYTES + self.head.directory_bytes
        if begin + size <= len(self.content):
            return self.content[begin : begin + size]
        return os.pread(self.descriptor, size, self.at + begin)


class RingSegment:
    """``summary`` is of what has been written. Read it from any thread; one alone writes."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self.path = folder / f"{number:010}{SUFFIX}"
        self.summary = SegmentSummary()
        self.damaged: set[int] = set()
        """Where damage was found."""
        self._descriptor = -1

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────

    def append(self, block: bytes, parts: Sequence[BlockPart]) -> None:
        """Write a block behind the others. Raises OSError; then none of it is there."""
        size = self.summary.size
        if self._descriptor < 0:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.ftruncate(self._descriptor, size)
        try:
            at, view = size, memoryview(block)
            while view:
                written = os.pwrite(self._descriptor, view, at)
                at, view = at + written, view[written:]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise
        self.summary.add(ring_block.read_head(block), parts)
        self.summary.size = at

    def complete(self) -> None:
        """No more blocks: make it last (fsync), and write the summary, without which it is read through at the next start."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            os.fsync(self._descriptor)
            body = _encode(self.summary)
            self._summary_path.write_bytes(zlib.crc32(body).to_bytes(4) + body)
        self.close()

    def close(self) -> None:
        """Write no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """It is too old, or has no room. Raises OSError."""
        self.close()
        self._summary_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    @property
    def is_there(self) -> bool:
        """Whether nobody has removed or moved its file."""
        try:
            there = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return self._descriptor < 0 or os.path.samestat(os.fstat(self._descriptor), there)

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────

    def recall(self) -> None:
        """Learn what is there from the summary, or else from the blocks; what a broken write left at the end is cut. Raises OSError."""
        size = self.path.stat().st_size
        with contextlib.suppress(OSError, msgspec.MsgspecError, ValueError):
            content = self._summary_path.read_bytes()
            if zlib.crc32(content[4:]) == int.from_bytes(content[:4]):
                summary = _decode(content[4:])
                if summary.size == size:
                    self.summary = summary
                    return
        found = SegmentSummary(size=size)
        self.summary = found
        end = 0
        for block in self.blocks(0):
            found.add(block.head, block.parts)
            end = block.end
        found.size = end
        if end < size:
            _log.warning("ring_tail_cut", path=str(self.path), bytes=size - end, note="it was not written to its end")
            with contextlib.suppress(OSError):  # a block is written over it
                os.truncate(self.path, end)

    def blocks(self, at: int) -> Iterator[FoundBlock]:
        """The blocks from this place on. Raises OSError."""
        begin = at
        with self.path.open("rb", buffering=0) as file:
            while at < self.summary.size:
                try:
                    found = _block_at(file.fileno(), at, self.summary.size)
                except BlockDamaged as error:
                    if at == begin > 0:
                        self._look_through()  # a reader named the place: whether it is damaged, or no block begins there, is not known
                    else:
                        self.tell_damage(at, str(error))
                    at = self._next_begin(file.fileno(), at)
                    continue
                yield found
                at = found.end

    def tell_damage(self, at: int, why: str) -> None:
        """Bytes there cannot be read: told once."""
        if at not in self.damaged:
            self.damaged.add(at)
            _log.error("ring_damaged", path=str(self.path), at=at, why=why, note="it is passed over; the rest serves")

    @property
    def _summary_path(self) -> Path:
        return self.path.with_suffix(SUMMARY_SUFFIX)

    def _look_through(self) -> None:
        """Tell of all damage."""
        for _ in self.blocks(0):
            pass

    def _next_begin(self, descriptor: int, at: int) -> int:
        """Where the next whole head is behind this place, or the end."""
        at += 1
        while at < self.summary.size:
            content = os.pread(descriptor, SEARCH_BYTES + HEAD_BYTES, at)
            place = ring_block.next_magic(content, 0)
            while place >= 0:
                with contextlib.suppress(BlockDamaged):
                    ring_block.read_head(content, place)
                    return at + place
                place = ring_block.next_magic(content, place + 1)
            at += SEARCH_BYTES
        return self.summary.size


def _block_at(descriptor: int, at: int, end: int) -> FoundBlock:
    content = os.pread(descriptor, READ_BYTES, at)
    head = ring_block.read_head(content)
    if at + head.size > end:
        raise BlockDamaged("it goes beyond the end of the file")
    directory = content[HEAD_BYTES : HEAD_BYTES + head.directory_bytes]
    if len(directory) < head.directory_bytes:
        directory = os.pread(descriptor, head.directory_bytes, at + HEAD_BYTES)
    return FoundBlock(at, head, ring_block.read_directory(head, directory), descriptor, content)
