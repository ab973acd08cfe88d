"""Owns getting one line subscribed, and keeping it so: paced requests, acknowledgements, refusals, and a regular audit.

An acknowledgement proves nothing about data (the venue acknowledges unknown symbols and stays silent); it only
tells that the request was read.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from weakref import WeakKeyDictionary

import structlog

from k2workers.errors import VenueError, VenueRefused
from k2workers.feed.line import Line
from k2workers.venues.venue import Reply, Venue

AUDIT_NS = 60_000_000_000
"""How often the venue is asked which streams a connection has."""

FIRST_AUDIT_ID = 2**31
"""Above every id of a subscription's requests."""

_log = structlog.get_logger(__name__)


class Subscription:
    """One round of subscribing names on one line. Feed it every reply that arrives on that line.

    The venue refuses a request as a whole for one name that it does not take. Such a request is asked again in halves, until the
    names that it refuses stand alone; all others are subscribed.
    """

    def __init__(self, venue: Venue, names: Sequence[str], ids: Iterator[int], on_progress: Callable[[], None]) -> None:
        """``ids`` are request ids that no other request of the line has; ``on_progress`` is called for every reply."""
        self.accepted: set[str] = set()
        self.refused: dict[str, str] = {}
        """The names that the venue refuses, and its words."""
        self._venue = venue
        self._ids = ids
        self._on_progress = on_progress
        self._to_ask = deque(venue.subscribe_chunks(names))
        self._asked: dict[int, list[str]] = {}
        """Requests without a reply, oldest first."""
        self._news = asyncio.Event()

    async def establish(self, line: Line, reply_limit_s: float) -> None:
        """Ask until every name is subscribed or refused by itself.

        Raises VenueRefused with the venue's words if it takes none, VenueError if no reply comes for ``reply_limit_s``.
        """
        loop, may_send_s = asyncio.get_running_loop(), 0.0
        while self._to_ask or self._asked:
            if self._to_ask:
                await asyncio.sleep(may_send_s - loop.time())
                names, number = self._to_ask.popleft(), next(self._ids)
                self._asked[number] = names
                line.send(self._venue.subscribe_message(names, number))
                may_send_s = loop.time() + 1 / self._venue.limits.subscribe_rate
            else:
                await self._reply(reply_limit_s)
        if self.refused and not self.accepted:
            raise VenueRefused(f"subscription refused: {next(iter(self.refused.values()))}")

    async def _reply(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._news.wait()
        except TimeoutError:
            raise VenueError(f"no reply to a subscription within {limit_s:g} s") from None
        self._news.clear()

    def on_reply(self, reply: Reply) -> bool:
        """Take one control reply of the venue; False if it answers none of these requests."""
        number = reply.id
        if number is None and not reply.ok:
            # A refusal that names no request means the oldest: replies come in order.
            number = next(iter(self._asked), None)
        names = self._asked.pop(number, None) if number is not None else None
        if names is None:
            return False
        if reply.ok:
            self.accepted.update(names)
        elif len(names) > 1:
            middle = len(names) // 2
            self._to_ask += [names[:middle], names[middle:]]
        else:
            self.refused[names[0]] = f"{reply.code} {reply.message}"
        self._on_progress()
        self._news.set()
        return True


class Subscriptions:
    """The subscriptions under way on a shard's lines, one round a line at a time, and the names that the venue refuses."""

    def __init__(self, venue: Venue, reply_limit_s: float) -> None:
        self.refused: dict[str, str] = {}
        """The names that the venue refused last time, and its words."""
        self._venue = venue
        self._reply_limit_s = reply_limit_s
        self._ids = itertools.count(1)
        self._under_way: dict[int, Subscription] = {}
        self._turns: WeakKeyDictionary[Line, asyncio.Lock] = WeakKeyDictionary()

    async def establish(self, line: Line, names: Sequence[str], on_progress: Callable[[], None] = lambda: None) -> None:
        """Subscribe these streams on the line; what the venue refuses stands in ``refused``. Raises VenueError if it takes none."""
        # One round after the other: two at once would exceed the venue's message rate.
        async with self._turns.setdefault(line, asyncio.Lock()):
            subscription = self._under_way[line.number] = Subscription(self._venue, names, self._ids, on_progress)
            try:
                await subscription.establish(line, self._reply_limit_s)
            finally:
                del self._under_way[line.number]
                self._note(subscription)

    async def try_to(self, line: Line, names: Sequence[str]) -> None:
        """Subscribe these on a line that carries others already: a failure is logged."""
        try:
            await self.establish(line, names)
        except VenueError as error:
            _log.warning("subscription_failed", line=line.number, error=str(error))

    async def try_refused(self, line: Line) -> None:
        """Try one refused stream again, another one each time; if the venue takes it, all others too."""
        name, words = next(iter(self.refused.items()))
        del self.refused[name]
        self.refused[name] = words  # the last in the row now
        with contextlib.suppress(VenueError):
            await self.establish(line, [name])
        if name not in self.refused and self.refused:
            await self.try_to(line, list(self.refused))

    def not_refused(self, names: Sequence[str]) -> Sequence[str]:
        """The names that a new line subscribes first; all, if all were refused."""
        return [name for name in names if name not in self.refused] or names

    def _note(self, subscription: Subscription) -> None:
        for name in subscription.accepted & self.refused.keys():
            del self.refused[name]
        for name, words in subscription.refused.items():
            if name not in self.refused:
                _log.warning("stream_refused", stream=name, words=words)
            self.refused[name] = words

    def on_reply(self, line: int, reply: Reply) -> bool:
        """Take a control reply of the venue; False if it answers none of these."""
        subscription = self._under_way.get(line)
        return subscription is not None and subscription.on_reply(reply)


class Audit:
    """Asks the venue steadily which streams the primary has; an acknowledged subscription may be lost without a word."""

    def __init__(self, venue: Venue, names: Sequence[str]) -> None:
        self.lost = 0
        """Streams found missing so far."""
        self._venue = venue
        self._names = frozenset(names)
        self._due_ns = 0
        self._id = FIRST_AUDIT_ID

    def add(self, names: Sequence[str]) -> None:
        """The primary is to have these as well."""
        self._names = self._names.union(names)

    def renewed(self, now_ns: int) -> None:
        """Another line carries the feed, newly subscribed."""
        self._due_ns = now_ns + AUDIT_NS

    def look(self, line: Line, now_ns: int) -> None:
        """Ask if it is time to."""
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + AUDIT_NS
            self._id += 1
            line.send(self._venue.list_message(self._id))

    def on_reply(self, reply: Reply, refused: Iterable[str] = ()) -> list[str]:
        """The streams that are missing though the venue has not ``refused`` them, if this is the answer to our question; else nothing."""
        if reply.id != self._id or not isinstance(reply.result, list):
            return []
        missing = sorted(self._names.difference(reply.result, refused))
        self.lost += len(missing)
        return missing
