"""Owns what the children of a parent on a terminal print: it comes in by a pipe and goes out line by line where the parent prints.

Two who write to one terminal tear each other's lines and pictures apart.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator

_STANDARD = (1, 2)
"""The descriptors that a process prints to."""


class Inflow:
    """A pipe, and a thread that hands on each line from it."""

    def __init__(self, hand_on: Callable[[str], object]) -> None:
        self._hand_on = hand_on
        self._ours, self._theirs = os.pipe()
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._begun = ""
        self._reading = threading.Lock()

    @contextlib.contextmanager
    def from_all_begun_here(self) -> Iterator[None]:
        """Programs that are started meanwhile, and their children, print into the pipe. Use it once."""
        kept = [os.dup(fd) for fd in _STANDARD]
        for fd in _STANDARD:
            os.dup2(self._theirs, fd)
        os.close(self._theirs)
        try:
            yield
        finally:
            for fd, own in zip(_STANDARD, kept, strict=True):
                os.dup2(own, fd)
                os.close(own)
        threading.Thread(target=self._run, name="inflow", daemon=True).start()
        atexit.register(self._settle)

    def _run(self) -> None:
        while True:
            select.select([self._ours], [], [])
            if not self._settle():
                return

    def _settle(self) -> bool:
        """Hand on what has come; whether more may come."""
        with self._reading:
            while select.select([self._ours], [], [], 0)[0]:
                read = os.read(self._ours, 65_536)
                if not read:
                    return False
                *lines, self._begun = (self._begun + self._decoder.decode(read)).split("\n")
                for line in lines:
                    self._hand_on(line + "\n")
            return True
