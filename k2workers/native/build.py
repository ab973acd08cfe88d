"""Owns how the native lane is compiled: with whatever C compiler there is, in a second, without network.

``python -m k2workers.native.build [DIRECTORY]`` compiles next to the sources, or into DIRECTORY, and says what came of it; so do
``scripts/setup``, the container's first stage and the build of a wheel. The extension uses Python's limited API: one file serves every Python from 3.11 on.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from k2workers.native.sources import SOURCES, source_id

NAME = "_native.abi3.so"
FLAGS = (
    "-std=c11",
    "-O2",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wno-missing-field-initializers",
)


def compiler() -> list[str] | None:
    """The command of a C compiler: ``CC``, or the first that is found."""
    named = os.environ.get("CC")
    if named:
        return shlex.split(named)
    return next(([path] for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)


def build(directory: Path = SOURCES) -> str:
    """Compile into this directory. Empty if it went well, else why not, in words."""
    command = compiler()
    if command is None:
        return "there is no C compiler"
    headers = sysconfig.get_path("include")
    if not (Path(headers) / "Python.h").exists():
        return f"the headers of this Python are not installed ({headers}/Python.h)"
    beside = directory / f"{NAME}.{os.getpid()}"
    try:
        done = subprocess.run(
            [*command, *FLAGS, f'-DK2_SOURCE="{source_id()}"', f"-I{headers}", *map(str, sorted(SOURCES.glob("*.c"))), "-o", str(beside)],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            said = done.stderr.strip().splitlines()
            return f"{command[0]} failed: {said[0] if said else f'exit code {done.returncode}'}"
        beside.replace(directory / NAME)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    finally:
        beside.unlink(missing_ok=True)
    return ""


def main() -> None:
    """Build, and say what came of it; the exit code is 0 also without: everything works, slower."""
    why_not = build(*map(Path, sys.argv[1:2]))
    said = (
        f"without the native lane, Python does its work (slower): {why_not}" if why_not else "the native lane is built"
    )
    sys.stderr.write(f"k2workers: {said}\n")


if __name__ == "__main__":
    main()
