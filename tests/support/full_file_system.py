"""A file system without room, for as long as a test says."""

from __future__ import annotations

import contextlib
import errno
import io
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.support.waiting import wait_for


def writes(filler: io.RawIOBase) -> bool:
    """Whether there was room for more."""
    try:
        return bool(filler.write(bytes(4096)))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return False
        raise


@contextlib.contextmanager
def kept_full(folder: Path) -> Iterator[None]:
    """No room is left in the file system there, also where somebody gives up some, until the end."""
    over, full = threading.Event(), threading.Event()

    def fill() -> None:
        with (folder / "filler").open("wb", buffering=0) as filler:
            while not over.is_set():
                if not writes(filler):
                    full.set()
                    over.wait(0.001)

    filling = threading.Thread(target=fill, daemon=True)
    filling.start()
    try:
        wait_for("no room", full.is_set)
        yield
    finally:
        over.set()
        filling.join()
        (folder / "filler").unlink()
