"""Owns what has happened lately, and since when it has been as it is: the ailments that hold with their beginnings, and a list of what was noted. Pure; times are wall-clock ms."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

KEPT = 60
"""So many happenings are remembered: a page shows them at once."""

TOGETHER = 3
"""More ailments of one word that begin or end at the same time are noted as one."""


class Ailment(NamedTuple):
    """What is wrong, where, and the same in words, which may change while it stays the same ailment."""

    word: str
    where: str
    text: str


class Holding(msgspec.Struct, frozen=True):
    """An ailment that holds, and since when."""

    word: str
    where: str
    text: str
    since_ms: int


class Happening(msgspec.Struct, frozen=True):
    """What happened, when, and where: ``kind`` is ``ready``, ``not ready``, ``over``, or a word of who noted it."""

    at_ms: int
    kind: str
    where: str
    text: str


class Annals:
    """Call ``look`` steadily with all that is wrong; ``note`` what else happens; ``count`` what rises."""

    def __init__(self, began_ms: int) -> None:
        self._holding: dict[tuple[str, str], Holding] = {}
        self._happened: deque[Happening] = deque(maxlen=KEPT)
        self._counts: dict[tuple[str, str], int] = {}
        self.since_ms = began_ms
        """Since when all has been well, or something has been wrong."""

    @property
    def holding(self) -> list[Holding]:
        """What is wrong now."""
        return list(self._holding.values())

    @property
    def happened(self) -> list[Happening]:
        """What has happened, newest first."""
        return list(reversed(self._happened))

    def look(self, ailments: Sequence[Ailment], now_ms: int) -> None:
        """This is all that is wrong now."""
        before = self._holding
        self._holding = {}
        for word, where, text in ailments:
            known = before.get((word, where))
            self._holding[word, where] = Holding(word, where, text, known.since_ms if known is not None else now_ms)
        if bool(before) != bool(self._holding):
            self.since_ms = now_ms
        begun = [ailment for key, ailment in self._holding.items() if key not in before]
        over = [ailment for key, ailment in before.items() if key not in self._holding]
        self._note_each(begun, "not ready", lambda ailment: f"{ailment.word}: {ailment.text}", now_ms)
        self._note_each(over, "over", lambda ailment: _over(ailment, now_ms), now_ms)
        if before and not self._holding:
            self.note(now_ms, "ready", "", "every stream flows")

    def count(self, kind: str, totals: Mapping[str, int], text: str, now_ms: int) -> None:
        """These totals, by where; that one has risen since it was counted last is noted in these words."""
        for where, total in totals.items():
            more = total - self._counts.get((kind, where), 0)
            if more > 0:
                self.note(now_ms, kind, where, f"{text} ×{more:,}" if more > 1 else text)
            self._counts[kind, where] = total

    def note(self, at_ms: int, kind: str, where: str, text: str) -> None:
        """This happened."""
        self._happened.append(Happening(at_ms, kind, where, text))

    def _note_each(self, ailments: Sequence[Holding], kind: str, text: Callable[[Holding], str], now_ms: int) -> None:
        """Of one word each by itself, or, of many that come together, their number: else a start would fill the list."""
        by_word: dict[str, list[Holding]] = {}
        for ailment in ailments:
            by_word.setdefault(ailment.word, []).append(ailment)
        for word, alike in by_word.items():
            if len(alike) > TOGETHER:
                self.note(now_ms, kind, f"{len(alike)} places", word if kind == "not ready" else f"{word} is over")
            else:
                for ailment in alike:
                    self.note(now_ms, kind, ailment.where, text(ailment))


def _over(ailment: Holding, now_ms: int) -> str:
    return f"{ailment.word} is over, after {(now_ms - ailment.since_ms) / 1000:,.0f} s"
