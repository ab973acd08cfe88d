"""Owns how the messages of one read are handed on: side by side in the receive buffer, not one by one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import msgspec

OPEN, SEPARATOR, CLOSE, BLANK = b"[,] "


class Messages(msgspec.Struct, frozen=True, gc=False):
    """Consecutive messages that lie in one buffer with a head of ``head`` bytes before each. Valid until the callee returns.

    Whoever makes it has turned the heads into what JSON puts between the elements of an array, so that one decoder call can
    take them all. What is to be kept must be copied.
    """

    together: memoryview
    """One JSON array of all messages, unless one of them is no JSON."""
    head: int
    begin: int
    """Where ``together`` begins in the buffer."""
    ends: Sequence[int]
    """Where each message ends in the buffer."""

    @classmethod
    def of(cls, messages: Sequence[bytes]) -> Self:
        """The same from separate messages."""
        ends, end = [], 0
        for message in messages:
            end += 1 + len(message)
            ends.append(end)
        return cls(memoryview(b"[%b]" % b",".join(messages)), 1, 0, ends)

    def __len__(self) -> int:
        return len(self.ends)

    def singly(self) -> list[bytes]:
        """Each message as it was received."""
        edges = pairwise([0, *(end - self.begin for end in self.ends)])
        return [bytes(self.together[begin + self.head : end]) for begin, end in edges]
