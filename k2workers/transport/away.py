"""Owns when a subscriber reads from the disk ring: at its start with a position or a time, and when the memory ring no longer has what it lacks.

Whether the feed keeps a disk ring it says itself, at the replay port. Meanwhile the subscriber hears nothing live but heartbeats: what is published then,
the memory ring and the disk ring have.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from k2workers.errors import ConfigError
from k2workers.transport.catch_up import CatchUp
from k2workers.transport.past_reassembly import PastReassembly
from k2workers.transport.position import Position
from k2workers.transport.sockets import Socket, connect

AGAIN_S = 0.4
PATIENCE_S = 2.0
"""So long after a first heartbeat the feed has to say whether it keeps a disk ring; then it has none."""

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Away:
    """``active`` while the subscriber is to hear nothing live; ``over`` when that is to end, with ``end``.

    ``endpoint`` is where the disk ring is asked; empty: nowhere. With ``since_ns``, or a ``reassembly`` that knows topics, what was published before is wanted
    before anything live.
    """

    def __init__(
        self,
        socket: Socket,
        endpoint: str,
        reassembly: PastReassembly,
        topics: Sequence[str],
        since_ns: int | None,
    ) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._reassembly = reassembly
        self._topics = topics
        self._since_ns = since_ns
        self._asking = bool(endpoint) and (since_ns is not None or bool(reassembly.sequences()))
        """Whether the feed is to say first whether it keeps a disk ring."""
        self._asked_s = self._heard_s = 0.0
        self._reading: CatchUp | None = None
        self._connected = False
        self._has_ring: tuple[int | None, bool] | None = None
        """In this life the feed keeps one, or none; None: nobody knows."""
        self._awaits_word = False
        """Whether it was asked, and has not answered."""
        self._read_through: dict[str, int] = {}
        """Where topics stood when the ring was read to its end: what they lack there it does not have."""

    @property
    def active(self) -> bool:
        """Whether nothing live is to be heard."""
        return self._asking or self._reading is not None

    @property
    def over(self) -> bool:
        """Whether what was published before has come."""
        return self._reading is not None and self._reading.over

    def hear(self, now_s: float) -> bool:
        """A heartbeat has come. Returns whether that means that what is to be heard is subscribed to: not while nobody knows whether that is anything live."""
        self._heard_s = self._heard_s or now_s
        return not self._asking

    def asks(self, now_s: float) -> bool:
        """Whether to ask the feed now if it keeps a disk ring."""
        if not self._asking:
            return False
        if self._heard_s and now_s - self._heard_s >= PATIENCE_S:
            self._asking = False
        due = not self._asked_s or (self._heard_s and now_s - self._asked_s >= AGAIN_S)
        if due:
            self._asked_s = now_s
        asks = bool(due) and self._asking
        self._awaits_word |= asks
        return asks

    def told(self, now_s: float, *, exists: bool | None) -> None:
        """The feed says whether it keeps one. None is an empty answer: of a feed that does not know the question, if it was asked; else of something else.

        Raises ConfigError if it keeps none and the program wants a time that has passed.
        """
        if exists is None and not self._awaits_word:
            return
        exists = bool(exists)
        self._has_ring, self._awaits_word = (self._reassembly.epoch, exists), False
        if self._asking:
            self._asking = False
            if exists:
                self._begin(now_s)
            elif self._since_ns is not None:
                raise ConfigError(
                    "since: this feed keeps no disk ring to begin from; allowed with the feed's setting disk_ring_gb above 0"
                )

    def lacks(self, topic: str, first: int) -> bool | None:
        """The memory ring begins with this sequence of a topic: whether to read the disk ring before anything is lost. None: the feed is to be asked if it keeps one."""
        stands = self._reassembly.stands_at(topic)
        if not self._endpoint or first - 1 <= stands or self._read_through.get(topic) == stands:
            return False
        if self._has_ring is None or self._has_ring[0] != self._reassembly.epoch:
            self._awaits_word = True
            return None
        return self._has_ring[1]

    def begin(self, now_s: float) -> None:
        """Read it."""
        self._since_ns = None
        self._begin(now_s)

    def tick(self, now_s: float) -> None:
        if self._reading is not None:
            self._reading.tick(now_s)

    def take(self, now_ns: int, *, room: bool) -> bool:
        """Read what has come; returns whether more may wait."""
        return self._reading is not None and self._reading.take(now_ns, room=room)

    def end(self, now_ns: int) -> None:
        """What comes from now on is live."""
        self._reading = None
        self._reassembly.end_past(now_ns)
        epoch = self._reassembly.epoch
        self._read_through = self._reassembly.sequences().get(epoch, {}) if epoch is not None else {}
        self._has_ring = epoch, True

    def _begin(self, now_s: float) -> None:
        if not self._connected:
            self._connected = True
            connect(self._socket, self._endpoint, setting="disk_ring_endpoint")
        self._reading = CatchUp(self._socket, self._reassembly, self._topics, self._since_ns)
        self._reading.begin(now_s)


def time_of(since: datetime | int | None, position: Position | None, endpoint: str) -> int | None:
    """A time in ns since 1970. Raises ConfigError for one that is none, or beside a position, or where no disk ring can be asked."""
    if since is not None and position is not None:
        raise ConfigError("since: a position says itself where to go on; allowed: one of them")
    if since is not None and not endpoint:
        raise ConfigError("since: nobody to ask; allowed with a disk_ring_endpoint, and recover = True")
    if isinstance(since, datetime):
        if since.tzinfo is None:
            raise ConfigError(f"since = {since!r}: allowed is a datetime with its time zone, or ns since 1970")
        return (since - _EPOCH) // timedelta(microseconds=1) * 1_000
    if since is not None and (isinstance(since, bool) or not 0 <= since < 2**63):
        raise ConfigError(f"since = {since!r}: allowed is a datetime with its time zone, or ns since 1970")
    return since
