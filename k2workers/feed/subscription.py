"""Owns getting one line subscribed: requests in paced order, acknowledgements, refusals.

An acknowledgement proves nothing about data (the venue acknowledges unknown symbols and stays silent); it only
tells that the request was read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from k2workers.errors import VenueRefused
from k2workers.feed.line import Line
from k2workers.venues.venue import Reply


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

    def abandon(self) -> None:
        """The line is gone: stop waiting."""
        self._done.cancel()
