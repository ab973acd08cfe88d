"""Owns how many scheduled rotations were under way while another one was: by the schedule and the turns there are none. Pure."""

from __future__ import annotations

from collections import deque

from k2workers.rotation.policy import SCHEDULED
from k2workers.rotation.record import RotationRecord

REMEMBERED = 256
"""Rotations that a later one is compared with. One that took longer than so many others has shown itself already."""


class Overlaps:
    """Tell it of each rotation when it has ended."""

    def __init__(self) -> None:
        self.count = 0
        self._spans_ns: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)

    def ended(self, record: RotationRecord) -> None:
        """One after a notice of the venue, or because of a silent stream, waits for no turn: it is none of these."""
        if record.reason != SCHEDULED:
            return
        begun_ns, cut_ns = record.started_ns, record.cut_ns
        self.count += any(begun_ns < other_cut_ns and other_ns < cut_ns for other_ns, other_cut_ns in self._spans_ns)
        self._spans_ns.append((begun_ns, cut_ns))
