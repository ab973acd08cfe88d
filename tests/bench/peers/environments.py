"""Owns virtual environments under ``.bench``, for what ours must not hold: made once each, and again when their pins change."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3] / ".bench"
LIMIT_S = 600.0
"""How long one installation may take."""


class NotInstalledError(Exception):
    """An environment cannot be had; the text says why, in one line."""


def python(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of an environment with its pins installed. Raises ``NotInstalledError``."""
    directory = ROOT / name
    interpreter, stamp = directory / "bin" / "python", directory / ".pins"
    pins = "\n".join(packages)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == pins:
        return interpreter
    shutil.rmtree(directory, ignore_errors=True)
    sys.stderr.write(f"scripts/bench: installing {' '.join(packages)} (once) …\n")
    _run(sys.executable, "-m", "venv", str(directory))
    _run(str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    stamp.write_text(pins, encoding="utf-8")
    return interpreter


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"took longer than {LIMIT_S:.0f} s") from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise NotInstalledError((errors or done.stderr.splitlines() or ["no reason given"])[-1].removeprefix("ERROR: "))
