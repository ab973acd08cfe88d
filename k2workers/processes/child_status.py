"""Owns what each child tells the parent of itself, in every beat and at its end. A module of its own, so that children need not import what reads it.

/status shows all of it: see ``status``. Both sides are always of one version, so every field is there.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from k2workers.feed.silence import LookUrgency
from k2workers.feed.topic_watch import Unserved
from k2workers.supervision.control_messages import Beat

Told = TypeVar("Told", bound=msgspec.Struct)


def told(beat: Beat | None, shape: type[Told]) -> Told | None:
    """What a child of this kind told in this beat; None before its first."""
    return None if beat is None else msgspec.convert(beat.status, shape)


class WorkerCounters(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker counts and the parent adds up over all its lives: ``events_received`` and ``duplicates`` (copies dropped) are events, ``gaps`` announcements."""

    events_received: int = 0
    duplicates: int = 0
    gaps: int = 0


QUANTILES = (0.5, 0.99, 0.999)
"""Those that ``LatencyUs`` tells."""


class LatencyUs(msgspec.Struct, frozen=True):
    """A latency in µs, for so many of a hundred or a thousand: the upper bound of where it lies in the histogram, or the last bound (5 s), if it
    lies beyond; None if nothing was measured."""

    p50: float | None
    p99: float | None
    p999: float | None


class LineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The connection of one route of a shard: the rotation's state, whether one carries the feed, for how long, and the time to its next planned rotation (both 0 while none does)."""

    route: str
    state: str
    live: bool
    age_s: float
    next_rotation_s: float
    failure: str = ""
    """Why the newest attempt to make one failed; empty if it did not."""


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worker at this moment, over all routes of its venue. Ages are in seconds; ``rotations`` and ``reconnects`` are of this life; without a unit a number counts what its name says."""

    shard: int
    state: str
    """That of the rotation: live, warming, overlap, …; of several routes, of the one that is worst off."""
    live: bool
    """A connection carries the feed, on every route."""
    fresh: bool
    """Something was heard on it lately, on every route."""
    symbols: int
    connection_age_s: float
    """How long the oldest has carried the feed; 0 while none does."""
    next_rotation_s: float
    """The first that is due; 0 if it is, or a route has no connection."""
    rotations: int
    reconnects: int
    gaps_open: int
    """Gaps of symbols that trade, neither filled nor denied."""
    gaps_doubted: int
    """Gaps that the venue has denied once."""
    books: int
    """Topics that need a book."""
    books_missing: int
    """Those whose book has not come."""
    weight_wanted: int
    """REST weight that its repairs still need."""
    repairs_waiting: int
    """Holes that wait for a request."""
    clock_ahead_s: float
    """The venue's clock is at least so far ahead of ours."""
    kinds_unreadable: list[str]
    streams_silent: int
    streams_unproven: int
    streams_quiet: int
    streams_learned: int
    """Those whose usual silences are known."""
    data_expected: bool
    """The silence of a line would be noticed soon, on every route."""
    market_quiet: bool
    look_wanted: LookUrgency
    """How urgently it wants a look at the whole market: 0, 1 or 2."""
    streams: int
    streams_refused_count: int
    streams_refused: dict[str, str]
    """Some of their names, each with the venue's words."""
    streams_seen: int
    """Those that brought an event."""
    lines: list[LineStatus]
    """One for each route."""
    received: dict[str, int]
    """Events of this life, by kind."""
    latency_us: LatencyUs
    """From the venue's time of an event to our read of it, in the last ten seconds."""
    topics_unserved: dict[str, Unserved]
    """Some of them."""


class SubscriberBehind(msgspec.Struct, frozen=True):
    """A subscriber that does not take what it is owed: its address and port, and how much it is owed."""

    peer: str
    bytes: int


class ReaderTold(msgspec.Struct, frozen=True):
    """What a subscriber tells of itself: batches that ``waiting`` for its program, and those ``lost`` to it."""

    name: str
    waiting: int
    lost: int


class PeerCut(msgspec.Struct, frozen=True):
    """A connection that was ended: its address and port, which port of ours it was on, and why."""

    peer: str
    port: str
    cause: str


class Subscribers(msgspec.Struct, frozen=True, kw_only=True):
    """Who is connected to the feed: how many, which do not take what they are owed, what they tell of themselves, and how many were cut loose, which last."""

    connected: int
    behind: list[SubscriberBehind]
    readers: list[ReaderTold]
    cut: int
    newest_cuts: list[PeerCut]


class GapFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of what was missing, in all lives of the aggregator: gaps that were announced (``gaps``), given up (of these ``unproven``: their ids may never have existed), and open now; ids
    that came late, and that never existed; topics whose ids began anew; events that had been published before.
    """

    gaps: int
    gaps_open: int
    gaps_given_up: int
    unproven_gaps_given_up: int
    repaired_ids: int
    void_ids: int
    resets: int
    old_events: int


class AggregatorStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The aggregator at this moment; ``events_published`` is of all its lives."""

    events_published: int
    subscribers: Subscribers
    gaps: GapFigures
    missing: dict[str, int]
    """Topics with an open gap, with how many ids are missing: some of them."""
    topics: int
    """Those that were published so far."""
    ring_bytes: int
    """What is kept for subscribers that missed some."""
    latency_us: LatencyUs
    """From our read of a message to its publication, in the last ten seconds."""


class TopicContinuity(msgspec.Struct, frozen=True, kw_only=True):
    """A topic whose ids prove that nothing is missing: its first and last id, how many events, and ids that are still missing."""

    topic: str
    first_id: int | None
    last_id: int | None
    count: int
    missing: int
    guarantee: str


class Published(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the aggregator counted in all lives of the run, told at its end: events, gaps, or ids. ``latency_us`` is from the read of a message to its publication, in its last life."""

    events_published: int = 0
    gaps: int = 0
    gaps_given_up: int = 0
    unproven_gaps_given_up: int = 0
    repaired_ids: int = 0
    void_ids: int = 0
    resets: int = 0
    old_events: int = 0
    gaps_open: int = 0
    latency_us: LatencyUs | None = None
    continuity: list[TopicContinuity] = []


class BooksStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The books process at this moment: topics of book changes, and those of which it has a whole book."""

    books: int
    whole: int


class DiskRingStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The disk ring's process at this moment: how many ``bytes`` are on the disk, the age of the oldest batch, and since its start how many batches were
    written (``frames``), how many could not be had (``holes``), how often writing failed, and why it fails now.
    """

    bytes: int
    oldest_age_s: float
    frames: int
    holes: int
    write_failures: int
    error: str
