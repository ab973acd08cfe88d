"""Stand-ins for what a test does not want to start, each behind a protocol of ours."""

from __future__ import annotations

from k2workers.errors import VenueError


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
