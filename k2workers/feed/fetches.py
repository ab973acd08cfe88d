"""Owns how often the venue is asked for what topics lack, so that a whole class of them that is mute leaves the weight to others. Pure."""

from __future__ import annotations

BURST = 8
"""So many are asked for at once after a calm time."""

EVERY_NS = 2_000_000_000
"""Then one in this time, on all connections together."""

FIRST_PAUSE_NS, LONGEST_PAUSE_NS = 3_000_000_000, 600_000_000_000
"""Between two times that the same topic is asked for; it doubles until the topic brings something."""


class Fetches:
    """Tell it what is wanted, and ``take`` what may go. Topics are known by their index; times are monotonic."""

    def __init__(self, connections: int) -> None:
        self._every_ns = EVERY_NS * connections
        self._burst_ns = BURST * self._every_ns
        self._used_ns = 0
        """Until when the share is used: each one moves it on, and it is never further behind than the burst."""
        self._wanted: set[int] = set()
        self._asked: dict[int, tuple[int, int]] = {}
        """Of each topic that was asked for: (not before, the pause after the next time)."""

    def want(self, index: int) -> None:
        """What this topic lacks should be fetched."""
        self._wanted.add(index)

    def settled(self, index: int) -> None:
        """It lacks nothing any longer."""
        self._wanted.discard(index)
        self._asked.pop(index, None)

    def take(self, now_ns: int) -> list[int]:
        """Those that are to be asked for now: those that were asked for least often come first."""
        self._used_ns = max(self._used_ns, now_ns - self._burst_ns)
        most = (now_ns - self._used_ns) // self._every_ns
        due = [index for index in self._wanted if self._asked.get(index, (0, 0))[0] <= now_ns]
        taken = sorted(due, key=lambda index: (self._asked.get(index, (0, 0))[1], index))[:most]
        for index in taken:
            pause_ns = self._asked.get(index, (0, FIRST_PAUSE_NS))[1]
            self._asked[index] = now_ns + pause_ns, min(LONGEST_PAUSE_NS, 2 * pause_ns)
        self._wanted.difference_update(taken)
        self._used_ns += len(taken) * self._every_ns
        return sorted(taken)
