"""Owns the journal of a recorder: files to which what it takes is appended, each time together with the position after it.

That makes both one: whatever happens, the newest segment up to its last whole position is what was recorded, and from that position the feed is asked to go on. A
commit is one append and one fsync. A segment that has ended is turned into files by ``conversion.py``, which then removes it; the newest is never empty of positions.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from k2workers.recording import journal_records
from k2workers.recording.journal_records import POSITION, encoded

SUFFIX, DAMAGED_SUFFIX = ".journal", ".damaged"
ROOM_BYTES = 8 * 2**20
"""So much must fit before a recorder that has met a full disk tries again."""


def folder_of(to: Path) -> Path:
    """Where the journal of a recording is."""
    return to / "journal"


def segments(folder: Path) -> list[int]:
    """The numbers of the segments that are there, the oldest first."""
    return sorted(int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdecimal())


def path_of(folder: Path, number: int) -> Path:
    """The file of a segment."""
    return folder / f"{number:08}{SUFFIX}"


@contextlib.contextmanager
def content_of(path: Path) -> Iterator[memoryview]:
    """The bytes of a segment."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            yield view


def sync_folder(folder: Path) -> None:
    """Make what was renamed and removed there last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Journal:
    """The newest segment. ``append`` keeps, ``commit`` writes; if that raises OSError, ``forget`` what was appended since the last one that did not.

    Made from what is there: ``position`` is then the last committed one, empty if nothing was. ``beyond`` is asked if nothing is there: the next segment has a higher
    number, and so its files have other names than those that are there. Raises OSError if that cannot be.
    """

    def __init__(self, folder: Path, beyond: Callable[[], int] = lambda: 0) -> None:
        self.position = b""
        self.number = 0
        self.bytes = 0
        """Of the newest segment, as committed."""
        self.cut_bytes = 0
        """What was behind the last position, and is asked for again: an end in the midst of a commit leaves some, damage may leave more."""
        self._folder = folder
        self._waiting = bytearray()
        self._descriptor = -1
        folder.mkdir(parents=True, exist_ok=True)
        unreadable = []
        for number in reversed(segments(folder)):
            with content_of(path_of(folder, number)) as content:
                last = journal_records.last_position(content)
                if last is not None:
                    self.position, self.number, self.bytes = bytes(content[last.begin : last.end]), number, last.end
                    break
            unreadable.append(number)
        for number in unreadable:
            self._put_aside(path_of(folder, number))
        if self.number:
            self._descriptor = os.open(path_of(folder, self.number), os.O_WRONLY | os.O_CLOEXEC)
            self.cut_bytes = os.fstat(self._descriptor).st_size - self.bytes
            os.ftruncate(self._descriptor, self.bytes)
        else:
            self.number = max([beyond(), *unreadable])
            self.roll(b"")

    @property
    def holds_something(self) -> bool:
        """Whether there is more in the newest segment than the position that it began with."""
        return self.bytes > journal_records.HEAD_BYTES + len(self.position)

    @property
    def waiting(self) -> int:
        """Bytes that were appended and not committed."""
        return len(self._waiting)

    def append(self, letter: bytes, content: bytes) -> None:
        """Keep a record for the next commit."""
        self._waiting += encoded(letter, content)

    def commit(self, position: bytes) -> None:
        """Write what was appended, and the position after it, to the disk. Raises OSError."""
        if not self._waiting and position == self.position:
            return
        self.append(POSITION, position)
        self._write_all()
        self.position = position

    def roll(self, position: bytes) -> None:
        """Commit, and begin the next segment. Raises OSError; then the segment is still the one that it was."""
        if self._descriptor >= 0:
            self.commit(position)
        path = path_of(self._folder, self.number + 1)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            head = encoded(POSITION, position)
            _write(descriptor, head, 0)
            os.fsync(descriptor)
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        self.close()
        self._descriptor, self.number, self.bytes, self.position = descriptor, self.number + 1, len(head), position

    def forget(self) -> None:
        """Go back to the last commit. Raises OSError."""
        self._waiting.clear()
        os.ftruncate(self._descriptor, self.bytes)

    def has_room(self) -> bool:
        """Whether something could be committed again."""
        probe = self._folder / "room"
        try:
            self._must_be_there()
            with probe.open("wb") as file:
                file.write(bytes(ROOM_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
        return True

    def close(self) -> None:
        """What was not committed is forgotten. Safe to repeat."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _put_aside(self, path: Path) -> None:
        """Remove a segment that was being made: all of it is in the one before. One that had more in it is kept for whoever can read it."""
        if encoded(POSITION, self.position).startswith(path.read_bytes()):
            path.unlink()
        else:
            path.replace(path.with_name(path.name + DAMAGED_SUFFIX))

    def _must_be_there(self) -> None:
        """Raises OSError for a segment that was removed or moved: what is written to it would be nowhere."""
        path = path_of(self._folder, self.number)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._descriptor), path.stat()):
                return
        raise FileNotFoundError(errno.ENOENT, "it was removed or moved", str(path))

    def _write_all(self) -> None:
        self._must_be_there()
        _write(self._descriptor, self._waiting, self.bytes)
        os.fsync(self._descriptor)
        self.bytes += len(self._waiting)
        self._waiting.clear()


def _write(descriptor: int, data: bytes | bytearray, offset: int) -> None:
    with memoryview(data) as left:
        done = 0
        while done < len(left):
            done += os.pwrite(descriptor, left[done:], offset + done)
