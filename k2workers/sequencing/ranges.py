"""Owns sets of venue ids kept as ranges. Pure; every range is (first, last), both inclusive."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class IdRanges:
    """A set of ids as disjoint ranges in rising order; neighbours are joined."""

    __slots__ = ("_ranges",)

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._ranges: list[Range] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Put these ids into the set; nothing happens if ``last`` is below ``first``."""
        if last < first:
            return
        begin = self._first_reaching(first - 1)
        end = begin
        while end < len(self._ranges) and self._ranges[end][0] <= last + 1:
            first, last = min(first, self._ranges[end][0]), max(last, self._ranges[end][1])
            end += 1
        self._ranges[begin:end] = [(first, last)]

    def remove(self, first: int, last: int) -> int:
        """Take these ids out; how many of them were in."""
        if last < first:
            return 0
        kept, removed = [], 0
        begin = self._first_reaching(first)
        end = begin
        while end < len(self._ranges) and self._ranges[end][0] <= last:
            low, high = self._ranges[end]
            removed += min(high, last) - max(low, first) + 1
            kept += [part for part in ((low, first - 1), (last + 1, high)) if part[0] <= part[1]]
            end += 1
        self._ranges[begin:end] = kept
        return removed

    def within(self, first: int, last: int) -> list[Range]:
        """The parts of the set between ``first`` and ``last``."""
        found = []
        for low, high in self._ranges[self._first_reaching(first) :]:
            if low > last or last < first:
                break
            found.append((max(low, first), min(high, last)))
        return found

    def keep_newest(self, count: int) -> list[Range]:
        """Take out the lowest ranges, so that at most so many remain. Returns them."""
        beyond = self._ranges[:-count] if count else self._ranges
        if beyond:
            self._ranges = self._ranges[len(beyond) :]
        return beyond

    def __contains__(self, number: int) -> bool:
        place = self._first_reaching(number)
        return place < len(self._ranges) and self._ranges[place][0] <= number

    def __iter__(self) -> Iterator[Range]:
        return iter(self._ranges)

    def __len__(self) -> int:
        """How many ranges, not how many ids."""
        return len(self._ranges)

    @property
    def ids(self) -> int:
        """How many ids."""
        return sum(last - first + 1 for first, last in self._ranges)

    def _first_reaching(self, number: int) -> int:
        """The place of the first range that ends at ``number`` or later."""
        return bisect_left(self._ranges, number, key=lambda known: known[1])
