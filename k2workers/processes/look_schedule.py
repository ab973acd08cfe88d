"""Owns when the whole market is looked at, so that every silence is judged in time and looks never cost more than a small share of the weight. Pure."""

from __future__ import annotations

from collections import deque

EVERY_NS = 6_000_000_000
"""The time between two looks while some topic is in question."""

AT_ONCE_NS = 3_000_000_000
"""The least time between two looks, however urgent."""

QUICK = 3
"""So many looks tell of a topic that has brought nothing: where the weight allows twice as many in a window, the first ones come as fast as they may."""

QUIET_MOST_NS = 60_000_000_000
"""The longest time between two looks at a market that is silent as a whole: it doubles from ``EVERY_NS``."""

FAILED_FIRST_NS, FAILED_MOST_NS = 5_000_000_000, 20_000_000_000
"""The pause after a look that failed; it doubles."""

SHARE, URGENT_SHARE = 0.2, 0.3
"""Of the weight that we allow ourselves in a window, looks use no more than this; urgent ones also what lies between."""

WINDOW_NS = 60_000_000_000


class LookSchedule:
    """Ask ``due``; tell of each look that begins (``asked``) and how it ended (``ended``). Times are monotonic."""

    def __init__(self) -> None:
        self._spent: deque[tuple[int, int]] = deque()
        """(when, weight) of the looks in the last window."""
        self._made, self._left_ns = 0, WINDOW_NS
        """How many they were when the last one began, that one too, and how long it was until the first of them would count no longer."""
        self._quiet_ns = EVERY_NS
        self._failures = 0
        self._not_before_ns = 0

    def due(self, *, at_once: bool, market_quiet: bool, weight: int, allowed: int, now_ns: int) -> bool:
        """Whether a look of this weight goes now, of ``allowed`` in a window. ``market_quiet``: nothing comes anywhere, and the venue has nothing."""
        while self._spent and now_ns - self._spent[0][0] >= WINDOW_NS:
            self._spent.popleft()
        if not market_quiet:
            self._quiet_ns = EVERY_NS
        return now_ns >= self.next_ns(at_once=at_once, weight=weight, allowed=allowed)

    def next_ns(self, *, at_once: bool, weight: int, allowed: int) -> int:
        """When the next look of this weight may go at the earliest."""
        if not self._spent:
            return self._not_before_ns
        # Spread evenly: a share used up in a few seconds would leave the next question without an answer.
        share = URGENT_SHARE if at_once else SHARE
        most = max(1, int(share * allowed) // weight)
        spread_ns = 0 if self._made < QUICK <= most // 2 else self._left_ns // max(1, most - self._made + 1)
        next_ns = self._spent[-1][0] + (max(AT_ONCE_NS, spread_ns) if at_once else self._quiet_ns)
        over = sum(spent for _, spent in self._spent) + weight - share * allowed
        for at_ns, spent in self._spent:
            if over <= 0:
                break
            over -= spent
            next_ns = max(next_ns, at_ns + WINDOW_NS)
        return max(self._not_before_ns, min(next_ns, self._spent[-1][0] + WINDOW_NS))

    def asked(self, *, market_quiet: bool, weight: int, now_ns: int) -> None:
        """A look begins."""
        self._spent.append((now_ns, weight))
        self._made, self._left_ns = len(self._spent), self._spent[0][0] + WINDOW_NS - now_ns
        if market_quiet:
            self._quiet_ns = min(QUIET_MOST_NS, 2 * self._quiet_ns)

    def ended(self, *, answered: bool, now_ns: int) -> float:
        """The look is over. How many seconds there will be none, if the venue did not answer."""
        self._failures = 0 if answered else self._failures + 1
        pause_ns = 0 if answered else min(FAILED_MOST_NS, FAILED_FIRST_NS * 2 ** min(self._failures - 1, 8))
        self._not_before_ns = now_ns + pause_ns
        return pause_ns / 1e9
