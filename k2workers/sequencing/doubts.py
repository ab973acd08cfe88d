"""Owns what an event is that does not fit its topic's position: a copy, a glitch, or the truth about where the ids are now. Pure.

Behind the position, an event is a copy only of something that we had: a run of events that follow each other, while nothing ahead of the
position comes, is a new life of the ids if the venue made it after our newest event, or, where no time tells, if no lagging line
can be the reason. Far ahead of it, one event alone is a glitch; with the next one that continues it, it is the truth.
"""

from __future__ import annotations

import enum
import operator
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from k2workers.events import ROW_OF, TABLE, Event, learned_ns
from k2workers.sequencing.ranges import Range

FAR_IDS = 100_000_000
"""An event so far ahead of its topic is in doubt until the next one agrees: 25 times the widest hole that anybody has reported (3.96 million),
and what the busiest book makes in a day. Real ids that far ahead cost the delay of one event."""

FAR_NS = 600_000_000_000
"""The same for ids that are times, counted from our clock too. One that is wrong by more costs a topic the delay of one event, for times agree
if they are equally far from our clock."""

LAG_NS = 60_000_000_000
"""No line is so far behind the others."""

CLOCKS_APART_NS = 60_000_000_000
"""The venue's clock and ours differ by less, if ours is set."""

STAMPS_APART_NS = 1_000_000_000
"""Two lines may give one event times that differ by less."""

KNOWN_GLITCHES = 8
"""So many single events far ahead are remembered of a topic."""

AGREE = 2
"""So many events that follow each other are a run: one alone may be a glitch."""

LONG_RUN = 20
LONG_RUN_NS = 2_000_000_000
"""Where no time tells copies from a new life, a run takes at least as long, and is longer unless it is where no lagging line can be."""

EXPECTED_RUN_NS = 1_000_000_000
"""So long takes a run that is expected, because other ids of the symbol have begun anew."""

UNSURE_NS = 1_000_000_000
"""A run that lasts longer is asked about."""

PACE_NS = 1_000_000_000
"""For so long the pace of a run is measured; the fastest counts, for a late line stands still at times."""

MAX_RUN = 10_000
"""Events kept of one run; of a longer one, the first of them are missing later."""


class Reach(msgspec.Struct, frozen=True):
    """Distances between ids: further ``ahead`` is in doubt; further ``behind``, no lagging line explains it. ``times``: the ids are times."""

    ahead: int
    behind: int
    times: bool


IDS = Reach(FAR_IDS, FAR_IDS, times=False)
TIMES = Reach(FAR_NS, LAG_NS, times=True)


def made_field(event_type: type[Event]) -> str:
    """The time of the thing itself, which no line stamps anew, rather than of the message; empty where only an id would tell."""
    row, fields = ROW_OF[event_type], set(event_type.__struct_fields__) - {ROW_OF[event_type].first}
    times = [name for name in ("trade_time_ns", "transaction_time_ns", "venue_time_ns") if name in fields]
    return times[0] if row.timed and times else ""


_MADE: dict[type[Event], Callable[[Event], int]] = {
    row.type: operator.attrgetter(field) for row in TABLE if (field := made_field(row.type))
}


def made_ns(event: Event) -> int:
    """When the venue made an event; -1 if it does not tell, or tells what our clock contradicts."""
    return -1 if (made := _made_ns(event, None)[0]) is None else made


def _stamped_ns(event: Event | None) -> int | None:
    """When the venue says that it made the event. Where times are the ids they prove nothing about ids."""
    read = _MADE.get(type(event)) if event is not None else None
    return None if read is None or event is None else read(event)


def _made_ns(event: Event, newest: Event | None) -> tuple[int | None, int | None]:
    """When the venue made an event, and our newest one: as far as it tells, and as our clock or the other event agrees."""
    made, known = _stamped_ns(event), _stamped_ns(newest)
    lead = 0 if made is None else made - learned_ns(event)
    known_lead = 0 if known is None or newest is None else known - learned_ns(newest)
    if lead > FAR_NS or known_lead > FAR_NS:
        agree = made is not None and known is not None and abs(lead - known_lead) <= FAR_NS
        return made if agree or lead <= FAR_NS else None, known if agree or known_lead <= FAR_NS else None
    return made, known


def made_later(event: Event, newest: Event | None) -> bool:
    """Whether the venue made it surely after our newest event: then it is no copy of what came before that one."""
    made, known = _made_ns(event, newest)
    return made is not None and known is not None and made > known + STAMPS_APART_NS


def made_before(event: Event, newest: Event) -> bool:
    """Whether the venue made it surely no later than our newest event: it is a copy of that one, or of what came before it."""
    return _is_before(*_made_ns(event, newest), event, newest)


def _is_before(made: int | None, known: int | None, event: Event, newest: Event | None) -> bool:
    if made is None or known is None or newest is None:
        return False
    return made < known or (made == known and event.last_id == newest.last_id)


def passed_ns(event: Event, since: Event) -> int:
    """How long after the other an event came, by our clock."""
    return max(learned_ns(event) - learned_ns(since), 0)


def _same_time(one: Event, other: Event) -> bool:
    """As far as the venue tells it: it may leave out what is less than a millisecond."""
    times = _stamped_ns(one), _stamped_ns(other)
    return None not in times and times[0] // 1_000_000 == times[1] // 1_000_000  # type: ignore[operator]


class Behind(NamedTuple):
    """How far an event is behind its topic, and where the topic stood when even a line that lags had brought it; None if nobody knows."""

    distance: int
    floor: int | None


class Judgement(enum.Enum):
    """What an event behind its topic's position is."""

    COPY = "copy"
    """Of what we had, as far as is known."""
    DOUBTED = "doubted"
    """Surely no copy, but alone."""
    UNSURE = "unsure"
    """A copy as far as is known, but no time tells, and it is part of a run: the venue may be asked."""
    ANEW = "anew"
    """With it the run is the truth."""


class Doubts:
    """The events of one topic that do not fit its position. ``newest`` is always the newest accepted event of this life, if there is one:
    it is known by its object, so that any accepted event ends a run.
    """

    __slots__ = ("_above", "_ahead", "_ahead_lasts", "_alone", "_before_ns", "_below", "_chained", "_expected", "_expected_of", "_first", "_glitches", "_last", "_pace", "_paced_from", "_paced_ns", "_reach", "_run", "_since_ns", "_unsure")  # fmt: skip

    def __init__(self, reach: Reach, *, chained: bool) -> None:
        self._reach = reach
        self._chained = chained
        self._ahead: Event | None = None
        """Far ahead of the topic."""
        self._ahead_lasts: deque[int] = deque(maxlen=KNOWN_GLITCHES)
        """The last ids of the newest events that were so far ahead: another line may bring them too, one after the other."""
        self._above: Event | None = None
        """The newest event when it came."""
        self._run: list[Event] = []
        self._first = self._last = 0
        """Where the run began, and how far it has come."""
        self._alone: Event | None = None
        """The one event of the run, if it is surely no copy."""
        self._unsure = self._expected = False
        self._below: Event | None = None
        """The newest event when the run began."""
        self._since_ns = self._before_ns = 0
        """When the run began, and a time of the venue before which the topic's position was made, if nothing better is known."""
        self._pace = self._paced_ns = self._paced_from = 0
        """The most ids that the run went on by in ``PACE_NS``; since when and from which id that is measured."""
        self._glitches: list[Event] = []
        self._expected_of: Event | None = None
        """The newest event when it was expected that the ids begin anew."""

    @property
    def pending(self) -> bool:
        """Whether an event is held that was told to be no copy."""
        return self._ahead is not None or self._alone is not None or self._unsure

    def has_run(self, newest: Event | None) -> bool:
        """Whether events behind the topic have come, and nothing ahead of it since."""
        return bool(self._run) and self._below is newest

    def doubted(self, newest: Event | None) -> Event | None:
        """The event behind the topic that the venue may be asked about, unless the topic has gone on since."""
        return None if self._below is not newest else self._run[0] if self._unsure else self._alone

    def confirmed(self, events: Iterable[Event], newest: Event | None, *, lower: bool) -> bool:
        """Whether the run is the truth, because the venue has these events. ``lower``: it has none as new as the topic's position."""
        doubted = self.doubted(newest)
        if doubted is None or not (lower or doubted is self._alone):
            return False
        return any(event.last_id == doubted.last_id and _same_time(event, doubted) for event in events)

    def ahead(self, event: Event, ids: Range, newest: Event | None) -> tuple[Event, ...]:
        """Take an event that is far ahead. Returns the events that are the truth, once two agree."""
        first, last = ids
        known = self._ahead if self._above is newest else None
        if any(first <= ahead_last <= last for ahead_last in self._ahead_lasts):
            return ()  # a copy of one that another line has brought, and which may be known as a glitch already
        if known is not None and self._agree(known, event, first - self._ahead_lasts[-1]):
            self._ahead = None
            self._ahead_lasts.clear()
            return known, event
        self._dismiss_ahead()
        self._ahead, self._above = event, newest
        self._ahead_lasts.append(last)
        return ()

    def behind(
        self, events: Sequence[Event], ids: Range, place: Behind, newest: Event | None, now_ns: int
    ) -> Judgement:
        """Take events that are behind and fill nothing: one, or, of what is not chained, several with rising ids, which are together
        what the last of them is. After ``ANEW`` the run is to be taken with ``pop_run``.
        """
        made, newest_ns = _made_ns(events[-1], newest)
        if _is_before(made, newest_ns, events[-1], newest):
            return Judgement.COPY
        if not self._extend(events, *ids, made, newest, now_ns):
            return Judgement.COPY
        after_ns = self._before_ns if newest_ns is None else newest_ns + STAMPS_APART_NS
        later = made is not None and made > after_ns
        if len(self._run) >= AGREE:
            untold = made is None or newest_ns is None
            if later or (untold and self._outlasts_lag(place, now_ns)):
                return Judgement.ANEW
            self._unsure = self._chained and untold and made is not None and now_ns - self._since_ns >= UNSURE_NS
            return Judgement.UNSURE if self._unsure else Judgement.COPY
        self._alone = self._run[0] if later else None
        return Judgement.DOUBTED if later else Judgement.COPY

    def expect(self, newest: Event | None) -> None:
        """Other ids of the same symbol have begun anew: these are likely to, unless the topic goes on."""
        self._expected, self._expected_of = True, newest

    def pop_run(self) -> tuple[int, list[Event]]:
        """The first id of the run, and its events; in a very long one the first of them are missing."""
        run, self._run, self._alone, self._unsure = self._run, [], None, False
        return self._first, run

    def dismissed(self, newest: Event | None) -> list[Event]:
        """Those that were held and that the topic has left behind: they were glitches."""
        if self._above is not newest:
            self._dismiss_ahead()
        if self._below is not newest:
            self._dismiss_run()
        glitches, self._glitches = self._glitches, []
        return glitches

    def _agree(self, one: Event, other: Event, distance: int) -> bool:
        """Whether two events far ahead can be neighbours: times go on as our clock does, wrong as it may be."""
        passed = passed_ns(other, one) if self._reach.times else 0
        return distance > 0 and abs(distance - passed) <= self._reach.ahead

    def _extend(
        self, events: Sequence[Event], first: int, last: int, made: int | None, newest: Event | None, now_ns: int
    ) -> bool:
        """Make the events part of the run, or the first of a new one; False if they are copies of those in the run."""
        if self._below is not newest or not self._run or first < self._first:
            follows = False
        elif first <= self._last:
            events = [event for event in events if event.first_id > self._last]
            if not events:
                return False
            follows = True
        else:
            follows = len(self._run) >= AGREE or first == self._last + 1 or not self._chained
        if not follows:
            self._dismiss_run()
            if self._below is not newest or not self._before_ns:
                # The position was made before this came: by our clock, and, if that is behind, by how old a line may bring it.
                self._before_ns = max(learned_ns(events[0]) + CLOCKS_APART_NS, 0 if made is None else made + LAG_NS)
            self._below, self._first, self._since_ns = newest, first, now_ns
            self._pace, self._paced_ns, self._paced_from = 1, now_ns, first
        elif now_ns - self._paced_ns > PACE_NS:
            self._paced_ns, self._paced_from = now_ns, self._last
        self._run += events
        self._last = last
        self._pace = max(self._pace, last - self._paced_from)
        if len(self._run) > MAX_RUN:
            del self._run[: MAX_RUN // 2]
        return True

    def _outlasts_lag(self, place: Behind, now_ns: int) -> bool:
        """Whether no line can be so late that the run is what was published before."""
        elapsed_ns = now_ns - self._since_ns
        if self._expected and self._expected_of is self._below and elapsed_ns >= EXPECTED_RUN_NS:
            return True
        if elapsed_ns < LONG_RUN_NS:
            return False
        if place.distance > self._reach.behind or (place.floor is not None and self._last < place.floor):
            return True
        if len(self._run) < LONG_RUN:
            return False
        # A young topic: how long the run needs, at its pace, to come up to the position.
        far = place.floor is None and place.distance > self._pace * LAG_NS // PACE_NS
        return far or elapsed_ns > LAG_NS

    def _dismiss_ahead(self) -> None:
        if self._ahead is not None:
            self._glitches.append(self._ahead)
            self._ahead = None

    def _dismiss_run(self) -> None:
        if self._alone is not None:
            self._glitches.append(self._alone)
            self._alone = None
        self._run, self._unsure = [], False
