"""Owns the disk ring: the newest published frames of all topics in files, bounded by bytes and age, and where in them a reader begins and goes on.

Files (``ring_segment``) hold blocks (``ring_block``) in the order of writing, so the lives of the feed follow each other in them. The oldest file goes
first: the bounds are kept within one of ``SEGMENTS`` parts of them. In memory is a summary of each file: some 100 bytes for each topic in it. One thread
writes, any may read.

What was written outlasts the process at once (the kernel has it), and the machine once its file is complete, or sooner, as the kernel writes: after a loss
of power the newest seconds may be missing, which readers see as a hole.
"""

from __future__ import annotations

import errno
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog

from k2workers.errors import K2Error
from k2workers.transport import ring_block
from k2workers.transport.frame_keeper import FrameBlock
from k2workers.transport.ring_block import BlockPart, EpochOrder
from k2workers.transport.ring_places import Positions, RingCursor, RingMoment, RingPiece, RingStart
from k2workers.transport.ring_segment import SUFFIX, FoundBlock, RingSegment
from k2workers.wanted import wants

SEGMENTS = 64
"""Files that a full ring is divided into."""

LEAST_SEGMENT_BYTES = 256 * 1024

REPLY_BYTES = 512 * 1024
"""Of frames for one answer, and one part of a block more."""

RUN_BYTES = 256 * 1024
"""Read at once."""

BLOCKS_A_REPLY = 500
"""Looked at for one answer, also if nothing of them is wanted."""

_log = structlog.get_logger(__name__)


class RingFilesGone(K2Error, OSError):
    """Files of the ring were removed or moved, and what they held: it goes on with those that are left, and with new ones."""

    blame = "user"
    retryable = True


class DiskRing:
    """The ring in this directory, which is made by the first ``append``. ``recall`` first."""

    def __init__(self, folder: Path, max_bytes: int, max_age_ns: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_age_ns = max_age_ns
        self._segment_bytes = max(LEAST_SEGMENT_BYTES, max_bytes // SEGMENTS)
        self._segment_ns = max_age_ns // SEGMENTS
        self._segments: list[RingSegment] = []
        """The oldest first. A list of its own for each change, for those who read it meanwhile."""
        self._number = 0
        """Of the newest there ever was."""

    # ── what there is ───────────────────────────────────────────────────────────────────────────────────

    @property
    def size(self) -> int:
        """How many bytes it takes on the disk."""
        return sum(segment.summary.size for segment in self._segments)

    @property
    def oldest_ns(self) -> int:
        """When its oldest frame was published; 0 if there is none."""
        return next((segment.summary.first_ns for segment in self._segments if segment.summary.size), 0)

    @property
    def damaged(self) -> int:
        """Places that cannot be read."""
        return sum(len(segment.damaged) for segment in self._segments)

    @property
    def epochs(self) -> list[int]:
        """The lives of the feed that it holds, the oldest first."""
        return list(dict.fromkeys(epoch for segment in self._segments for epoch in list(segment.summary.lasts)))

    def stands(self) -> tuple[int | None, dict[str, int]]:
        """Its newest life, and each topic's last sequence in it."""
        epochs = self.epochs
        if not epochs:
            return None, {}
        return epochs[-1], self._sequences(epochs[-1], self._segments)

    @staticmethod
    def _sequences(epoch: int, segments: Sequence[RingSegment]) -> dict[str, int]:
        found: dict[str, int] = {}
        for segment in segments:
            found.update(segment.summary.lasts.get(epoch, {}))
        return found

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────

    def recall(self) -> None:
        """Find what an earlier process left there. What cannot be read is left alone."""
        segments = []
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path.stem.isdecimal():
                segment = RingSegment(self._folder, int(path.stem))
                try:
                    segment.recall()
                except OSError as error:
                    _log.error("ring_unreadable", path=str(path), error=error.strerror or str(error))
                    continue
                segments.append(segment)
        self._segments = segments
        self._number = max((segment.number for segment in segments), default=0)

    def append(self, block: FrameBlock, now_ns: int) -> None:
        """Write a block (wall-clock time). Raises OSError; then it is not there, and if that is RingFilesGone, other things are not either."""
        content, parts = ring_block.encode(block.epoch, block.first_ns, block.last_ns, block.topics)
        self._forget_what_is_gone()
        self.expire(now_ns, len(content))
        segment = self._segments[-1] if self._segments else None
        if segment is None or self._is_full(segment, block):
            self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            if segment is not None:
                segment.complete()
            segment = RingSegment(self._folder, self._number + 1)
            segment.append(content, parts)
            self._number = segment.number
            self._segments = [*self._segments, segment]
        else:
            segment.append(content, parts)

    def _forget_what_is_gone(self) -> None:
        """What is written to files that somebody has removed or moved would be nowhere. Raises RingFilesGone if there were such."""
        there = [segment for segment in self._segments if segment.is_there]
        gone = [segment for segment in self._segments if segment not in there]
        if gone:
            self._segments = there
            for segment in gone:
                segment.close()
            raise RingFilesGone(errno.ENOENT, f"{len(gone)} of its files were removed or moved", str(self._folder))

    def expire(self, now_ns: int, room: int = 0) -> None:
        """Remove what is too old (wall-clock time), or what is to make room for so many bytes. Raises OSError."""
        while len(self._segments) > 1:
            oldest = self._segments[0]
            if self.size + room <= self._max_bytes and oldest.summary.last_ns >= now_ns - self._max_age_ns:
                break
            oldest.remove()
            self._segments = self._segments[1:]

    def close(self) -> None:
        """Write no more."""
        for segment in self._segments[-1:]:
            segment.close()

    def _is_full(self, segment: RingSegment, block: FrameBlock) -> bool:
        own = segment.summary
        return own.size >= self._segment_bytes or (own.size > 0 and block.last_ns - own.first_ns >= self._segment_ns)

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────

    def find(self, wanted: Sequence[str], positions: Positions) -> RingStart:
        """Where a reader of these topics and prefixes begins that has these. Of a topic that is not among these it has nothing of their oldest life on."""
        segments, epochs = self._segments, self.epochs
        end = self._end(segments)  # before any look: what is written meanwhile is behind it
        after = _After(wanted, positions, epochs)
        for segment in segments:
            lasts = list(segment.summary.lasts.items())
            if any(after(epoch, topic, last) for epoch, own in lasts for topic, last in list(own.items())):
                for found in self._blocks(segment, 0):
                    if any(after(found.head.epoch, part.topic, part.last) for part in found.parts):
                        return RingStart(RingCursor(segment.number, found.at), epochs)
        return RingStart(end, epochs)

    def at(self, wanted: Sequence[str], publish_ns: int) -> RingMoment:
        """Where a reader begins that wants what was published from this time on."""
        segments, matches = self._segments, wants(wanted)
        end, (newest, sequences) = self._end(segments), self.stands()
        for number, segment in enumerate(segments):
            if segment.summary.last_ns < publish_ns:
                continue
            before: dict[int, dict[str, int]] = {}
            for found in self._blocks(segment, 0):
                epoch = found.head.epoch
                own = before.setdefault(epoch, self._sequences(epoch, segments[:number]))
                if found.head.last_ns >= publish_ns:
                    if segment is segments[0] and not before[epoch]:
                        return RingMoment(RingCursor(segment.number, found.at), self.epochs, 0, {})
                    known = {topic: last for topic, last in own.items() if matches(topic)}
                    return RingMoment(RingCursor(segment.number, found.at), self.epochs, epoch, known)
                own.update((part.topic, part.last) for part in found.parts)
        known = {topic: last for topic, last in sequences.items() if matches(topic)}
        return RingMoment(end, self.epochs, newest or 0, known)

    def read(self, wanted: Sequence[str], cursor: RingCursor) -> RingPiece:
        """What follows there for a reader of these. A place that is gone is that of the oldest that is left."""
        matches = wants(wanted)
        pieces: list[bytes] = []
        size = looked = 0
        for segment in [segment for segment in self._segments if segment.number >= cursor.segment]:
            if segment.number != cursor.segment:
                cursor = RingCursor(segment.number)
            for found in self._blocks(segment, cursor.at):
                for begin, parts, index in _runs(found.parts, cursor.part, matches):
                    sound = self._sound(segment, found, begin, parts)
                    pieces += sound
                    size += sum(map(len, sound))
                    if size >= REPLY_BYTES:
                        return RingPiece(b"".join(pieces), RingCursor(segment.number, found.at, index), at_end=False)
                cursor = RingCursor(segment.number, found.end)
                looked += 1
                if looked >= BLOCKS_A_REPLY:
                    return RingPiece(b"".join(pieces), cursor, at_end=False)
        return RingPiece(b"".join(pieces), cursor, at_end=True)

    @staticmethod
    def _sound(segment: RingSegment, found: FoundBlock, begin: int, parts: Sequence[BlockPart]) -> list[bytes]:
        """The frames of these parts, which follow each other; those that are damaged are told of, and left out."""
        try:
            content = found.read(begin, sum(part.size for part in parts))
        except OSError as error:
            segment.tell_damage(found.at, error.strerror or str(error))
            return []
        sound, at = [], 0
        for part in parts:
            own = content[at : at + part.size]
            at += part.size
            if zlib.crc32(own) == part.crc:
                sound.append(own)
            else:
                segment.tell_damage(found.at + at, f"these frames of {part.topic} are not those that were written")
        return sound

    @staticmethod
    def _blocks(segment: RingSegment, at: int) -> Iterator[FoundBlock]:
        """The blocks of a segment, which may be removed meanwhile."""
        try:
            yield from segment.blocks(at)
        except FileNotFoundError:
            return
        except OSError as error:
            segment.tell_damage(at, error.strerror or str(error))

    @staticmethod
    def _end(segments: Sequence[RingSegment]) -> RingCursor:
        return RingCursor(segments[-1].number, segments[-1].summary.size) if segments else RingCursor(0)


class _After:
    """Whether a topic's part that ends with this sequence of this epoch holds anything that a reader lacks."""

    def __init__(self, wanted: Sequence[str], positions: Positions, epochs: Sequence[int]) -> None:
        self._matches = wants(wanted)
        self._rank = EpochOrder(epochs)
        self._has = {
            topic: (self._rank(epoch), sequence) for epoch, own in positions.items() for topic, sequence in own.items()
        }
        self._unknown = (min(map(self._rank, positions), default=-1.0), 0)

    def __call__(self, epoch: int, topic: str, last: int) -> bool:
        return self._matches(topic) and (self._rank(epoch), last) > self._has.get(topic, self._unknown)


def _runs(
    parts: Sequence[BlockPart], first: int, matches: Callable[[str], bool]
) -> Iterator[tuple[int, list[BlockPart], int]]:
    """Wanted parts from this index on that are read together: (where they begin, the parts, the index behind them)."""
    begin = size = 0
    run: list[BlockPart] = []
    for index, part in enumerate(parts):
        if index >= first and matches(part.topic):
            run.append(part)
            size += part.size
        elif run:
            yield begin, run, index
            begin, run, size = begin + size + part.size, [], 0
        else:
            begin += part.size
        if size >= RUN_BYTES:
            yield begin, run, index + 1
            begin, run, size = begin + size, [], 0
    if run:
        yield begin, run, len(parts)
