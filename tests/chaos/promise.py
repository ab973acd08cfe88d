"""Owns what "ready" promises, and whether it was kept. Pure: told what the feed said, what was sent, and what a subscriber had by then.

While the feed says that it is ready, whatever was sent ``PATIENCE_S`` before has been delivered, announced as missing, or superseded by
something newer; and not being ready ends. Time in which only the venue's weight is waited for is shown, and is nobody's fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PATIENCE_S = 15.0
WEIGHT = "waiting_for_weight:"
NO_ANSWER = "no answer"
"""The reason of a feed that says nothing."""
EXAMPLES = 5

Head = tuple[int, int]
"""(how often the ids of the topic began anew, its newest id)"""


class Promise:
    """One feed's word against what came of it. ``sample`` about twice a second."""

    def __init__(self) -> None:
        self.samples = 0
        self.ready_samples = 0
        self.violations = 0
        """Samples at which the feed said "ready" and something was overdue."""
        self.unready_s = 0.0
        self.waiting_for_weight_s = 0.0
        self.examples: list[str] = []
        self.reasons: list[str] = []
        """What the feed said last; nothing if it was ready."""
        self._base: dict[str, Head] = {}
        self._last_s: float | None = None
        self._passed_s = 0.0

    def begin(self, sent: Mapping[str, Head]) -> None:
        """From here on: what was sent before is not judged."""
        self._base = dict(sent)

    def sample(
        self, now_s: float, reasons: Sequence[str], due: Mapping[str, Head], reached: Mapping[str, Head] | None
    ) -> None:
        """``reasons`` of not being ready, what was sent ``PATIENCE_S`` ago, and how far the subscriber is (None: it was away)."""
        passed_s = now_s - self._last_s if self._last_s is not None else 0.0
        self._last_s = now_s
        self._passed_s += passed_s
        self.samples += 1
        if self.reasons:
            # What was said last held until now.
            self.unready_s += passed_s
            self.waiting_for_weight_s += passed_s if waits_for_weight(self.reasons) else 0.0
        self.reasons = list(reasons)
        if reasons:
            return
        self.ready_samples += 1
        overdue = [] if reached is None else self._overdue(due, reached)
        if overdue:
            self.violations += 1
            if len(self.examples) < EXAMPLES:
                topic = overdue[0]
                self.examples.append(
                    f"{topic}: sent {due[topic]}, reached {reached.get(topic) if reached else None}"
                    f" ({len(overdue)} topics, after {self._passed_s:.1f} s)"
                )

    def _overdue(self, due: Mapping[str, Head], reached: Mapping[str, Head]) -> list[str]:
        return [
            topic
            for topic, head in due.items()
            if head > self._base.get(topic, (0, -1)) and head > reached.get(topic, (0, -1))
        ]

    def figures(self) -> dict[str, Any]:
        """For the report."""
        return {
            "samples": self.samples,
            "ready_samples": self.ready_samples,
            "violations": self.violations,
            "unready_s": round(self.unready_s, 1),
            "waiting_for_weight_s": round(self.waiting_for_weight_s, 1),
            "examples": self.examples,
            "unready_at_the_end": self.reasons,
        }

    def wrong(self) -> list[str]:
        """What was not kept, in words."""
        found = (
            [f"ready {self.violations} times while something was overdue: {self.examples[0]}"]
            if self.violations
            else []
        )
        if self.reasons and not waits_for_weight(self.reasons):
            found.append(f"not ready in the end: {'; '.join(self.reasons[:3])}")
        return found


def waits_for_weight(reasons: Sequence[str]) -> bool:
    """Whether the venue's weight is among what is waited for."""
    return any(reason.startswith(WEIGHT) for reason in reasons)
