"""Owns the types for a venue's HTTP answers that concern everybody behind our IP address: pauses and limits. Pure.

Each venue has a table of pauses (``venues.venue.Venue.pauses``); ``supervision.gate`` acts on it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from k2workers.errors import VenueError


class Service(enum.Enum):
    """The services of a venue whose limits are counted separately."""

    CONNECT = "connect"
    """WebSocket handshakes."""
    REST = "rest"


class Answer(msgspec.Struct, frozen=True):
    """How the venue answered one permitted attempt: HTTP ``status`` (0: not at all), how long it told us to wait (0: it did not say),
    the REST weight per minute that it named (0: none).
    """

    status: int = 0
    retry_after_s: float = 0.0
    weight_limit: int = 0

    @classmethod
    def of(cls, error: VenueError) -> Answer:
        """The answer that this error stands for."""
        return cls(error.status, error.retry_after_s, error.weight_limit)


SUCCESS = Answer(200)
"""Any answer to what was asked."""


class Pause(msgspec.Struct, frozen=True):
    """Which services pause after an answer; how long the first time, if the venue names no time; and the longest pause that repetition leads to."""

    services: frozenset[Service]
    first_s: float
    longest_s: float


Pauses = Mapping[tuple[Service, int], Pause]
"""(service asked, HTTP status) → who pauses. Other answers make nobody pause: each caller has a back-off of its own."""
