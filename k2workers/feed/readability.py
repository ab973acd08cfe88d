"""Owns the question which kinds of streams cannot be read at present: messages of them come, and none is understood. Pure.

One odd message is no trouble of a kind: the next one that is read heals it. Where the kind of an odd message cannot be told (a frame
without its wrapper), it counts against every kind for as long as nothing at all is read, and they come again and again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

PATIENCE_NS = 5_000_000_000
"""So long after the first odd message of a kind without any that was read, the kind cannot be read."""

FORGET_NS = 60_000_000_000
"""Messages whose kind cannot be told say nothing any longer when none has come for so long: they were hardly what our streams bring."""

UNKNOWN = ""
"""The kind of messages whose kind cannot be told."""

ENOUGH = 3
"""Fewer odd messages say nothing of their kind: in a quiet market there may be no other for a while."""


class _Odd(msgspec.Struct):
    """The odd messages of one kind since one was read."""

    first_ns: int
    last_ns: int
    count: int = 0


class Change(msgspec.Struct, frozen=True):
    """What differs from the last look."""

    lost: list[str]
    """Kinds that cannot be read any longer."""
    found: list[str]
    """Kinds that can be read again."""


class Readability:
    """Which kinds of one route can be read. Times are monotonic."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """All messages, or elements of lists, that could not be read, by kind (``UNKNOWN``: it cannot be told)."""
        self.unreadable: list[str] = []
        """The kinds that could not be read at the last look."""
        self.in_question: dict[str, _Odd] = {}
        """The kinds of which odd messages came and none has been read since: while there are any, say what is ``read``."""

    def odd(self, kind: str, count: int, now_ns: int) -> None:
        """So many messages, or elements, of this kind could not be read."""
        self.counts[kind] += count
        odd = self.in_question.setdefault(kind, _Odd(now_ns, now_ns))
        odd.last_ns, odd.count = now_ns, odd.count + count

    def read(self, kinds: Iterable[str]) -> None:
        """Messages of these kinds were read."""
        for kind in kinds:
            self.in_question.pop(kind, None)
            self.in_question.pop(UNKNOWN, None)

    def look(self, kinds: Iterable[str], now_ns: int) -> Change:
        """Say which of the route's kinds cannot be read now."""
        unknown = self.in_question.get(UNKNOWN)
        if unknown is not None and now_ns - unknown.last_ns >= FORGET_NS:
            del self.in_question[UNKNOWN]
        before = self.unreadable
        lost = {
            kind
            for kind, odd in self.in_question.items()
            if odd.count >= ENOUGH and now_ns - odd.first_ns >= PATIENCE_NS
        }
        self.unreadable = sorted(set(kinds) if UNKNOWN in lost else lost)
        return Change(
            [kind for kind in self.unreadable if kind not in before],
            [kind for kind in before if kind not in self.unreadable],
        )
