"""Owns what a refusal of the venue means for all of us: which of its services we leave alone, for how long, and how it is tried again. Pure.

A venue counts by address, which is our IP towards one of its services. So what one caller is told concerns every worker
and the parent: each permitted attempt reports its answer here, and both budgets (``connect_budget``, ``weight_budget``) ask here before they permit the next.
The venue's own table says which answer pauses which service.

A pause lasts as long as the venue says (also with a status that the table does not have), or as the table says if it names no time; it doubles while refusals follow each other without a good
answer between them. After a pause one attempt goes alone; the others follow when it has been answered well.
"""

from __future__ import annotations

import msgspec

from k2workers.network.venue_answers import Answer, Pause, Pauses, Service

SECOND_NS = 1_000_000_000

LONGEST_TOLD_S = 3 * 86_400
"""A longer pause is not believed: the longest bans that venues document are of some days."""

PROBE_LIMIT_NS = 30 * SECOND_NS
"""An attempt whose answer is not reported within this time no longer holds up the others."""


Key = tuple[str, int]
"""Who attempts, and its own number for it."""


class Refusal(msgspec.Struct, frozen=True):
    """A pause that an answer began: which services pause, for how long, and after how many refusals in a row."""

    services: frozenset[Service]
    status: int
    pause_ns: int
    in_a_row: int


class _Door:
    """The state of one service. ``probe`` is the single attempt that is permitted after a pause: (its key, when it was permitted)."""

    __slots__ = ("began_ns", "in_a_row", "probe", "refusals", "status", "testing", "until_ns")

    def __init__(self) -> None:
        self.until_ns = 0
        self.began_ns = -1
        self.in_a_row = 0
        self.refusals = 0
        self.status = 0
        self.testing = False
        self.probe: tuple[Key, int] | None = None

    def is_open(self, now_ns: int) -> bool:
        """Whether an attempt may be permitted now, as far as it decides."""
        if now_ns < self.until_ns:
            return False
        return not self.testing or self.probe is None or now_ns - self.probe[1] >= PROBE_LIMIT_NS


class Gate:
    """Ask ``open`` before each attempt and call ``permitted`` when it is permitted.

    Report every answer with ``answered``, and every attempt that ended without one with ``unused``. ``rest_with`` is the gate of those whose
    requests the venue counts together with ours: what it refuses to the address of one of us, it refuses to all. That it is ill is said of its own
    host alone.
    """

    def __init__(self, pauses: Pauses, rest_with: Gate | None = None) -> None:
        self._pauses = pauses
        self._of_host = {service: _Door() for service in Service}
        self._of_address = dict(self._of_host)
        """The same doors, but for one that others share."""
        if rest_with is not None:
            self._of_address[Service.REST] = rest_with._of_address[Service.REST]  # noqa: SLF001 - of its own kind

    def _doors(self, service: Service) -> tuple[_Door, ...]:
        """Those that must be open, each once."""
        host, address = self._of_host[service], self._of_address[service]
        return (host,) if host is address else (host, address)

    def open(self, service: Service, now_ns: int) -> bool:
        """Whether an attempt may be permitted now."""
        return all(door.is_open(now_ns) for door in self._doors(service))

    def permitted(self, service: Service, key: Key, now_ns: int) -> None:
        """An attempt was permitted."""
        for door in self._doors(service):
            door.probe = (key, now_ns)

    def unused(self, service: Service, key: Key) -> None:
        """The permission of this key was given back: if the others wait for its answer, the next may try."""
        for door in self._doors(service):
            if door.probe is not None and door.probe[0] == key:
                door.probe = None

    def release_child(self, name: str) -> None:
        """The child of this name is gone, and its attempts with it."""
        for service in Service:
            for door in self._doors(service):
                if door.probe is not None and door.probe[0][0] == name:
                    door.probe = None

    def answered(self, service: Service, answer: Answer, permitted_ns: int, now_ns: int) -> Refusal | None:
        """Learn from the answer to an attempt that was permitted then; the pause that it began, or None."""
        pause = self._pauses.get((service, answer.status))
        if pause is None and answer.retry_after_s and not _is_success(answer.status):
            # Whatever the status means: the venue has named a time.
            pause = Pause(frozenset({service}), answer.retry_after_s, answer.retry_after_s)
        refused_at = self._of_address if 400 <= answer.status < 500 else self._of_host
        door = refused_at[service]
        for other in self._doors(service):
            if pause is None or other is not door:
                self._not_refused(other, permitted_ns, good=_is_good(service, answer.status))
        if pause is None:
            return None
        before = door.in_a_row
        for paused in pause.services:
            self._refused(refused_at[paused], answer, pause, permitted_ns, now_ns)
        if door.in_a_row == before:
            return None
        return Refusal(pause.services, answer.status, max(0, door.until_ns - now_ns), door.in_a_row)

    def paused_ns(self, service: Service, now_ns: int) -> int:
        """How long the service is still paused; 0 if it is not."""
        return max(0, *(door.until_ns - now_ns for door in self._doors(service)))

    def status(self, service: Service) -> int:
        """The HTTP status of the last refusal; 0 if there was none, or a good answer since."""
        return next((door.status for door in self._doors(service) if door.status), 0)

    def refusals(self, service: Service) -> int:
        """Refusals of this service so far."""
        return sum(door.refusals for door in self._doors(service))

    @staticmethod
    def _not_refused(door: _Door, permitted_ns: int, *, good: bool) -> None:
        if permitted_ns < door.began_ns:
            return  # it went out before the refusal and tells nothing of what is now
        door.probe = None
        if good:
            door.testing, door.in_a_row, door.status = False, 0, 0

    @staticmethod
    def _refused(door: _Door, answer: Answer, pause: Pause, permitted_ns: int, now_ns: int) -> None:
        told_s = min(answer.retry_after_s, LONGEST_TOLD_S)
        door.refusals += 1
        if permitted_ns < door.began_ns:
            # Permitted before the pause began, as several at once are: the same refusal, not another one.
            door.until_ns = max(door.until_ns, now_ns + int(told_s * SECOND_NS))
            return
        # 64 doublings exceed any limit; bounding the exponent keeps the number small.
        grown_s = min(pause.longest_s, (told_s or pause.first_s) * 2 ** min(door.in_a_row, 64))
        door.in_a_row += 1
        door.until_ns = max(door.until_ns, now_ns + int(max(told_s, grown_s) * SECOND_NS))
        door.began_ns, door.status, door.testing, door.probe = now_ns, answer.status, True, None


def _is_success(status: int) -> bool:
    return status == 101 or 200 <= status < 300


def _is_good(service: Service, status: int) -> bool:
    """Whether the service let us in: a handshake that succeeded, a request that was answered or faulty by itself."""
    return status == 101 if service is Service.CONNECT else _is_success(status) or 400 <= status < 500
