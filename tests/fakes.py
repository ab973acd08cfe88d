"""Stand-ins for what a test does not want to start, each behind a protocol of ours."""

from __future__ import annotations


class OpenHanded:
    """Gives every leave to spend REST weight at once (``feed.recovery.WeightGrants``); ``closed`` gives none."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.refusals: list[float] = []
        self.closed = False

    async def ask_weight(self, weight: int, urgency: int) -> int | None:
        self.asked.append((weight, urgency))
        return None if self.closed else len(self.asked)

    def weight_done(self, ask_id: int, *, used: int = 0, retry_after_s: float = 0.0) -> None:
        if retry_after_s:
            self.refusals.append(retry_after_s)
