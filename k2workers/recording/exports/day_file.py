"""Owns the files of an export while they are written: beside their places, to the disk, and then put there; so one with its name is whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from k2workers.recording.exports import npz, tardis
from k2workers.recording.exports.book_steps import Step
from k2workers.recording.exports.event_order import EventOrder
from k2workers.recording.exports.hftbacktest import told
from k2workers.recording.layout import UNFINISHED_SUFFIX

COMPRESSION = 6
BUFFER_BYTES = 2**20
_GZIP = 31
"""zlib's number for gzip."""


class _Unfinished:
    """A file beside its place: ``finish`` puts it there, and ``discard`` leaves nothing of what was not finished. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path, self._beside = path, path.with_name(path.name + UNFINISHED_SUFFIX)
        self.file: BinaryIO = self._beside.open("wb", buffering=BUFFER_BYTES)

    def finish(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self._beside.replace(self._path)

    def discard(self) -> None:
        with contextlib.suppress(OSError):  # what waits in its buffer finds no room
            self.file.close()
        self._beside.unlink(missing_ok=True)


class TardisFile:
    """CSV with gzip, without a name and time in it: the same recording gives the same file. ``take`` the steps of a day, then ``finish``; ``discard`` in any case."""

    ahead_ns = 0

    def __init__(self, path: Path, holds: str, lines: tardis.TardisLines) -> None:
        self.entries = 0
        self._lines = lines
        self._unfinished = _Unfinished(path)
        self._packer = zlib.compressobj(COMPRESSION, zlib.DEFLATED, _GZIP)
        self._waiting = [tardis.header(holds)]
        self._waiting_size = 0

    def take(self, step: Step) -> None:
        """The next step."""
        lines = self._lines.lines(step)
        if lines:
            self.entries += lines.count("\n")
            self._waiting.append(lines)
            self._waiting_size += len(lines)
            if self._waiting_size >= BUFFER_BYTES:
                self._pack()

    def finish(self) -> None:
        """Put it in its place."""
        self._pack()
        self._unfinished.file.write(self._packer.flush())
        self._unfinished.finish()

    def discard(self) -> None:
        """Leave nothing of what was not finished."""
        self._unfinished.discard()

    def _pack(self) -> None:
        self._unfinished.file.write(self._packer.compress("".join(self._waiting).encode()))
        self._waiting.clear()
        self._waiting_size = 0


class HftbacktestFile:
    """An archive of numpy's, in the same way; its events wait uncompressed in files of scratch next to it, which have no names."""

    def __init__(self, path: Path) -> None:
        self._scratch = [_scratch(path.parent) for _ in range(2)]
        self._order = EventOrder(*self._scratch)
        self._unfinished = _Unfinished(path)

    @property
    def entries(self) -> int:
        """Events so far."""
        return self._order.count

    @property
    def ahead_ns(self) -> int:
        """By how much its local times are later than they were taken."""
        return self._order.ahead_ns

    def take(self, step: Step) -> None:
        """The next step."""
        message = told(step)
        if message is not None:
            self._order.take(message)

    def finish(self) -> None:
        """Put it in its place."""
        npz.write(self._unfinished.file, self._order.count, self._order.events())
        self._unfinished.finish()

    def discard(self) -> None:
        """Leave nothing of what was not finished."""
        self._unfinished.discard()
        for file in self._scratch:
            with contextlib.suppress(OSError):
                file.close()


def _scratch(folder: Path) -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile(dir=folder, buffering=BUFFER_BYTES))
