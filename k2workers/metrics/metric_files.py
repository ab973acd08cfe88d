"""Owns the files that prometheus_client keeps a process' figures in: that there is room for them, that they are there, what the dead leave.

The library maps its files into memory and writes there: where the file system is full, the kernel ends the process. So room is reserved
before, also where a file must grow (``ReservedDict``); where there is none, the figures stay in the process until there is.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import mark_process_dead
from prometheus_client.values import MultiProcessValue, MutexValue, close_all_multiprocess_files

from k2workers.metrics import DIRECTORY_VARIABLE

ROOM_BYTES = 2**16
"""Of each file at first. A worker with all its labels uses a quarter of it, the parent of 256 shards four times as much."""

ENTRY_BYTES = 32
"""Of a figure beside its name, at most."""

SUMMED = ("counter", "histogram")
"""The files whose figures outlive a process, and the beginnings of their names."""

KINDS = (*SUMMED, "gauge_livemostrecent")

RESERVED = ".reserved"
"""How the name of a file ends until it has its size."""

_changing = threading.Lock()
"""Held while the files of the dead are gathered, and while all are read: else one would count twice, or not at all."""

_unburied: set[int] = set()

_log = structlog.get_logger(__name__)


def directory() -> Path:
    """Where the files of all processes of this run are."""
    return Path(os.environ[DIRECTORY_VARIABLE])


@contextlib.contextmanager
def unchanged() -> Iterator[Path]:
    """The directory, in which meanwhile nothing is gathered."""
    with _changing:
        yield directory()


class ReservedDict(MmapedDict):
    """The library's table in a file, which doubles when it is full. Raises OSError where there is no room for that, instead of dying at the next write."""

    wanted_bytes = 0
    """The most that any of them needed."""

    def _init_value(self, key: str) -> None:
        needed, size = self._used + len(key.encode()) + ENTRY_BYTES, self._capacity
        if needed > size:
            ReservedDict.wanted_bytes = max(ReservedDict.wanted_bytes, 2 * size)
            _reserve(Path(self._fname), 2 * size)
        super()._init_value(key)  # type: ignore[no-untyped-call]  # the library has no types here


class OwnFiles:
    """The files of this process. ``kept`` is whether the figures are in them; None before the first ``renew``."""

    def __init__(self) -> None:
        self.kept: bool | None = None
        self._room_bytes = ROOM_BYTES
        """What one of the files needed, as far as is known."""

    def lose(self, error: OSError) -> None:
        """They cannot hold all the figures. The next ``renew`` looks for more room."""
        self._room_bytes = max(self._room_bytes, ReservedDict.wanted_bytes)
        self._tell(error)
        self._remove()
        self._use(lambda: MutexValue)
        self.kept = False

    def renew(self) -> bool:
        """Whether the instruments must be made anew, and all totals be written again: at the beginning, when files have gone, or when there is room again."""
        if self.kept and all(path.exists() for path in self._paths()):
            return False
        before, self.kept = self.kept, self._reserve(first=self.kept is None)
        if before is False and not self.kept:
            return False
        self._use(MultiProcessValue if self.kept else lambda: MutexValue)
        if self.kept and before is not None:
            _log.info("metrics_kept_again", directory=str(directory()))
        return True

    def _reserve(self, *, first: bool) -> bool:
        if DIRECTORY_VARIABLE not in os.environ:
            return False  # nobody gathers them
        paths = self._paths()
        try:
            directory().mkdir(parents=True, exist_ok=True)
            if not first:
                for path in paths:
                    path.unlink(missing_ok=True)  # all of them begin anew together
            for path in paths:
                _reserve(path, self._room_bytes)
        except OSError as error:
            if self.kept is not False:
                self._tell(error)
            self._remove()
            return False
        return True

    @staticmethod
    def _use(kind: Callable[[], Any]) -> None:
        # Before the next kind is made, which the library would forget to close otherwise.
        close_all_multiprocess_files()  # type: ignore[no-untyped-call]  # the library has no types here
        values.MmapedDict = ReservedDict  # type: ignore[attr-defined]  # as above
        values.ValueClass = kind()

    @staticmethod
    def _tell(error: OSError) -> None:
        _log.warning("metrics_not_kept", directory=str(directory()), error=error.strerror or str(error))

    def _remove(self) -> None:
        for path in self._paths():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    @staticmethod
    def _paths() -> list[Path]:
        return [directory() / f"{kind}_{os.getpid()}.db" for kind in KINDS]


def of(pid: int) -> bool:
    """Whether a process has its figures in files."""
    return (directory() / f"{KINDS[-1]}_{pid}.db").exists()


def bury(pid: int) -> None:
    """A process has ended: its gauges go, its counters are gathered with those of all others that have ended."""
    _unburied.add(pid)
    bury_all()


def bury_all() -> None:
    """Gather what could not be gathered when its process ended, because there was no room."""
    for pid in list(_unburied):
        with unchanged() as there, contextlib.suppress(OSError, RuntimeError):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library has no types here
            for kind in SUMMED:
                _gather(there / f"{kind}_{pid}.db", there / f"{kind}_dead.db")
            for kind in KINDS:
                (there / f"{kind}_{pid}.db").with_suffix(RESERVED).unlink(missing_ok=True)
            _unburied.discard(pid)


def _gather(dead: Path, into: Path) -> None:
    if not dead.exists():
        return
    totals: dict[str, float] = {}
    for path in filter(Path.exists, (into, dead)):
        for key, number, *_ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
            totals[key] = totals.get(key, 0.0) + number
    fresh = into.with_suffix(".new")  # the endpoint reads no such file
    fresh.unlink(missing_ok=True)
    _reserve(fresh, 64 + sum(len(key.encode()) + ENTRY_BYTES for key in totals))
    table = MmapedDict(str(fresh))  # type: ignore[no-untyped-call]
    for key, number in totals.items():
        table.write_value(key, number, 0.0)  # type: ignore[no-untyped-call]
    table.close()  # type: ignore[no-untyped-call]
    fresh.replace(into)
    dead.unlink()


def _reserve(path: Path, size: int) -> None:
    """See that a file has this size. One that is new has it from the beginning: the library reads no empty file, and its process may be killed at any moment."""
    made = path if path.exists() else path.with_suffix(RESERVED)
    descriptor = os.open(made, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if os.fstat(descriptor).st_size < size:
            os.posix_fallocate(descriptor, 0, size)
    except OSError:
        if made != path:
            made.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    if made != path:
        made.replace(path)
