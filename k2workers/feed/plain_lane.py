"""Owns a route's native lane: what it is told of streams and topics, and what it tells back. Without the extension there is none.

The lane in C takes messages only while nothing but the next id decides. So every topic's place is in one of two hands: C advances it,
or, after ``settle``, the topic's ``Lane`` in Python holds it, and C asks for it with the next message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from k2workers import native, wire
from k2workers.events import ROW_OF, SCHEMA_OF, AggTrade, Event
from k2workers.feed.native_share import UNKNOWN_KIND, NativeShare
from k2workers.futures_events import FuturesAggTrade
from k2workers.sequencing.doubts import made_field, made_ns
from k2workers.sequencing.lane import Lane
from k2workers.venues.message_shape import NOTHING_WRITTEN, RECEIVED, MessageShape, Written
from k2workers.venues.venue import Topic

END, FRAME, ASK, SPAN = range(4)
"""Why the lane stopped (``lane.h``)."""

CHAIN, RISING = range(2)
"""How ids follow (``lane.h``)."""

DROP_OLDER, DROP_SAME = 1, 2
"""Which copies may be dropped natively (``lane.h``)."""

WHY = ("shape", "stream", "topic", "order")
"""Why a message was left to Python, in the order of ``lane.h``: it is written otherwise; it is of no stream with a shape; its topic has more
to judge than the next id; it is not the next."""

LINK_NONE = -2
"""Of a topic whose events need not join by their linked ids (``lane.h``)."""

_TRADES = "first_trade_id", "last_trade_id"
_LINKS: dict[type[Event], tuple[str, str]] = {AggTrade: _TRADES, FuturesAggTrade: _TRADES}
"""Fields of linked ids, beside an event's own: the first is not above the last, and those that follow each other join, but for ``_APART``."""

_APART = frozenset({FuturesAggTrade})


class FrameOutlet(Protocol):
    """Where bundles go that are encoded already (``transport.outbox.Outbox``)."""

    def next_head(self) -> bytes:
        """What the next bundle's frame begins with."""

    def push_frame(self, frame: bytes) -> wire.SendOutcome:
        """Take one bundle behind its head; must not block."""


class PlainLane:
    """The native lane of one route. ``follow`` what is written before each read, then ``take``; ``settle`` before anything else looks at a lane in Python."""

    def __init__(self, extension: Any) -> None:
        self._extension = extension
        self._written: Written = NOTHING_WRITTEN
        self._lane = extension.Lane(b"-")
        self.take: Callable[..., tuple[int, int, int, int, int, int, bytes | None]] = self._lane.take
        self._kinds: list[str] = [UNKNOWN_KIND]
        self._earlier: dict[tuple[str, str], int] = {}
        """Counts of lanes that were replaced."""
        self._types: dict[int, type[Event]] = {}
        """By topic index."""
        self._several_lines = False
        self.share = NativeShare(self.counts)

    def is_current(self, written: Written) -> bool:
        """Whether the lane follows this."""
        return self._written is written

    def follow(self, written: Written, topics: Sequence[Topic]) -> None:
        """Learn how messages are written. Only after ``settle``: the lane in C is replaced, and knows no place."""
        self._earlier = self.counts()
        self._written = written
        self._lane = lane = self._extension.Lane(written.prefix or b"-")
        lane.remember(self._several_lines)
        self.take = lane.take
        numbers: dict[int, int] = {}
        self._kinds = [UNKNOWN_KIND]
        for stream in written.streams:
            topic, shape = topics[stream.topic_index], stream.shape
            if id(shape) not in numbers:
                numbers[id(shape)] = lane.add_shape(shape.parts, tuple(shape.slots.values()), _meanings(shape))
            if topic.kind not in self._kinds:
                self._kinds.append(topic.kind)
            lane.add_stream(
                stream.name.encode(), stream.symbol.encode(), topic.topic.encode(), stream.topic_index,
                self._kinds.index(topic.kind), numbers[id(shape)], SCHEMA_OF[shape.event_type],
            )  # fmt: skip
            self._types[stream.topic_index] = shape.event_type

    def several_lines(self, several: bool) -> None:
        """Whether more than one line carries the streams: then what was taken may come again."""
        self._several_lines = several
        self._lane.remember(several)

    def place(self, topic_index: int, lane: Lane, continuity_number: int) -> None:
        """Tell where a topic stands; or that Python judges its messages, for now."""
        if not lane.only_next or lane.last_id is None or lane.last_id < 0:
            self._lane.block(topic_index)
            return
        newest = lane.newest
        made = -1 if newest is None or newest.last_id != lane.last_id else made_ns(newest)
        link = LINK_NONE if self._types.get(topic_index) in _APART else -1
        if link == -1 and type(newest) in _LINKS and newest is not None and newest.last_id == lane.last_id:
            link = getattr(newest, _LINKS[type(newest)][1])
        # What was accepted and lost behind us is wanted again: to a gap no event is a copy.
        whole = not lane.open and not lane.closed
        copies = DROP_OLDER * (lane.CHAINED and whole) | DROP_SAME * (whole and not lane.doubting)
        rule = CHAIN if lane.CHAINED else RISING
        self._lane.arm(topic_index, rule, lane.last_id, lane.REACH.ahead, made, link, continuity_number, copies)

    def settle(self, lanes: Sequence[Lane], heard_ns: list[int], *, keep: bool = False) -> None:
        """Give every topic's place back to its lane in Python; or only tell it, and ``keep`` it, if nobody changes the lanes."""
        for topic_index, *account in self._lane.settle(keep):
            self._give_back(lanes, heard_ns, topic_index, *account)

    def settle_one(self, topic_index: int, lanes: Sequence[Lane], heard_ns: list[int]) -> None:
        """The same for one topic."""
        account = self._lane.settle_one(topic_index)
        if account is not None:
            self._give_back(lanes, heard_ns, *account)

    def _give_back(
        self,
        lanes: Sequence[Lane],
        heard_ns: list[int],
        topic_index: int,
        last_id: int,
        passed: int,
        duplicates: int,
        heard: int,
        newest: bytes | None,
    ) -> None:
        lane = lanes[topic_index]
        heard_ns[topic_index] = heard
        lane.duplicates += duplicates
        if newest is not None:
            lane.went_on(last_id, wire.decode_event(self._types[topic_index], newest), passed)

    def touched(self) -> list[tuple[int, int, int]]:
        """Topics of the last read, with the first and last id that came, copies too."""
        return self._lane.touched()  # type: ignore[no-any-return]

    def counts(self) -> dict[tuple[str, str], int]:
        """Messages so far, by kind and by what became of them: "" for taken, else why they were left to Python."""
        found = dict(self._earlier)
        for number, kind in enumerate(self._kinds):
            for why, count in zip(("", *WHY), self._lane.counts(number), strict=True):
                found[kind, why] = found.get((kind, why), 0) + count
        return found


def plain_lane() -> PlainLane | None:
    """A native lane, if the extension is there."""
    return None if native.extension is None else PlainLane(native.extension)


def _meanings(shape: MessageShape) -> tuple[int, ...]:
    """The slots of first id, last id, time made, venue's time, and of what joins one event to the next; -1 for what the type does not have."""
    row = ROW_OF[shape.event_type]
    slots = shape.slots
    links = _LINKS.get(shape.event_type)
    return (
        slots[row.first],
        slots[row.last],
        slots.get(made_field(shape.event_type), RECEIVED),
        slots.get("venue_time_ns", RECEIVED) if row.timed else RECEIVED,
        slots[links[0]] if links else RECEIVED,
        slots[links[1]] if links else RECEIVED,
    )
