"""Stand-ins for what a test does not want to start, each behind a protocol of ours."""

from __future__ import annotations

import asyncio

from k2workers import venues
from k2workers.errors import VenueError
from k2workers.network.venue_answers import Answer
from k2workers.supervision.child import ChildSpec, ChildState
from k2workers.supervision.control_messages import AnyControlMessage, Beat
from k2workers.supervision.permissions import Allowance, Permissions


class OpenHanded:
    """Gives every permission to spend REST weight at once (``feed.backfiller.WeightGrants``); ``closed`` gives none.

    Requests of urgency ``waits_from`` and above wait until ``plenty`` is set.
    """

    def __init__(self) -> None:
        self.waits_from = 99
        self.plenty = asyncio.Event()
        self.waiting = self.withdrawn = 0
        self.asked: list[tuple[int, int]] = []
        self.refusals: list[float] = []
        self.closed = False

    async def ask_weight(self, weight: int, urgency: int) -> int | None:
        self.asked.append((weight, urgency))
        if urgency >= self.waits_from:
            self.waiting += 1
            try:
                await self.plenty.wait()
            except asyncio.CancelledError:
                self.withdrawn += 1
                raise
            finally:
                self.waiting -= 1
        return None if self.closed else len(self.asked)

    def weight_done(self, grant_id: int, used: int, answer: Answer | None) -> None:
        if answer is not None and answer.retry_after_s:
            self.refusals.append(answer.retry_after_s)


class Careless:
    """A supervisor of children that are never started: keeps what it is told (``supervision.supervisor.Supervisor``)."""

    def __init__(self) -> None:
        self.specs: dict[str, ChildSpec] = {}
        self.beats: dict[str, Beat] = {}
        self.sent: list[tuple[str, AnyControlMessage]] = []
        self.permissions = {venue: Permissions(Allowance(venue=venue), self.send) for venue in venues.NAMES}
        self.children: dict[str, ChildState] = {}
        self.stopping = False

    def states(self) -> dict[str, ChildState]:
        return dict(self.children)

    def counted(self, name: str) -> dict[str, int]:
        return self.beats[name].counters if name in self.beats else {}

    def pids(self) -> dict[str, int]:
        return dict.fromkeys(self.beats, 1)

    def beat(self, name: str) -> Beat | None:
        return self.beats.get(name)

    def send(self, name: str, message: AnyControlMessage) -> None:
        self.sent.append((name, message))

    def respec(self, spec: ChildSpec) -> None:
        self.specs[spec.name] = spec


class Permit:
    """A permission of ``Turns`` (``rotation.inputs.Grant``)."""

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose
        self.given_back = False

    def done(self) -> None:
        self.given_back = True


class Turns:
    """Lets everybody connect at once, and rotate once ``turn`` is set (``feed.rotation_permission.Grants``)."""

    def __init__(self) -> None:
        self.turn = asyncio.Event()
        self.asked: list[tuple[str, int]] = []
        """Purpose, and since when the feed is starved."""
        self.withdrawn: list[str] = []
        self.permits: list[Permit] = []
        self.answers: list[VenueError | None] = []
        """How the venue answered each handshake."""

    @property
    def purposes(self) -> list[str]:
        return [purpose for purpose, _ in self.asked]

    async def ask(self, purpose: str, starved_since_ns: int) -> Permit:
        self.asked.append((purpose, starved_since_ns))
        if purpose == "rotate":
            try:
                await self.turn.wait()
            except asyncio.CancelledError:
                self.withdrawn.append(purpose)
                raise
        self.permits.append(Permit(purpose))
        return self.permits[-1]

    def answered(self, error: VenueError | None) -> None:
        self.answers.append(error)


class TurnsAndWeight(Turns):
    """The same, and every permission to spend REST weight at once (``feed.shard.RoutePermissions``)."""

    async def ask_weight(self, weight: int, urgency: int) -> int | None:
        return 1

    def weight_done(self, grant_id: int, used: int, answer: Answer | None) -> None:
        pass
