"""Owns when each of several totals rose last. Pure: it is told the time."""

from __future__ import annotations

from collections.abc import Mapping


class LastRise:
    """``look`` steadily; a rise is known to the time between two looks."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._rose_s: dict[str, float] = {}

    def look(self, totals: Mapping[str, int], now_s: float) -> Mapping[str, float]:
        """When each was seen to be higher than before; one that never was above 0 is not there."""
        for name, total in totals.items():
            if total > self._totals.get(name, 0):
                self._rose_s[name] = now_s
            self._totals[name] = total
        return self._rose_s
