"""Owns the connection to a feed's HTTP port: the parts of its live stream, coming back by itself when it ends, and the search for topics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import quote, urlsplit

import httpcore
import msgspec

from k2workers.errors import K2Error
from k2workers.processes.topic_page import TopicsFound

AGAIN_S = 1.0
"""So long after it failed, or ended, it is tried again."""

DEAD_S = 10.0
"""A connection that says nothing for so long is given up: something comes every second."""

MOST_BYTES = 32 * 1024 * 1024
"""A part is not longer."""

_WAITS = {"timeout": {"connect": 3.0, "read": DEAD_S, "write": 3.0, "pool": 3.0}}
_EVENTS = b"text/event-stream"


class NotGiven(K2Error):
    """Why nothing comes from there, in words."""

    blame = "feed"
    retryable = True


def mistake_in(url: str) -> str:
    """What is wrong with the address of a feed, in words; empty if nothing is."""
    allowed = "allowed: http://HOST:PORT, as the feed says it at its start"
    try:
        parts = urlsplit(url)
        well = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is none
        well = False
    return "" if well and url.isascii() and url.isprintable() and " " not in url else allowed


class FeedStream:
    """``url`` says each time where the feed answers; ``hear`` is given each part by name, and raises NotGiven for one that it does not understand."""

    def __init__(self, url: Callable[[], str], hear: Callable[[str, bytes], object]) -> None:
        self._url = url
        self._hear = hear
        self.url = url()
        """Where it was asked last."""
        self.why = ""
        """Why nothing comes; empty while it does."""

    async def follow(self) -> None:
        """Hear it for ever."""
        while True:
            await self.once()
            await asyncio.sleep(AGAIN_S)

    async def once(self) -> None:
        """Hear it until it ends; ``why`` says then why it did."""
        self.url = self._url().rstrip("/")
        try:
            async with httpcore.AsyncConnectionPool() as pool:
                await self._read(pool)
            self.why = "it has ended"
        except NotGiven as reason:
            self.why = str(reason)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            self.why = _in_words(error)

    async def _read(self, pool: httpcore.AsyncConnectionPool) -> None:
        async with pool.stream("GET", f"{self.url}/events", extensions=_WAITS) as response:
            kind = {name.lower(): value for name, value in response.headers}.get(b"content-type", b"")
            if response.status != 200:
                raise NotGiven(_refusal(response.status, await response.aread()))
            if not kind.startswith(_EVENTS):
                raise NotGiven("somebody else answers there, not a feed of k2workers")
            rest = b""
            async for chunk in response.aiter_stream():
                *parts, rest = (rest + chunk).split(b"\n\n")
                if len(rest) > MOST_BYTES:
                    raise NotGiven("what it sends has no end")
                for part in parts:
                    self._take(part)

    def _take(self, part: bytes) -> None:
        fields = dict(line.split(b": ", 1) for line in part.split(b"\n") if b": " in line)
        if b"event" in fields:
            self._hear(fields[b"event"].decode(errors="replace"), fields.get(b"data", b""))
            self.why = ""

    async def topics(self, search: str, limit: int) -> TopicsFound:
        """The topics whose names hold these words. Raises NotGiven."""
        try:
            async with httpcore.AsyncConnectionPool() as pool:
                address = f"{self.url}/topics?search={quote(search)}&limit={limit}"
                response = await pool.request("GET", address, extensions=_WAITS)
            if response.status != 200:
                raise NotGiven(_refusal(response.status, response.content))
            return msgspec.json.decode(response.content, type=TopicsFound)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise NotGiven(_in_words(error)) from None
        except msgspec.MsgspecError as error:
            raise NotGiven(f"not understood: {error}") from None


def _refusal(status: int, body: bytes) -> str:
    said = body.decode(errors="replace").strip().partition("\n")[0][:120]
    return f"it answers {status}{f': {said}' if said and '<' not in said else ''}"


def _in_words(error: Exception) -> str:
    if isinstance(error, httpcore.ConnectError):
        return "nobody listens there" if "refused" in str(error) or "attempts failed" in str(error) else str(error)
    if isinstance(error, httpcore.TimeoutException):
        return "it says nothing"
    return "it has ended"
