"""Shows what a terminal shows: a screen of so many columns and rows, and what has scrolled off above it."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import threading
from types import TracebackType
from typing import Self

_TOKEN = re.compile(r"\x1b\[(?P<numbers>[?\d;]*)(?P<command>[A-Za-z])|(?P<control>[\r\n])|(?P<text>[^\x1b\r\n])")

_BEGUN = re.compile(r"\x1b(\[[?\d;]*)?$")
"""A command of which only the beginning has come."""


class Screen:
    """Takes what is written, and moves its cursor as xterm would."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.scrolled: list[str] = []
        self.rows = [[" "] * columns for _ in range(rows)]
        self._columns = columns
        self._row = self._column = 0

    def take(self, text: str) -> None:
        for token in _TOKEN.finditer(text):
            if token["text"]:
                if self._column == self._columns:
                    self._column = 0
                    self._next_row()
                self.rows[self._row][self._column] = token["text"]
                self._column += 1
            elif token["control"] == "\r":
                self._column = 0
            elif token["control"] == "\n":
                self._next_row()
            else:
                self._obey(token["command"], token["numbers"])

    def _obey(self, command: str, numbers: str) -> None:
        if command == "A":
            self._row = max(0, self._row - int(numbers or 1))
        elif command == "K":
            assert numbers in {"", "2"}, f"not known here: CSI {numbers}K"
            begin = 0 if numbers else self._column
            self.rows[self._row][begin:] = [" "] * (self._columns - begin)
        elif command == "H":
            assert not numbers, f"not known here: CSI {numbers}H"
            self._row = self._column = 0
        elif command == "J":
            assert not numbers, f"not known here: CSI {numbers}J"
            self.rows[self._row][self._column :] = [" "] * (self._columns - self._column)
            for row in range(self._row + 1, len(self.rows)):
                self.rows[row] = [" "] * self._columns
        else:
            assert command in "mhl", f"not known here: CSI {numbers}{command}"

    def _next_row(self) -> None:
        if self._row + 1 < len(self.rows):
            self._row += 1
        else:
            self.scrolled.append("".join(self.rows.pop(0)).rstrip())
            self.rows.append([" "] * self._columns)

    @property
    def lines(self) -> list[str]:
        """Everything from the first line on to the last one that is not empty."""
        every = [*self.scrolled, *("".join(row).rstrip() for row in self.rows)]
        return every[: max((number for number, line in enumerate(every, 1) if line), default=0)]


class Terminal:
    """A pseudo-terminal for a program. ``read_on`` shows on ``screen`` what it writes; until then nobody reads it."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.screen = Screen(columns, rows)
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._reader: threading.Thread | None = None

    def read_on(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        decoder, text = codecs.getincrementaldecoder("utf-8")(), ""
        with contextlib.suppress(OSError):  # nobody has the other end any longer
            while read := os.read(self.ours, 65_536):
                text += decoder.decode(read)
                begun = _BEGUN.search(text)
                whole = begun.start() if begun is not None else len(text)
                self.screen.take(text[:whole])
                text = text[whole:]

    def hang_up(self) -> None:
        """The window is closed: what is written now is an error."""
        os.close(self.ours)
        self.ours = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.theirs)
        if self._reader is not None:
            self._reader.join()
        if self.ours >= 0:
            os.close(self.ours)
