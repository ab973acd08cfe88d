"""Owns the wait of one topic of a subscriber for a whole book: whether its events are held meanwhile, and when to ask. Pure.

A joiner, and a program that was told of a ``Lost``, has no book, and changes of a book are of no use to it: they are held until the book is
there, for a bounded time. Then they go on without one, and the book comes when it can be had, at its own place among them.
"""

from __future__ import annotations

ASK_NS = 400_000_000
"""While events are held, this long from one question to the next."""

ASK_SOON_NS = 100_000_000
"""The same after a book that was behind."""

ASK_SLOWLY_NS = 3_000_000_000
"""The same while they go on: there may be nobody to ask, or the book comes from the venue."""


class BookWait:
    """``holding``: events are held until ``deadline_ns``. ``bare``: some were given that no book was given for.

    A book that stands for what is held makes it needless, unless it is bare: who was given events without a book gets all of them.
    """

    __slots__ = ("ask_ns", "bare", "deadline_ns", "frame", "holding")

    def __init__(self, *, holding: bool) -> None:
        self.holding = holding
        self.bare = not holding
        self.deadline_ns: int | None = None
        """None until the clock is looked at."""
        self.ask_ns = 0
        self.frame: bytes | None = None
        """A book that is ahead of what was given: it follows the batch at its own place."""

    def hold(self, now_ns: int | None = None) -> None:
        """Hold what comes from now on (if it was not held already), and ask soon."""
        if not self.holding:
            self.holding, self.deadline_ns = True, None
        elif now_ns is not None:
            self.ask_ns = min(self.ask_ns, now_ns + ASK_SOON_NS)

    def look(self, now_ns: int, patience_ns: int) -> bool:
        """Begin to count the time, if it did not; whether what is held was held for long enough."""
        if self.deadline_ns is None:
            self.deadline_ns = now_ns + patience_ns
            self.ask_ns = now_ns if self.holding else now_ns + ASK_SLOWLY_NS
        return self.holding and now_ns >= self.deadline_ns

    def release(self, now_ns: int) -> None:
        """Hold nothing any longer."""
        self.holding, self.bare = False, True
        self.ask_ns = now_ns + ASK_SLOWLY_NS

    def asks(self, now_ns: int) -> bool:
        """Whether to ask for the book now; that counts as asked."""
        due = self.deadline_ns is not None and now_ns >= self.ask_ns
        if due:
            self.ask_ns = now_ns + (ASK_NS if self.holding else ASK_SLOWLY_NS)
        return due
