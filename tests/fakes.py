"""Stand-ins for what a test does not want to start, each behind a protocol of ours."""

from __future__ import annotations

from k2workers.errors import VenueError
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.messages import Beat, Message
from k2workers.supervision.permissions import Permissions


class OpenHanded:
    """Gives every permission to spend REST weight at once (``feed.recovery.WeightGrants``); ``closed`` gives none."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.refusals: list[float] = []
        self.closed = False

    async def ask_weight(self, weight: int, urgency: int) -> int | None:
        self.asked.append((weight, urgency))
        return None if self.closed else len(self.asked)

    def weight_done(self, ask_id: int, used: int, error: VenueError | None) -> None:
        if error is not None and error.retry_after_s:
            self.refusals.append(error.retry_after_s)


class Careless:
    """A supervisor of children that are never started: keeps what it is told (``supervision.supervisor.Supervisor``)."""

    def __init__(self) -> None:
        self.specs: dict[str, ChildSpec] = {}
        self.beats: dict[str, Beat] = {}
        self.sent: list[tuple[str, Message]] = []
        self.permissions: Permissions | None = None

    def pids(self) -> dict[str, int]:
        return dict.fromkeys(self.beats, 1)

    def beat(self, name: str) -> Beat | None:
        return self.beats.get(name)

    def send(self, name: str, message: Message) -> None:
        self.sent.append((name, message))

    def respec(self, spec: ChildSpec) -> None:
        self.specs[spec.name] = spec
