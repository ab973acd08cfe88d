"""The venue of the model: it makes events, sends them down lines that fail, and answers over a REST that fails too."""

from __future__ import annotations

from collections import deque

from k2workers.errors import VenueError
from k2workers.events import Event, Trade
from k2workers.sequencing.backfill_planner import BackfillRequest
from k2workers.venues.venue import Fetched

PAGE = 7
"""Rows in one reply."""


class Trades:
    """The trades of one symbol: ids rise by one; some never existed."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.first = 101
        self.head = 100
        self.newest = 0
        """The id of the newest trade; ids above it never existed."""
        self.voids: set[int] = set()
        self.made: dict[int, Trade] = {}

    def next(self, now_ns: int) -> Trade:
        """A new trade."""
        self.head = self.newest = self.head + 1
        trade = self.made[self.head] = Trade(self.head, f"{self.head}", "1", True, now_ns, now_ns, now_ns)
        return trade

    def skip(self, count: int) -> None:
        """These ids will never exist."""
        self.voids.update(range(self.head + 1, self.head + 1 + count))
        self.head += count

    def fetch(self, request: BackfillRequest, seen_until_ns: int) -> Fetched:
        """As Binance answers: the newest rows at first, or rows from an id on; the database has seen what was made until then."""
        known = [number for number, trade in self.made.items() if trade.venue_time_ns <= seen_until_ns]
        if request.attempt == 0 and request.last_id - request.first_id < PAGE // 2:
            rows, begin = known[-PAGE:], None
        else:
            rows, begin = [number for number in known if number >= request.first_id][:PAGE], request.first_id
        covered = ((rows[0] if begin is None else begin), rows[-1]) if rows else None
        events: list[Event] = [self.made[n] for n in rows if request.first_id <= n <= request.last_id]
        return Fetched(events, covered)


class ModelLine:
    """One connection of a worker: what was sent and has not been read."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent: deque[tuple[str, Event]] = deque()


class ModelVenue:
    """All symbols. ``failing`` REST answers with errors; one that is ``late`` has not seen the newest ids."""

    def __init__(self, trade_topics: list[str]) -> None:
        self.trades = {topic: Trades(topic) for topic in trade_topics}
        self.failing = False
        self.behind_ns = 0
        """How old an event is before REST has seen it."""

    def answer(self, topic: str, request: BackfillRequest, now_ns: int) -> Fetched:
        """Raises VenueError."""
        if self.failing:
            raise VenueError("REST is out of order")
        return self.trades[topic].fetch(request, now_ns - self.behind_ns)
