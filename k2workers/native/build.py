"""Owns how the native lane is compiled: with whatever C compiler there is, in a second, without network.

``scripts/setup``, the container's first stage (``python -m k2workers.native``) and the build of a wheel (``scripts/hatch_build.py``) call it. The extension uses Python's limited
API: one file serves every Python from 3.11 on, and a call costs a third of one through ctypes. Imports nothing of the package: a wheel is built without its dependencies.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

SOURCES = Path(__file__).parent
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
    "-Werror=implicit-function-declaration",  # or a name that is nowhere shows only when the extension is loaded
)


def source_id() -> str:
    """What the sources are now: an extension that was built from others is not used."""
    found = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.[ch]")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


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
