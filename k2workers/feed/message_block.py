"""Owns how the messages of one read are passed on: together, as one block of the receive buffer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import msgspec

OPEN, SEPARATOR, CLOSE, BLANK = b"[,] "


class MessageBlock(msgspec.Struct, frozen=True, gc=False):
    """Consecutive messages that lie in one buffer with a head of ``head`` bytes before each. Valid until the callee returns.

    The maker has overwritten the heads with what JSON puts between the elements of an array, so that one call decodes them all. The
    caller copies what it wants to keep.
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
        """A block of separate messages."""
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
