"""Owns where a run keeps its sockets and its checkpoint, and that no other program has these places: chosen, locked, looked after, cleared.

Without ``run_dir`` each run has a directory of its own in the first place that will do, and what dead runs left there is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from k2workers.config import Settings
from k2workers.errors import ConfigError
from k2workers.files.directories import HTTP, for_runs
from k2workers.files.lock_file import LockFile, listener_at
from k2workers.processes import own_places
from k2workers.transport.endpoint import PATH_BYTES, mistake_in, path_of

LOCK, CONTROL = "lock", "control"
"""In a run directory: what only the run that it belongs to holds, and the socket that its children connect to."""

LONGEST = "disk_ring"
"""The longest name of a socket there (``transport.public_port``)."""

ORPHANS_END_S = 3.0
"""The children of a parent that was killed end by themselves a little sooner."""

_log = structlog.get_logger(__name__)


class Places:
    """What a run holds while it lives: its directory ``path``, and whatever else is exclusive. Call ``restore`` every second or so."""

    def __init__(self, path: Path, locks: list[LockFile]) -> None:
        self.path = path
        self._locks = locks
        self._taken: set[Path] = set()
        self._http = ""

    def tell_http(self, url: str) -> None:
        """Say there where this run answers HTTP, for who looks from outside (``health``)."""
        self._http = url
        with contextlib.suppress(OSError):  # a full file system: it is tried again
            (self.path / HTTP).write_text(url, encoding="ascii")

    def restore(self) -> None:
        """Make anew what a cleaner removed; what is there is made to look young."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(self.path)
        if self._http and not (self.path / HTTP).exists():
            self.tell_http(self._http)
        for lock in self._locks:
            with contextlib.suppress(
                FileNotFoundError
            ):  # its directory is gone: who writes there tells of it, and makes it anew
                self._restore(lock)

    def _restore(self, lock: LockFile) -> None:
        if lock.held:
            os.utime(lock.path)
        elif (owner := lock.take()) and lock.path not in self._taken:
            self._taken.add(lock.path)
            _log.error("place_taken", path=str(lock.path), by=owner)


@contextlib.contextmanager
def held(settings: Settings, environ: Mapping[str, str] = os.environ) -> Iterator[Places]:
    """The places of a run, until its end. Raises ConfigError that tells of every one that cannot be had."""
    locks: list[LockFile] = []
    sockets: list[Path] = []
    mistakes = []
    path, own = Path(settings.run_dir), not settings.run_dir
    try:
        try:
            if own:
                path, lock = _fresh(environ)
            else:
                lock = _named(path)
            locks.append(lock)
        except ConfigError as error:
            mistakes.append(str(error))
        mistakes += _lock_endpoints(settings, locks, sockets) + _lock_checkpoint(settings, locks)
        if settings.disk_ring_gb and not mistakes:
            mistakes += _lock_disk_ring(own_places.disk_ring(settings, path), locks)
        if mistakes:
            raise ConfigError("\n".join(mistakes))
        try:
            yield Places(path, locks)
        finally:
            _remove(sockets)
    finally:
        if own and locks and locks[0].path.parent == path:
            shutil.rmtree(path, ignore_errors=True)
        for lock in locks:
            lock.close()


# ── the run directory ───────────────────────────────────────────────────────────────────────────────────────


def _named(path: Path) -> LockFile:
    """The lock of a directory that the user named."""
    name = f"run_dir = {str(path)!r}"
    if too_long := _bytes_over(path):
        raise ConfigError(f"{name}: {too_long} bytes too long for the path of a socket in it ({PATH_BYTES} at most)")
    lock = LockFile(path / LOCK)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = listener_at(str(path / CONTROL)) or lock.take()
        if not owner:
            _try_socket(path)
    except OSError as error:
        lock.close()
        words = error.strerror or str(error)
        raise ConfigError(f"{name} cannot be used ({words}); allowed: a directory that can be written") from None
    if owner:
        raise ConfigError(f"{name} is in use by {owner}; stop that feed, or give this one a directory of its own")
    return lock


def _fresh(environ: Mapping[str, str]) -> tuple[Path, LockFile]:
    """A new directory of this run, and its lock."""
    tried = []
    for base, prefix in for_runs(environ):
        path = None
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            _clear(base, prefix)
            path = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
            lock = LockFile(path / LOCK)
            owner = lock.take()
            if not owner:
                _try_socket(path)
                return path, lock
            tried.append(f"{base} (in use by {owner})")
        except OSError as error:
            tried.append(f"{base} ({error.strerror or error})")
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)
    raise ConfigError(
        f"no directory for the run's sockets can be made: {', '.join(tried) or 'no place is known'}; "
        "name one with run_dir (K2_RUN_DIR)"
    )


def _clear(base: Path, prefix: str) -> None:
    """Remove the directories of runs that are dead: those whose lock nobody holds."""
    for path in base.glob(f"{prefix}*"):
        lock = LockFile(path / LOCK)
        with contextlib.suppress(OSError):  # another user's, or its run is just ending
            if path.stat().st_uid == os.geteuid() and lock.path.is_file() and not lock.take():
                shutil.rmtree(path, ignore_errors=True)
                _log.info("left_over_removed", path=str(path))
        lock.close()


def _bytes_over(path: Path) -> int:
    return max(0, len(os.fsencode(path.absolute() / LONGEST)) - PATH_BYTES)


def _try_socket(path: Path) -> None:
    """Raises OSError if no socket can be made in this directory, which is ours."""
    if too_long := _bytes_over(path):
        raise OSError(f"{too_long} bytes too long for the path of a socket")
    (path / CONTROL).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as tried:
        tried.bind(str(path / CONTROL))
    (path / CONTROL).unlink()


# ── what else is exclusive ──────────────────────────────────────────────────────────────────────────────────


def _lock_endpoints(settings: Settings, locks: list[LockFile], sockets: list[Path]) -> list[str]:
    """Lock each path that the feed listens at, and add it to ``sockets``. Returns what is wrong."""
    mistakes = []
    setting_of = {f"tcp://{own_places.http_address(settings)}": "http_port"}
    for setting, endpoint in own_places.endpoints(settings).items():
        path = path_of(endpoint)
        # A directory may have many names.
        place = str(Path(path).parent.resolve() / Path(path).name) if path else endpoint
        if (mistake := _taken_by_us(place, setting_of, setting)) or (
            path and (mistake := mistake_in(endpoint) or _lock_path(path, locks))
        ):
            mistakes.append(f"{setting} = {endpoint!r}: {mistake}")
        elif path:
            sockets.append(Path(path))
    return mistakes


def _taken_by_us(place: str, setting_of: dict[str, str], setting: str) -> str:
    """Which other setting of ours has this place already, in words; empty if none has, and from now on this one does."""
    if place.endswith((":*", ":0", "//*")):  # whatever is free
        return ""
    other = setting_of.setdefault(place, setting)
    return "" if other == setting else f"that is {other} already"


def _lock_path(path: str, locks: list[LockFile]) -> str:
    there = Path(path)
    lock = LockFile(Path(f"{path}.lock"))
    try:
        owner = lock.take()
        mode = there.stat().st_mode if there.exists() else stat.S_IFSOCK
    except OSError as error:
        return f"cannot be used ({error.strerror})"
    if not owner:
        locks.append(lock)
        if not stat.S_ISSOCK(mode):
            return "a file or directory is there, which is no socket"
        owner = _listener_that_stays(path)
    return f"in use by {owner}" if owner else ""


def _remove(sockets: list[Path]) -> None:
    """Remove those at which nobody listens any longer. ZeroMQ leaves them there."""
    for path in sockets:
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(path.lstat().st_mode) and not listener_at(str(path)):
                path.unlink()


def _listener_that_stays(path: str) -> str:
    """Who listens at a path, and is no child of a dead parent that is about to end."""
    until_s = time.monotonic() + ORPHANS_END_S
    while (owner := listener_at(path)) and time.monotonic() < until_s:
        time.sleep(0.05)
    return owner


def _lock_checkpoint(settings: Settings, locks: list[LockFile]) -> list[str]:
    """Lock the checkpoint that the user named. Returns what is wrong."""
    if not settings.checkpoint:
        return []
    lock = LockFile(Path(f"{settings.checkpoint}.lock"))
    try:
        owner = lock.take()
    except OSError:
        return []  # then no checkpoint can be written there either, which is told where it is tried
    if owner:
        return [f"checkpoint = {settings.checkpoint!r}: in use by {owner}"]
    locks.append(lock)
    return []


def _lock_disk_ring(folder: Path, locks: list[LockFile]) -> list[str]:
    """Lock the directory of the disk ring. Returns what is wrong."""
    lock = LockFile(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        owner = lock.take()
    except OSError:
        return []  # then the ring cannot be written there either, which is told where it is tried
    if owner:
        return [f"disk_ring_dir = '{folder}': in use by {owner}; allowed: a directory of this feed's own"]
    locks.append(lock)
    return []
