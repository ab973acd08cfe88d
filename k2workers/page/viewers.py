"""Owns who looks at the live page: a bounded number, all of whom get what is made once a second, and only while somebody looks. Knows nothing of what is shown.

It is sent as server-sent events. Every part of it has a name, and goes to a viewer only when it is not what that viewer got last.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from k2workers.every import Every
from k2workers.metrics.http_answers import HttpAnswer, HttpQuestion, HttpStream, words

MAX_VIEWERS = 16

PERIOD_S = 1.0
"""How often it is made. What is no older is sent to whoever comes at once: nothing is made for one alone."""

IDLE_S = 5.0
"""If nothing was made for so long, something that says nothing is sent: whoever has gone is noticed."""

EVENTS = "text/event-stream"

NOT_KEPT = (("X-Accel-Buffering", "no"),)
"""For a proxy in between: pass on what comes at once."""


class Viewers:
    """``make`` is called on the loop in which ``start`` was called; ``answer`` on any thread. A viewer that is too slow is let go by who sends it the parts."""

    def __init__(self, make: Callable[[], Mapping[str, bytes]]) -> None:
        self._make = make
        self._changed = threading.Condition()
        self._parts: Mapping[str, bytes] = {}
        self._made = 0
        """How often it was made so far."""
        self._made_s = -math.inf
        """When it was made last."""
        self._count = 0
        self._closed = False
        # A page is not worth the feed: it is tried for ever.
        self._making = Every(PERIOD_S, self._turn, "page", give_up=None)
        self._soon: Callable[[], object] = lambda: None

    @property
    def count(self) -> int:
        """How many look."""
        return self._count

    def start(self, soon: Callable[[Callable[[], None]], object]) -> None:
        """Begin; ``soon`` has the loop call something, from any thread."""
        self._making.start(at_once=False)
        self._soon = lambda: soon(self._making.soon)

    def stop(self) -> None:
        """Let everybody go."""
        self._making.stop()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def answer(self, _asked: HttpQuestion) -> HttpAnswer | HttpStream:
        """A stream for one more viewer, if there is room."""
        with self._changed:
            if self._closed or self._count >= MAX_VIEWERS:
                return words(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"{self._count} others look at the live page; {MAX_VIEWERS} may"
                )
            self._count += 1
            is_new = time.monotonic() - self._made_s < PERIOD_S
            seen = self._made - is_new
        if not is_new:
            self._soon()
        return HttpStream(EVENTS, View(self, seen), NOT_KEPT)

    def _turn(self) -> None:
        if not self._count:
            return
        parts = self._make()
        with self._changed:
            self._parts = parts
            self._made, self._made_s = self._made + 1, time.monotonic()
            self._changed.notify_all()

    def next_parts(self, seen: int) -> tuple[int, Mapping[str, bytes]] | None:
        """What was made after the first ``seen`` times, and how often by now; nothing if nothing was for ``IDLE_S``; None when all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._made > seen, IDLE_S)
            if self._closed:
                return None
            return self._made, self._parts if self._made > seen else {}

    def left(self) -> None:
        """One has gone."""
        with self._changed:
            self._count -= 1


class View:
    """What one viewer is sent of what is made: not the first ``seen`` times."""

    def __init__(self, viewers: Viewers, seen: int) -> None:
        self._viewers = viewers
        self._seen = seen
        self._sent: dict[str, bytes] = {}
        self._open = True

    def __iter__(self) -> View:
        return self

    def __next__(self) -> bytes:
        found = self._viewers.next_parts(self._seen) if self._open else None
        if found is None:
            raise StopIteration
        self._seen, parts = found
        new = {name: part for name, part in parts.items() if self._sent.get(name) != part}
        self._sent.update(new)
        return b"".join(b"event: %b\ndata: %b\n\n" % (name.encode(), part) for name, part in new.items()) or b":\n\n"

    def close(self) -> None:
        """It has gone."""
        if self._open:
            self._open = False
            self._viewers.left()
