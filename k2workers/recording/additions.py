"""Owns how files come into a recording beside those that the recorder makes: one program at a time, and each file counts from one moment on.

It is in its place, and lasts, before the manifest names it; the manifest is changed while no conversion changes one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from k2workers.errors import ConfigError
from k2workers.files.lock_file import LockFile
from k2workers.recording import catalog, conversion, journal, layout, manifest
from k2workers.recording.manifest import FileTold


@contextlib.contextmanager
def changing(to: Path) -> Iterator[None]:
    """While this program alone adds files, or merges some. What an earlier one left unfinished is removed. Raises ConfigError if another does, OSError."""
    folder = journal.folder_of(to)
    folder.mkdir(exist_ok=True)
    lock = LockFile(folder / "changes.lock")
    owner = lock.take()
    if owner:
        raise ConfigError(f"'{to}': another program changes its files, {owner}; allowed: one at a time")
    try:
        _clear(to)
        yield
    finally:
        lock.close()


def commit(to: Path, path: Path, told: FileTold, parts: list[FileTold]) -> bool:
    """Let this file count in place of its parts, which are removed then. False, and it is removed, if they are no longer what they were. Raises OSError."""
    beside = layout.manifest_beside(path)
    journal.sync_folder(path.parent)
    with conversion.alone(to):
        now = manifest.read(beside)
        if not all(part in now.files for part in parts):
            path.unlink()
            return False
        manifest.add(beside, now.topic, now.day, told)
        journal.sync_folder(path.parent)
        for part in parts:  # before a conversion looks for the file before its own
            path.with_name(part.name).unlink(missing_ok=True)
    return True


def _clear(to: Path) -> None:
    for place in catalog.look(to).spare:
        place.path.unlink()
    for path in to.rglob(f"*{layout.SUFFIX}{layout.UNFINISHED_SUFFIX}"):
        unfinished = layout.place_of(to, path.with_suffix(""))
        if unfinished is not None and not unfinished.plain:
            path.unlink()
