"""Owns getting one line subscribed, and keeping it so: requests, acknowledgements, refusals, and audits of what the venue has.

An acknowledgement proves nothing about data (the venue acknowledges unknown symbols and stays silent); it only
tells that the request was read.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from weakref import WeakKeyDictionary

import structlog

from k2workers.errors import VenueError, VenueRefused
from k2workers.feed.line import Line
from k2workers.venues.venue import Reply, Venue

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
        self._last_id = 0
        self._news = asyncio.Event()

    async def establish(self, line: Line, reply_limit_s: float) -> None:
        """Ask until every name is subscribed or refused by itself.

        Raises VenueRefused with the venue's words if it takes none, VenueError if nothing comes for ``reply_limit_s``.
        """
        while self._to_ask or self._asked:
            if self._to_ask:
                names, number = self._to_ask.popleft(), next(self._ids)
                self._asked[number], self._last_id = names, number
                await line.send(self._venue.subscribe_message(names, number))
            else:
                await self._reply(line, reply_limit_s)
        if self.refused and not self.accepted:
            raise VenueRefused(f"subscription refused: {next(iter(self.refused.values()))}")

    async def _reply(self, line: Line, limit_s: float) -> None:
        frames = line.frames_received
        try:
            async with asyncio.timeout(limit_s):
                await self._news.wait()
        except TimeoutError:
            if line.frames_received == frames:
                raise VenueError(f"no reply to a subscription within {limit_s:g} s") from None
            # Data come, which prove more than any acknowledgement; the next audit finds what is not subscribed.
            _log.warning("subscription_not_acknowledged", line=line.number, requests=len(self._asked))
            for names in self._asked.values():
                self.accepted.update(names)
            self._asked.clear()
        self._news.clear()

    def on_reply(self, reply: Reply) -> bool:
        """Take one control reply of the venue; False if it answers none of these requests."""
        number = reply.id
        if not reply.ok and (number is None or not 0 < number <= self._last_id):
            # A refusal that names none of our requests means the oldest: replies come in order.
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


class Audit:
    """One question to the venue which streams a line has: an acknowledged subscription may be lost without a word."""

    def __init__(self, venue: Venue, request_id: int) -> None:
        self._message = venue.list_message(request_id)
        self._id = request_id
        self._answer: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()

    async def ask(self, line: Line, reply_limit_s: float) -> Sequence[str]:
        """The names that the venue has for this line. Raises VenueError if it says none, or nothing for ``reply_limit_s``."""
        await line.send(self._message)
        try:
            async with asyncio.timeout(reply_limit_s):
                return await self._answer
        except TimeoutError:
            raise VenueError(f"no list of subscriptions within {reply_limit_s:g} s") from None

    def on_reply(self, reply: Reply) -> bool:
        """Take one control reply of the venue; False if it is not the answer."""
        if self._answer.done() or reply.id not in (self._id, None):
            return False
        if isinstance(reply.result, list):
            self._answer.set_result(reply.result)
        else:
            self._answer.set_exception(VenueRefused(f"no list of subscriptions: {reply.code} {reply.message}"))
        return True


class _Carried:
    """The streams that one line is to carry. ``turn`` is a lock: one question about them to the venue at a time."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.names: set[str] = set()
        self.taken: set[str] = set()
        """Those that the venue has taken on this line."""
        self.asking: Subscription | Audit | None = None
        self.auditing = False


class Subscriptions:
    """What is subscribed on each of a route's lines, and the names that the venue refuses."""

    def __init__(self, venue: Venue, reply_limit_s: float) -> None:
        self.refused: dict[str, str] = {}
        """The names that the venue refused last time, and its words."""
        self.lost = 0
        """Streams that audits found missing so far."""
        self._venue = venue
        self._reply_limit_s = reply_limit_s
        self._ids = itertools.count(1)
        self._carried: WeakKeyDictionary[Line, _Carried] = WeakKeyDictionary()

    async def begin(self, line: Line, names: Sequence[str], on_progress: Callable[[], None] = lambda: None) -> bool:
        """Subscribe a new line; names that were refused before are left for ``try_refused``, unless there are no others.

        Returns whether the venue accepted all; those that it refuses are in ``refused``. Raises VenueError if it accepts none.
        """
        self._of(line).names.update(names)
        not_refused = [name for name in names if name not in self.refused]
        return await self._establish(line, not_refused or names, on_progress)

    async def add(self, line: Line, names: Sequence[str]) -> bool:
        """Subscribe these on a line that carries others already; a failure is logged. Returns whether the venue accepted all."""
        try:
            return await self._establish(line, names)
        except VenueError as error:
            _log.warning("subscription_failed", line=line.number, error=str(error))
            return False

    async def try_refused(self, line: Line) -> None:
        """Try one refused stream again, a different one each time; if the venue accepts it, try all others too."""
        if not self.refused:
            return
        name, words = next(iter(self.refused.items()))
        del self.refused[name]
        self.refused[name] = words  # the last in the row now
        with contextlib.suppress(VenueError):
            await self._establish(line, [name])
        if name not in self.refused and self.refused:
            await self.add(line, list(self.refused))

    async def audit(self, line: Line) -> None:
        """Ask the venue what the line has, and subscribe what is missing; then try the refused ones, unless it has just refused some."""
        carried = self._of(line)
        if carried.auditing:
            return
        carried.auditing = True
        try:
            missing = await self._missing(line, carried)
            if not missing or await self.add(line, missing):
                await self.try_refused(line)
        except VenueError as error:
            _log.warning("audit_failed", line=line.number, error=str(error))
        finally:
            carried.auditing = False

    def withheld(self, standby: Line, primary: Line) -> set[str]:
        """The streams that the venue has accepted on the primary and not on the standby: they would end with the primary."""
        return self._of(primary).taken - self._of(standby).taken

    def on_reply(self, line: Line, reply: Reply) -> None:
        """Pass a control reply of the venue to whoever waits for it; one that nobody waits for is ignored."""
        asking = self._of(line).asking
        if asking is not None:
            asking.on_reply(reply)

    async def _missing(self, line: Line, carried: _Carried) -> list[str]:
        async with carried.turn:
            audit = carried.asking = Audit(self._venue, next(self._ids))
            wanted = frozenset(carried.names)
            try:
                found = await audit.ask(line, self._reply_limit_s)
            finally:
                carried.asking = None
        missing = sorted(wanted.difference(found, self.refused))
        if missing:
            self.lost += len(missing)
            _log.warning("subscriptions_lost", line=line.number, streams=missing[:10], count=len(missing))
        return missing

    async def _establish(
        self, line: Line, names: Sequence[str], on_progress: Callable[[], None] = lambda: None
    ) -> bool:
        """One round of requests. Returns whether the venue accepted all of them."""
        carried = self._of(line)
        async with carried.turn:
            carried.names.update(names)
            subscription = carried.asking = Subscription(self._venue, names, self._ids, on_progress)
            try:
                await subscription.establish(line, self._reply_limit_s)
            finally:
                carried.asking = None
                carried.taken |= subscription.accepted
                self._note(subscription)
        return not subscription.refused

    def _note(self, subscription: Subscription) -> None:
        for name in subscription.accepted & self.refused.keys():
            del self.refused[name]
        for name, words in subscription.refused.items():
            if name not in self.refused:
                _log.warning("stream_refused", stream=name, words=words)
            self.refused[name] = words

    def _of(self, line: Line) -> _Carried:
        return self._carried.setdefault(line, _Carried())
