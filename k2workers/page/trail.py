"""Owns the figures of the last minutes, for whoever opens the page later. Pure; times are wall-clock ms."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

POINTS = 600
"""Ten minutes of seconds."""


class Columns(msgspec.Struct, frozen=True):
    """When each point was taken, and each figure at those times: None where it was not known."""

    at_ms: list[int]
    figures: dict[str, list[float | None]]


class Trail:
    """Call ``add`` about once a second."""

    def __init__(self, points: int = POINTS) -> None:
        self._points: deque[tuple[int, dict[str, float | None]]] = deque(maxlen=points)

    def add(self, at_ms: int, figures: Mapping[str, float | None]) -> None:
        """Note all figures of this moment; later ones are there if the clock was set back."""
        while self._points and self._points[-1][0] > at_ms:
            self._points.pop()
        self._points.append((at_ms, dict(figures)))

    def columns(self) -> Columns:
        """All of it, oldest first."""
        points = list(self._points)
        names = dict.fromkeys(name for _, figures in points for name in figures)
        return Columns(
            [at_ms for at_ms, _ in points], {name: [figures.get(name) for _, figures in points] for name in names}
        )
