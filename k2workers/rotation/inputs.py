"""Owns what the rotation machine is told: each type is an event of a connection, and holds what the table needs of it."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Grant(Protocol):
    """A permission of the parent; ``done`` gives it back."""

    def done(self) -> None:
        """The connection or rotation it was for is over."""


class Start(msgspec.Struct, frozen=True):
    """Begin."""


class Advanced(msgspec.Struct, frozen=True):
    """The attempt to open the line has advanced: it was permitted, or the venue answered a request on it. Its time limit begins anew."""

    line: int


class Opened(msgspec.Struct, frozen=True):
    """The line is connected and every subscription on it is acknowledged."""

    line: int


class Failed(msgspec.Struct, frozen=True):
    """The line could not be opened."""

    line: int


class Closed(msgspec.Struct, frozen=True):
    """The line is gone, or was given up because nothing comes on it. ``cause`` is a label value."""

    line: int
    cause: str


class Notice(msgspec.Struct, frozen=True):
    """The venue said on this line that it will end it soon."""

    line: int


class Wanted(msgspec.Struct, frozen=True):
    """Somebody wants a rotation now, whatever the schedule says; the parent is still to be asked."""

    reason: str


class Rotate(msgspec.Struct, frozen=True):
    """The parent permits the rotation. ``grant`` is to be given back (None: the parent did not answer, so we go ahead without one).

    ``duplicates`` and ``missing`` are the feed's counts so far: the record of the rotation holds how much they rose.
    """

    reason: str
    grant: Grant | None = None
    duplicates: int = 0
    missing: int = 0


class Tick(msgspec.Struct, frozen=True):
    """Time passed. ``withheld`` tells that the venue refuses the standby a stream which the primary brings."""

    withheld: bool = False


class Stop(msgspec.Struct, frozen=True):
    """End for good."""


Input = Start | Advanced | Opened | Failed | Closed | Notice | Wanted | Rotate | Tick | Stop
