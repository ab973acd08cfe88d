"""``python -m tests.recording.dying COMMAND DIRECTORY PLACE`` does a work on copies of a recording, and dies in each of them at another moment.

The moments are those before each change of a name in the file system and each file that is begun: between two of them nobody else sees a difference. Copy N in PLACE is that of the one that died
before its Nth; the last one is that of the one that came to its end.
"""

from __future__ import annotations

import importlib
import itertools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WRITES = os.O_CREAT | os.O_TRUNC


def _changes(event: str, args: tuple[Any, ...]) -> bool:
    return event in {"os.rename", "os.remove"} or (event == "open" and bool(int(args[2] or 0) & _WRITES))


def die_before(moment: int) -> None:
    """The process ends before the so manieth change, as if it was killed."""
    left = itertools.count(1)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if _changes(event, args) and next(left) == moment:
            os._exit(9)

    sys.addaudithook(hook)


def main(command: str, directory: str, place: str) -> None:
    module, _, name = command.partition(":")
    work: Callable[[Path], object] = getattr(importlib.import_module(module), name)
    for moment in itertools.count(1):
        copy = Path(place, str(moment))
        shutil.copytree(directory, copy)
        child = os.fork()
        if child == 0:
            die_before(moment)
            work(copy)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
