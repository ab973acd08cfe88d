"""Owns getting one line subscribed, and keeping it so: paced requests, acknowledgements, refusals, and a regular audit.

An acknowledgement proves nothing about data (the venue acknowledges unknown symbols and stays silent); it only
tells that the request was read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from k2workers.errors import VenueRefused
from k2workers.feed.line import Line
from k2workers.venues.venue import Reply, Venue

AUDIT_NS = 60_000_000_000
"""How often the venue is asked which streams a connection has."""

FIRST_AUDIT_ID = 1_000_000
"""Above every id of a subscription's requests."""


class Subscription:
    """The subscription of one line. Feed it every reply that arrives on that line."""

    def __init__(self, requests: Sequence[tuple[int, bytes]], spacing_s: float) -> None:
        """``requests`` are (request id, message); ``spacing_s`` keeps them under the venue's message rate."""
        self._requests = requests
        self._spacing_s = spacing_s
        self._waiting = {request_id for request_id, _ in requests}
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def establish(self, line: Line) -> None:
        """Send every request and wait for all replies. Raises VenueRefused with the venue's own words."""
        for number, (_, message) in enumerate(self._requests):
            if number:
                await asyncio.sleep(self._spacing_s)
            line.send(message)
        if self._waiting:
            await self._done

    def on_reply(self, reply: Reply) -> None:
        """Take one control reply of the venue."""
        if self._done.done():
            return
        if not reply.ok:
            self._done.set_exception(VenueRefused(f"subscription refused with code {reply.code}: {reply.message}"))
            return
        self._waiting.discard(reply.id)
        if not self._waiting:
            self._done.set_result(None)


class Subscriptions:
    """The subscriptions under way on a shard's lines."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._under_way: dict[int, Subscription] = {}

    async def establish(self, line: Line, names: Sequence[str]) -> None:
        """Subscribe these streams on the line. Raises VenueRefused with the venue's own words."""
        requests = self._venue.subscribe_messages(names, 1)
        subscription = Subscription(requests, 1 / self._venue.limits.subscribe_rate)
        self._under_way[line.number] = subscription
        try:
            await subscription.establish(line)
        finally:
            del self._under_way[line.number]

    def on_reply(self, line: int, reply: Reply) -> bool:
        """Take a control reply of the venue; False if it answers none of these."""
        subscription = self._under_way.get(line)
        if subscription is not None:
            subscription.on_reply(reply)
        return subscription is not None


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

    def on_reply(self, reply: Reply) -> list[str]:
        """The streams that are missing, if this is the answer to our question; else nothing."""
        if reply.id != self._id or not isinstance(reply.result, list):
            return []
        missing = sorted(self._names.difference(reply.result))
        self.lost += len(missing)
        return missing
