"""Owns what a refusal of the venue means for all: which of its services rests, for how long, and how it is tried again. Pure.

The venue counts by address, which is our IP towards one of its services. So what one caller is told concerns every worker
and the parent: each permitted attempt reports its answer here, and both budgets (``budget``, ``weight``) ask here before they permit the next.
``PAUSES`` says which answer makes whom rest.

A pause lasts as long as the venue says, or as the table says if it names no time; it doubles while refusals follow each other without a good
answer between them. After a pause one attempt goes alone; the others follow when it has been answered well.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

S = 1_000_000_000

LONGEST_GROWN_NS = 900 * S
"""How far a pause grows by itself: a venue that let us in again would be noticed a quarter of an hour later at most."""

LONGEST_TOLD_NS = 3 * 86_400 * S
"""A longer pause is not believed: the venue documents bans of up to three days."""

PROBE_LIMIT_NS = 30 * S
"""An attempt that nobody reported back after this long no longer holds up the others."""


class Service(enum.Enum):
    """What the venue counts apart."""

    CONNECT = "connect"
    """WebSocket handshakes."""
    REST = "rest"


class Pause(msgspec.Struct, frozen=True):
    """Who rests after an answer, and for how long the first time if the venue names no time."""

    services: frozenset[Service]
    first_ns: int


_CONNECT, _REST = frozenset({Service.CONNECT}), frozenset({Service.REST})

PAUSES: Mapping[tuple[Service, int], Pause] = {
    # The minute's weight is used up. Handshakes are counted apart: a lost line must come back.
    (Service.REST, 429): Pause(_REST, 10 * S),
    # A ban for having gone on after 429; the shortest is two minutes. It is of the REST interface, not of the streams.
    (Service.REST, 418): Pause(_REST, 120 * S),
    # The firewall in front of the REST interface.
    (Service.REST, 403): Pause(_REST, 10 * S),
    # Not served from where we are: no sooner than somebody changes the address.
    (Service.REST, 451): Pause(_REST, 60 * S),
    # The service is ill; whoever repeats himself at once makes it worse.
    (Service.REST, 500): Pause(_REST, S),
    (Service.REST, 502): Pause(_REST, S),
    (Service.REST, 503): Pause(_REST, S),
    (Service.REST, 504): Pause(_REST, S),
    # Too many attempts in the window, by us or by others on this IP.
    (Service.CONNECT, 429): Pause(_CONNECT, 30 * S),
    # The firewall in front of the streams.
    (Service.CONNECT, 403): Pause(_CONNECT, 10 * S),
    (Service.CONNECT, 451): Pause(_CONNECT, 60 * S),
    # The IP itself is banned; requests would lengthen the ban.
    (Service.CONNECT, 418): Pause(_CONNECT | _REST, 120 * S),
}
"""(service asked, HTTP status) → who pauses. Other answers make nobody pause; each caller has a back-off of its own."""


class Answer(msgspec.Struct, frozen=True):
    """How one permitted attempt ended: ``status`` of HTTP (101 and 200 are good, 0 if there was no answer).

    ``retry_after_ns`` is how long the venue told us to wait, 0 if it did not say. ``permitted_ns`` is when the attempt was permitted (monotonic).
    """

    service: Service
    status: int
    permitted_ns: int
    retry_after_ns: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """A pause that an answer began: who rests, for how long, and how many refusals there were in a row."""

    services: frozenset[Service]
    status: int
    pause_ns: int
    in_a_row: int


class _Door:
    """Where one service stands."""

    __slots__ = ("began_ns", "in_a_row", "probe_ns", "refusals", "status", "testing", "until_ns")

    def __init__(self) -> None:
        self.until_ns = 0
        self.began_ns = -1
        self.in_a_row = 0
        self.refusals = 0
        self.status = 0
        self.testing = False
        self.probe_ns: int | None = None


class Gate:
    """Ask ``open`` before each attempt, say ``went`` when it is permitted, report every answer with ``answered``."""

    def __init__(self) -> None:
        self._doors = {service: _Door() for service in Service}

    def open(self, service: Service, now_ns: int) -> bool:
        """Whether an attempt may go now."""
        door = self._doors[service]
        if now_ns < door.until_ns:
            return False
        return not door.testing or door.probe_ns is None or now_ns - door.probe_ns >= PROBE_LIMIT_NS

    def went(self, service: Service, now_ns: int) -> None:
        """An attempt was permitted."""
        self._doors[service].probe_ns = now_ns

    def answered(self, answer: Answer, now_ns: int) -> Refusal | None:
        """Learn from an answer; the pause that it began, or None."""
        door, pause = self._doors[answer.service], PAUSES.get((answer.service, answer.status))
        if pause is None:
            self._not_refused(door, answer)
            return None
        before = door.in_a_row
        told_ns = min(answer.retry_after_ns, LONGEST_TOLD_NS)
        for service in pause.services:
            self._refused(self._doors[service], answer, told_ns, pause.first_ns, now_ns)
        if door.in_a_row == before:
            return None
        return Refusal(pause.services, answer.status, max(0, door.until_ns - now_ns), door.in_a_row)

    def paused_ns(self, service: Service, now_ns: int) -> int:
        """How long the service still rests; 0 if it does not."""
        return max(0, self._doors[service].until_ns - now_ns)

    def status(self, service: Service) -> int:
        """The HTTP status of the last refusal; 0 if there was none, or a good answer since."""
        return self._doors[service].status

    def refusals(self, service: Service) -> int:
        """How often this service has refused us so far."""
        return self._doors[service].refusals

    @staticmethod
    def _not_refused(door: _Door, answer: Answer) -> None:
        if answer.permitted_ns < door.began_ns:
            return  # it went out before the refusal and tells nothing of what is now
        door.probe_ns = None
        if answer.status:
            door.testing, door.in_a_row, door.status = False, 0, 0

    @staticmethod
    def _refused(door: _Door, answer: Answer, told_ns: int, first_ns: int, now_ns: int) -> None:
        door.refusals += 1
        if answer.permitted_ns < door.began_ns:
            # Permitted before the pause began, as several at once are: the same refusal, not another one.
            door.until_ns = max(door.until_ns, now_ns + told_ns)
            return
        # 64 doublings exceed any limit; bounding the exponent keeps the integer small.
        grown_ns = min(LONGEST_GROWN_NS, (told_ns or first_ns) << min(door.in_a_row, 64))
        door.in_a_row += 1
        door.until_ns = max(door.until_ns, now_ns + max(told_ns, grown_ns))
        door.began_ns, door.status, door.testing, door.probe_ns = now_ns, answer.status, True, None
