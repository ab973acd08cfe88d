"""Owns virtual environments for what ours must not hold, other people's libraries: made once each, and again when their pins change."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_S = 600.0
"""How long one installation may take."""


class NotInstalledError(Exception):
    """An environment cannot be had; the text says why, in one line."""


def python(directory: Path, packages: Sequence[str]) -> Path:
    """The interpreter of an environment with these packages, given with their versions. Raises ``NotInstalledError``."""
    return _made(directory, " ".join(packages), packages)


def locked(directory: Path, lock: Path) -> Path:
    """The interpreter of an environment with exactly what a lock of ``scripts/lock`` names. Raises ``NotInstalledError``."""
    # Not compiled: most of a library is never imported.
    asked = ("--no-compile", "--no-deps", "--require-hashes", "-r", str(lock))
    return _made(directory, lock.read_text(encoding="utf-8"), asked, shown=lock.name)


def _made(directory: Path, pins: str, asked: Sequence[str], shown: str = "") -> Path:
    interpreter, stamp = directory / "bin" / "python", directory / ".pins"
    wanted = f"{sys.version}\n{pins}"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / f".{directory.name}-lock").open("w") as only_one:
        fcntl.flock(only_one, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
            shutil.rmtree(directory, ignore_errors=True)
            sys.stderr.write(f"{directory.parent.name}: installing {shown or pins} (once) …\n")
            _run(sys.executable, "-m", "venv", str(directory))
            _run(str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *asked)
            stamp.write_text(wanted, encoding="utf-8")
    return interpreter


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"took longer than {LIMIT_S:.0f} s") from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise NotInstalledError((errors or done.stderr.splitlines() or ["no reason given"])[-1].removeprefix("ERROR: "))
