"""Owns the ids that one topic lacks: which of them are the next to ask for, and when an id counts as void. Pure.

They are kept in parts that are alike: every id of a part has been asked for as often, and denied as often. A reply that speaks for an id
and does not hold it *denies* it: the id may be late in the venue's database, or may never have existed. From then on it is doubted, and
looked for again after each time of a growing patience; what all these looks deny is void. What proves more than absence does (a void, or
that the ids exist) counts at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import msgspec

from k2workers.sequencing.ranges import IdRanges, Range

SHORTEST_DELAY_NS = 1_000_000_000
LONGEST_DELAY_NS = 600_000_000_000
"""A look that brought no word about its ids is repeated after as long as they have been doubted, between these."""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a reply says: ``found`` came; all ids in ``covered`` that did not come are denied (None: it speaks for nothing); ``void`` never
    existed; ``exist`` do, and did not come; ``unavailable`` cannot be had of this venue, now or later.
    """

    covered: Range | None = None
    found: Iterable[Range] = ()
    void: Iterable[Range] = ()
    exist: Iterable[Range] = ()
    unavailable: Iterable[Range] = ()


NOTHING = Findings()
"""No reply came, or one that says nothing."""


class Learned(msgspec.Struct, frozen=True):
    """What is known after a reply: ids that are ``void``, that are ``unavailable``, and whether anything is known that was not before."""

    void: list[Range]
    unavailable: list[Range]
    news: bool


class Question(msgspec.Struct, frozen=True):
    """Ids to ask for in one request. ``held``: events wait for them; ``doubted``: a reply has denied them."""

    first_id: int
    last_id: int
    held: bool
    doubted: bool


class _Part:
    """Missing ids that are alike. ``turn`` orders parts by when they were asked for last; 0 is never."""

    __slots__ = ("denied_ns", "due_ns", "exists", "first", "full", "last", "looks", "since_ns", "turn")

    def __init__(self, first: int, last: int, since_ns: int) -> None:
        self.first, self.last = first, last
        self.since_ns = since_ns
        """Since when nothing of it has come."""
        self.denied_ns: int | None = None
        """When the ids were denied first; None if they are not doubted."""
        self.looks = 0
        """How many further looks have denied them."""
        self.due_ns = 0
        """When a doubted part is looked for again."""
        self.turn = 0
        self.exists = False
        """Whether it is proven that the ids exist: then they are not doubted, however often they are denied."""
        self.full = False
        """Whether events came of the same hole: then a page of ids is likely to be a page of events."""

    def cut(self, first: int, last: int) -> _Part:
        """The same for some of its ids."""
        part = _Part(first, last, self.since_ns)
        part.denied_ns, part.looks, part.due_ns, part.turn = self.denied_ns, self.looks, self.due_ns, self.turn
        part.exists, part.full = self.exists, self.full
        return part

    @property
    def doubted(self) -> bool:
        return self.denied_ns is not None

    @property
    def ids(self) -> int:
        return self.last - self.first + 1


class MissingIds:
    """Call ``want`` when what the topic wants may have changed, ``question`` and ``asked`` for the next request, ``learn`` with its reply.

    ``page`` ids fit one reply. ``patience_ns``: how long after the first denial each further look comes.
    """

    def __init__(self, page: int, patience_ns: Sequence[int]) -> None:
        self._page = page
        self._patience_ns = patience_ns
        self._wanted: Sequence[Range] | None = None
        """What ``want`` was told last; None if a reply has said something since."""
        self._parts: list[_Part] = []
        self._turns = itertools.count(1)
        self._oldest_ns = 0
        """Of no part nothing has come for longer than since then."""

    def __len__(self) -> int:
        return len(self._parts)

    def want(self, ranges: Sequence[Range], now_ns: int) -> tuple[bool, bool]:
        """These ids from now on. Whether some are new, and whether some that were wanted are wanted no longer."""
        if ranges == self._wanted:
            return False, False
        self._wanted = ranges
        before, parts, place, kept = self._parts, [], 0, 0
        new = False
        for low, high in ranges:
            while place < len(before) and before[place].last < low:
                place += 1
            reached = low
            for part in itertools.takewhile(lambda part: part.first <= high, itertools.islice(before, place, None)):  # noqa: B023
                if part.first > reached:
                    parts.append(_Part(reached, part.first - 1, now_ns))
                    new = True
                parts.append(_clipped(part, max(low, part.first), min(high, part.last), now_ns))
                kept += parts[-1].ids
                reached = parts[-1].last + 1
            if reached <= high:
                parts.append(_Part(reached, high, now_ns))
                new = True
        self._parts = parts
        return new, kept < sum(part.ids for part in before)

    def question(self, now_ns: int, held_from: int, *, due: bool) -> Question | None:
        """The next ids to ask for: those that were never asked for, then those for whom it is longest ago; so no hole waits for another.

        ``held_from``: the holes for which events wait are those that reach this id, and go first. ``due``: also those that are not doubted.
        Holes that fit one page are asked for together; one that is larger is asked for as a whole, since nobody knows how much is in it.
        """
        ready = [part for part in self._parts if (now_ns >= part.due_ns if part.doubted else due)]
        held = [part for part in ready if part.last >= held_from]
        pool = held or ready
        if not pool:
            return None
        chosen = min(pool, key=lambda part: (part.turn, part.first))
        alike = [part for part in pool if part.doubted is chosen.doubted]
        first_id = min(part.first for part in alike if chosen.last < part.first + self._page or part is chosen)
        last_id = max(part.last for part in alike if part.last < first_id + self._page or part is chosen)
        return Question(first_id, last_id, bool(held), chosen.doubted)

    def asked(self, question: Question) -> None:
        """This was asked for."""
        turn = next(self._turns)
        for part in self._within(question.first_id, question.last_id):
            part.turn = turn

    def learn(self, first_id: int, last_id: int, findings: Findings, now_ns: int) -> Learned:
        """What came of asking for these ids. Beyond them a reply says nothing: what it held there may have been left out.

        Call ``want`` after what was found has been taken.
        """
        received, void, exist = (IdRanges(ids) for ids in (findings.found, findings.void, findings.exist))
        unavailable = IdRanges(findings.unavailable)
        covered = IdRanges([findings.covered] if findings.covered is not None else [])
        parts: list[_Part] = []
        learned = Learned([], [], news=False)
        news = False
        for part in self._parts:
            rest = IdRanges([(max(part.first, first_id), min(part.last, last_id))])
            parts += [part.cut(*ids) for ids in ((part.first, min(part.last, first_id - 1)), (max(part.first, last_id + 1), part.last)) if ids[0] <= ids[1]]  # fmt: skip
            came = [part.cut(*ids) for ids in _take(rest, received)]
            parts += came
            learned.void.extend(_take(rest, void))
            learned.unavailable.extend(_take(rest, unavailable))
            for ids in _take(rest, exist):
                parts.append(_Part(*ids, part.since_ns))
                parts[-1].turn, parts[-1].exists = part.turn, True
            for ids in () if part.exists else _take(rest, covered):
                denied = part.cut(*ids)
                news = news or not part.doubted
                if self._deny(denied, now_ns):
                    learned.void.append(ids)
                else:
                    parts.append(denied)
            for ids in rest:
                unanswered = part.cut(*ids)
                unanswered.full = part.full or len(came) > 0
                if unanswered.denied_ns is not None and now_ns >= unanswered.due_ns:
                    doubted_ns = now_ns - unanswered.denied_ns
                    unanswered.due_ns = now_ns + min(max(doubted_ns, SHORTEST_DELAY_NS), LONGEST_DELAY_NS)
                parts.append(unanswered)
        self._parts = sorted(parts, key=lambda part: part.first)
        self._wanted = None
        return msgspec.structs.replace(learned, news=news or bool(learned.void) or bool(learned.unavailable))

    def _deny(self, part: _Part, now_ns: int) -> bool:
        """A reply denies these ids; whether that was the last look at them."""
        if part.denied_ns is None:
            part.denied_ns = now_ns
        elif now_ns < part.due_ns:
            return False
        else:
            part.looks += 1
        if part.looks == len(self._patience_ns):
            return True
        part.due_ns = part.denied_ns + self._patience_ns[part.looks]
        return False

    def give_up(self, before_ns: int) -> list[Range]:
        """Want no longer what nothing has come of since this time. Which ids that are."""
        if before_ns <= self._oldest_ns:
            return []
        self._oldest_ns = min((part.since_ns for part in self._parts if part.since_ns >= before_ns), default=before_ns)
        given_up = [part for part in self._parts if part.since_ns < before_ns]
        if given_up:
            self._parts = [part for part in self._parts if part.since_ns >= before_ns]
            self._wanted = None
        return list(IdRanges((part.first, part.last) for part in given_up))

    def clear(self) -> None:
        """Nothing is wanted any longer, and what replies said does not count."""
        self._parts, self._wanted = [], None

    @property
    def doubted(self) -> IdRanges:
        """The ids that a reply has denied."""
        return IdRanges((part.first, part.last) for part in self._parts if part.doubted)

    @property
    def requests(self) -> int:
        """How many requests bring all of it, as far as it is not doubted. A hole of which nothing came yet counts once: its ids may never have existed."""
        count, end = 0, -1
        for part in self._parts:
            if not part.doubted and part.last >= end:
                begin = max(part.first, end)
                pages = -(-(part.last + 1 - begin) // self._page) if part.full or part.exists else 1
                count += pages
                end = begin + pages * self._page
        return count

    def _within(self, first_id: int, last_id: int) -> list[_Part]:
        return [part for part in self._parts if part.first <= last_id and part.last >= first_id]


def _clipped(part: _Part, first: int, last: int, now_ns: int) -> _Part:
    """What is left of a part of which something has come, if anything has."""
    if (first, last) == (part.first, part.last):
        return part
    clipped = part.cut(first, last)
    clipped.since_ns = now_ns
    return clipped


def _take(rest: IdRanges, ids: IdRanges) -> list[Range]:
    """Take these ids out of the rest; which of them were in it."""
    found = [piece for low, high in list(rest) for piece in ids.within(low, high)]
    for low, high in found:
        rest.remove(low, high)
    return found
