"""Owns which directories of this machine are for a run's own things where the user names none. Makes none itself."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from k2workers.errors import ConfigError

PROGRAM = "k2workers"

HTTP = "http"
"""The file in a run directory that says where the run answers HTTP: ``http://127.0.0.1:9091``."""

MEMORY = "/dev/shm"
"""Can mostly be written also where nothing else can, such as in a container with a read-only root."""


def for_runs(environ: Mapping[str, str]) -> list[tuple[Path, str]]:
    """Where runs have their directories, the best first, and how the directories' names begin there.

    Those that last come first, and not ``XDG_RUNTIME_DIR``: it goes when the user logs out, and a feed stays.
    """
    home = environ.get("HOME", "")
    state = environ.get("XDG_STATE_HOME", "") or (f"{home}/.local/state" if home else "")
    places = Path(environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]), Path(state) / PROGRAM
    bases = [
        (path, "run-") for path in places if path.is_absolute()
    ]  # others are nobody's: whoever sets these names whole paths
    return bases + [(path, f"{PROGRAM}-") for path in _temporary()]


def for_a_moment(environ: Mapping[str, str]) -> list[Path]:
    """Where something can be made that is at once removed again, the best first."""
    names = [environ.get("K2_RUN_DIR", ""), environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]]
    names += [environ.get("XDG_STATE_HOME", ""), environ.get("HOME", ""), MEMORY]
    return [path for path in [*_temporary(), *map(Path, filter(None, names))] if os.access(path, os.W_OK | os.X_OK)]


def have_temporary(environ: MutableMapping[str, str]) -> None:
    """Name a temporary directory to this process and its children where the machine has none of the usual ones.

    Call it before ``multiprocess`` is imported, which cannot be without one. Raises ConfigError if nothing can be written.
    """
    if _temporary():
        return
    others = [path for path in for_a_moment(environ) if _has_room(path)]
    if not others:
        raise ConfigError("no directory can be written; name one with TMPDIR")
    environ["TMPDIR"] = tempfile.tempdir = str(others[0])


def _has_room(path: Path) -> bool:
    """Whether a file can be made there and holds something: without that it is no temporary directory for Python either."""
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=path, buffering=0) as tried:
        return bool(tried.write(b"x"))
    return False


def _temporary() -> list[Path]:
    with contextlib.suppress(OSError):  # there is none
        return [Path(tempfile.gettempdir())]
    return []
