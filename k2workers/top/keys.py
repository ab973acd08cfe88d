"""Owns what keys do: how the table is sorted, what is searched for, and the wish to end. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOKEN = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO.|\x1b|.", re.DOTALL)
ESCAPE, ENTER, ERASE, CLEAR = "\x1b", "\r\n", "\x7f\b", "\x15"
MOST = 60
"""Characters of what is searched for."""


class Keys:
    """``letters`` are those of the columns that can be sorted by."""

    def __init__(self, letters: Sequence[str]) -> None:
        self._letters = letters
        self.sort = letters[0]
        self.turned = False
        self.search = ""
        self.typing = False
        self.ended = False

    def press(self, keys: str) -> None:
        """These were pressed. What begins with an escape (an arrow) does nothing."""
        for key in _TOKEN.findall(keys):
            (self._type if self.typing else self._command)(key)

    def _type(self, key: str) -> None:
        if key == ESCAPE:
            self.typing, self.search = False, ""
        elif key in ENTER:
            self.typing = False
        elif key in ERASE:
            self.search = self.search[:-1]
        elif key == CLEAR:
            self.search = ""
        elif key.isprintable() and len(self.search) < MOST:
            self.search += key

    def _command(self, key: str) -> None:
        if key == "q":
            self.ended = True
        elif key == "/":
            self.typing = True
        elif key == ESCAPE:
            self.search = ""
        elif key == "s":
            place = self._letters.index(self.sort)
            self.sort, self.turned = self._letters[(place + 1) % len(self._letters)], False
        elif key in self._letters:
            self.sort, self.turned = key, key == self.sort and not self.turned
