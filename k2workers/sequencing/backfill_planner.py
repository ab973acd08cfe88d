"""Owns what to fetch next: which holes are asked for, in which order, how often, and when an id counts as void. Pure.

One request a topic is under way at a time. A request covers several holes if they fit into one page. An id that a reply
covers and does not hold may be late in the venue's database or may never have existed: it is void only when a second reply,
``confirm_ns`` later, says the same. What cannot be had for ``give_up_ns`` is given up, so that it does not keep newer holes of its
topic from their turn for ever.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec

from k2workers.backoff import Backoff
from k2workers.sequencing.ranges import IdRanges, Range

ALL_TIMES = 2**63
"""More ns than lie between any two times."""


class Urgency(enum.IntEnum):
    """Whose turn it is first; the parent's weight budget uses the same order over all workers."""

    HELD = 0
    """Events wait for the missing ids."""
    BROKEN_BOOK = 1
    """Subscribers have no valid book until a snapshot comes."""
    OPEN = 2
    """The gap is announced; its events may come late."""
    FIRST_BOOK = 3
    """A book that has just begun, or one that some lack and others have: what is open comes before it."""


class BackfillRequest(msgspec.Struct, frozen=True):
    """Fetch these ids of one topic, or its book (``snapshot``). ``attempt`` counts from 0 since the last progress."""

    topic_index: int
    first_id: int
    last_id: int
    urgency: Urgency
    attempt: int
    snapshot: bool = False
    probe: bool = False
    """Only to find out whether the venue has anything newer: ids that it does not have are not void."""


class BackfillPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """``page`` ids fit one request; ids that were the next to ask for for ``give_up_ns``, in vain, are not asked for any longer."""

    page: int = 1_000
    backoff: Backoff = Backoff(150_000_000, 30_000_000_000)
    confirm_ns: int = 400_000_000
    give_up_ns: int = 3_600_000_000_000


class _Need:
    """The ids that one topic lacks, and when to ask for them."""

    __slots__ = (
        "asking",
        "attempt",
        "doubtful",
        "doubtful_since_ns",
        "due_ns",
        "foremost_ns",
        "held_from",
        "page",
        "probe",
        "ranges",
        "since_ns",
        "snapshot",
        "urgency",
    )

    def __init__(self, now_ns: int, page: int) -> None:
        self.ranges: Sequence[Range] = ()
        self.page = page
        self.probe: Range | None = None
        self.snapshot = False
        self.urgency = Urgency.OPEN
        self.held_from = 0
        self.since_ns = self.due_ns = self.foremost_ns = now_ns
        self.attempt = 0
        self.asking = False
        self.doubtful = IdRanges()
        self.doubtful_since_ns = 0

    def want(self, ranges: Sequence[Range], now_ns: int) -> None:
        """These ranges from now on. ``foremost_ns`` tells since when the first one is the next to ask for."""
        if ranges and (not self.ranges or ranges[0][0] != self.ranges[0][0]):
            self.foremost_ns = now_ns
        self.ranges = ranges

    @property
    def wanted(self) -> bool:
        """Whether anything of the topic is to be asked for."""
        return bool(self.ranges or self.snapshot or self.probe)

    def lacks(self, first_id: int, last_id: int, received: IdRanges) -> IdRanges:
        """The missing ids from the first to the last of these that were not received."""
        absent = IdRanges()
        for low, high in self.ranges:
            absent.add(max(low, first_id), min(high, last_id))
        for low, high in received:
            absent.remove(low, high)
        return absent

    def foremost_page(self) -> Range:
        """From the oldest hole on, all holes that fit one request."""
        return _page(self.ranges, self.page)

    def next_page(self) -> Range:
        """The next ids to ask for. Where events are held, what was announced before can wait, however much it is."""
        held = [hole for hole in self.ranges if hole[1] >= self.held_from] if self.urgency is Urgency.HELD else ()
        return _page(held or self.ranges, self.page)


def _page(holes: Sequence[Range], size: int) -> Range:
    first = last = holes[0][0]
    for low, high in holes:
        if low > first + size - 1:
            break
        last = min(high, first + size - 1)
    return first, last


class BackfillPlanner:
    """The needs of all topics of one shard.

    Call ``update`` whenever a topic's wanted ranges may have changed, ``next`` for something to do, and exactly one of
    ``answered`` and ``failed`` for everything that ``next`` gave. Whoever wants what is in ``given_up`` is to be told; the caller
    clears it.
    """

    def __init__(self, policy: BackfillPolicy) -> None:
        self.policy = policy
        self.given_up: list[tuple[int, Range]] = []
        """Topics, by index, and the ids of each that are not asked for any longer."""
        self._needs: dict[int, _Need] = {}

    def update(
        self,
        topic_index: int,
        ranges: Sequence[Range],
        urgency: Urgency,
        now_ns: int,
        *,
        snapshot: bool = False,
        held_from: int = 0,
        times: bool = False,
    ) -> None:
        """The ranges that the topic wants now; it wants nothing if ``ranges`` is empty and no ``snapshot`` is wanted.

        ``held_from``: the holes for which events wait are those that reach this id. ``times``: ranges are times, of which any number fits
        one request.
        """
        need = self._needs.get(topic_index)
        if not ranges and not snapshot:
            if need is not None and not need.asking and need.probe is None:
                del self._needs[topic_index]
            elif need is not None:
                need.want((), now_ns)
                need.snapshot = False
            return
        if need is None:
            need = self._needs[topic_index] = _Need(now_ns, ALL_TIMES if times else self.policy.page)
        elif urgency < need.urgency or (ranges and (not need.ranges or ranges[-1][1] > need.ranges[-1][1])):
            # A new hole is asked for at once, however long an older one has to wait for its turn.
            need.due_ns = min(need.due_ns, now_ns)
            need.since_ns, need.attempt = now_ns, 0
        need.want(ranges, now_ns)
        need.urgency, need.snapshot, need.held_from = urgency, snapshot, held_from

    def probe(self, topic_index: int, first_id: int, last_id: int, now_ns: int) -> None:
        """Ask once whether the venue has these ids, which may be beyond its newest."""
        need = self._needs.get(topic_index)
        if need is None:
            need = self._needs[topic_index] = _Need(now_ns, self.policy.page)
        need.probe = (first_id, last_id)

    def begin_anew(self, topic_index: int) -> bool:
        """The topic's ids begin anew: nothing of the old ones is asked for, and what replies said of them does not count.

        Returns whether there was a probe that has not been answered: whoever wants to know must probe again, from the new ids on.
        """
        need = self._needs.get(topic_index)
        if need is None:
            return False
        probed = need.probe is not None
        need.ranges, need.probe, need.attempt, need.doubtful = (), None, 0, IdRanges()
        if not need.asking and not need.snapshot:
            del self._needs[topic_index]
        return probed

    def next(self, now_ns: int) -> BackfillRequest | None:
        """The most urgent request that may go now; its topic is asked for nothing else until it is answered."""
        chosen: tuple[tuple[int, int], int, _Need] | None = None
        for topic_index, need in list(self._needs.items()):
            if need.asking or now_ns < need.due_ns or not need.wanted:
                continue
            if need.ranges and now_ns - need.foremost_ns > self.policy.give_up_ns:
                self._give_up(topic_index, need, now_ns)
                continue
            rank = (int(need.urgency), need.since_ns)
            if chosen is None or rank < chosen[0]:
                chosen = (rank, topic_index, need)
        if chosen is None:
            return None
        _, topic_index, need = chosen
        need.asking = True
        if need.snapshot:
            return BackfillRequest(topic_index, 0, 0, need.urgency, need.attempt, snapshot=True)
        if not need.ranges:
            assert need.probe is not None
            return BackfillRequest(topic_index, *need.probe, need.urgency, need.attempt, probe=True)
        return BackfillRequest(topic_index, *need.next_page(), need.urgency, need.attempt)

    def _give_up(self, topic_index: int, need: _Need, now_ns: int) -> None:
        """Ask for the next ids no longer; those behind them are asked for from the next ``update`` on."""
        self.given_up.append((topic_index, need.foremost_page()))
        need.want((), now_ns)
        need.attempt, need.doubtful = 0, IdRanges()
        if need.probe is None and not need.snapshot:
            del self._needs[topic_index]

    def answered(
        self, request: BackfillRequest, covered: Range | None, found: Iterable[Range], now_ns: int
    ) -> list[Range]:
        """A reply came that speaks for all ids in ``covered`` and holds those in ``found``. Returns the ids that are void now.

        Call ``update`` after the lane took what was found.
        """
        need = self._needs.get(request.topic_index)
        if need is None:
            return []
        need.asking = False
        if request.probe:
            need.probe = None
        if not need.wanted:
            del self._needs[request.topic_index]  # the lines brought it meanwhile
        if request.probe or not need.wanted:
            return []
        received = IdRanges(found)
        absent = IdRanges()
        if covered is not None:
            # Beyond what was asked for, events that the reply held may have been left out.
            first, last = max(covered[0], request.first_id), min(covered[1], request.last_id)
            absent = need.lacks(first, last, received)
        confirmed: list[Range] = []
        if need.doubtful and now_ns - need.doubtful_since_ns >= self.policy.confirm_ns:
            confirmed = [part for low, high in absent for part in need.doubtful.within(low, high)]
            for first, last in confirmed:
                absent.remove(first, last)
            need.doubtful = IdRanges()
        if absent and not need.doubtful:
            need.doubtful, need.doubtful_since_ns = absent, now_ns
        progress = bool(confirmed) or any(found for low, high in need.ranges for found in received.within(low, high))
        self._put_off(need, now_ns, progress=progress)
        return confirmed

    def failed(self, request: BackfillRequest, now_ns: int, wait_ns: int = 0) -> None:
        """No reply, or a refusal; do not ask again for at least ``wait_ns``."""
        need = self._needs.get(request.topic_index)
        if need is None:
            return
        need.asking = False
        if not need.wanted:
            del self._needs[request.topic_index]  # nothing of it is wanted any longer
            return
        self._put_off(need, now_ns, progress=False)
        need.due_ns = max(need.due_ns, now_ns + wait_ns)

    def _put_off(self, need: _Need, now_ns: int, *, progress: bool) -> None:
        if progress:
            need.attempt, need.due_ns, need.since_ns = 0, now_ns, now_ns
            return
        need.due_ns = now_ns + self.policy.backoff.delay_ns(need.attempt, 0.5)
        need.attempt += 1
        if need.doubtful:
            need.due_ns = min(need.due_ns, max(now_ns, need.doubtful_since_ns + self.policy.confirm_ns))

    @property
    def waiting(self) -> int:
        """How many topics lack something."""
        return len(self._needs)
