"""The venue of the model: it makes events, sends them down lines that fail, and answers over a REST that fails too."""

from __future__ import annotations

from collections import deque

from k2workers.errors import VenueError
from k2workers.events import BookSnapshot, BookTicker, DepthUpdate, Event, Kline, Trade
from k2workers.sequencing.backfill_planner import BackfillRequest
from k2workers.venues.venue import Fetched

FAR = 10**12
"""How far a glitch is from the truth."""

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
        self.numberings = [(self.made, self.voids)]
        """What was made and what never existed, each time the ids began anew."""

    def begin_anew(self) -> int:
        """The ids begin anew; the first new one."""
        self.head, self.newest = 0, 0
        self.made, self.voids = {}, set()
        self.numberings.append((self.made, self.voids))
        return 1

    def next(self, now_ns: int) -> Trade:
        """A new trade."""
        self.head = self.newest = self.head + 1
        trade = self.made[self.head] = Trade(
            self.head, f"{self.head}", f"{len(self.numberings)}", True, now_ns, now_ns, now_ns
        )
        return trade

    def glitch(self, now_ns: int) -> Trade:
        """A trade that never was."""
        number = self.head + FAR
        return Trade(number, "glitch", "1", True, now_ns, now_ns, now_ns)

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
        return Fetched(events, covered, full=begin is not None and len(rows) >= PAGE)


class Tickers:
    """The best prices of one symbol: ids rise and skip, the latest counts."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.newest = 100

    def next(self, now_ns: int) -> BookTicker:
        """A new state."""
        self.newest += 3
        return BookTicker(self.newest, "1", "1", "2", f"{self.newest}", now_ns)

    def glitch(self, now_ns: int) -> BookTicker:
        """A state that never was."""
        return BookTicker(self.newest + FAR, "glitch", "1", "2", "1", now_ns)


Book = tuple[dict[str, str], dict[str, str]]


class Books:
    """The book of one symbol, and its diffs of one to three ids each."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.newest = 100
        self.at: dict[int, Book] = {100: ({"1": "1"}, {"9": "1"})}
        """The whole book after each diff, by its last id."""
        self.made: dict[int, DepthUpdate] = {}

    def next(self, now_ns: int) -> DepthUpdate:
        """A new diff."""
        first, last = self.newest + 1, self.newest + 1 + self.newest % 3
        bids, asks = (dict(side) for side in self.at[self.newest])
        price, quantity = str(1 + last % 4), str(last % 5)
        if last % 5:
            bids[price] = quantity
        else:
            bids.pop(price, None)
        self.newest = last
        self.at[last] = bids, asks
        diff = self.made[last] = DepthUpdate(first, last, [(price, quantity)], [], now_ns, now_ns)
        return diff

    def glitch(self, now_ns: int) -> DepthUpdate:
        """A diff that never was."""
        return DepthUpdate(self.newest + FAR, self.newest + FAR, [("glitch", "1")], [], now_ns, now_ns)

    def book(self, seen_until_ns: int) -> BookSnapshot:
        """The book as REST sees it."""
        last = max((n for n, diff in self.made.items() if diff.venue_time_ns <= seen_until_ns), default=100)
        bids, asks = self.at[last]
        return BookSnapshot(last, list(bids.items()), list(asks.items()), seen_until_ns)


BAR_NS = 1_000_000_000


class Bars:
    """The bars of one symbol. Their time is their own: one goes on when the script says so."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.opens_ns = 500 * BAR_NS
        self.states = 0
        self.finals: dict[int, int] = {}
        """When each bar ended that is final, by its open time."""

    def next(self, now_ns: int, *, final: bool = False) -> Kline:
        """Another state of the newest bar, perhaps its last."""
        self.states += 1
        opens_ns = self.opens_ns
        if final:
            self.opens_ns += BAR_NS
            self.finals[opens_ns] = now_ns
        return self._bar(opens_ns, f"{self.states}" if not final else "final", final, now_ns + self.states)

    def glitch(self, now_ns: int) -> Kline:
        """A bar of a year to come."""
        return self._bar(self.opens_ns + 31_536_000 * BAR_NS, "glitch", False, now_ns)

    def fetch(self, request: BackfillRequest, seen_until_ns: int) -> Fetched:
        """As Binance answers: the bars that opened between, all final."""
        rows = [
            opens_ns
            for opens_ns, ended_ns in self.finals.items()
            if request.first_id <= opens_ns <= request.last_id and ended_ns <= seen_until_ns
        ][:PAGE]
        events: list[Event] = [self._bar(opens_ns, "final", True, opens_ns + BAR_NS - 1_000) for opens_ns in rows]
        return Fetched(events, (request.first_id, rows[-1] + BAR_NS - 1_000) if rows else None)

    @staticmethod
    def _bar(opens_ns: int, state: str, final: bool, at_ns: int) -> Kline:
        return Kline(
            opens_ns,
            opens_ns + BAR_NS - 1_000,
            "1",
            "1",
            "1",
            state,
            "1",
            "1",
            "1",
            "1",
            -1,
            -1,
            1,
            final,
            at_ns,
            at_ns,
        )


class ModelLine:
    """One connection of a worker: what was sent and has not been read."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent: deque[tuple[str, Event]] = deque()


class ModelVenue:
    """All symbols. ``failing`` REST answers with errors; one that is behind has not seen the newest events."""

    def __init__(self, topics: list[str]) -> None:
        self.sources: dict[str, Trades | Tickers | Books | Bars] = {
            topic: SOURCES[topic.split(".")[1]](topic) for topic in topics
        }
        self.failing = False
        self.behind_ns = 0
        """How old an event is before REST has seen it."""

    def answer(self, topic: str, request: BackfillRequest, now_ns: int) -> Fetched:
        """Raises VenueError."""
        source = self._asked(topic)
        assert isinstance(source, Trades | Bars)
        return source.fetch(request, now_ns - self.behind_ns)

    def book(self, topic: str, now_ns: int) -> BookSnapshot:
        """Raises VenueError."""
        source = self._asked(topic)
        assert isinstance(source, Books)
        return source.book(now_ns - self.behind_ns)

    def _asked(self, topic: str) -> Trades | Tickers | Books | Bars:
        if self.failing:
            raise VenueError("REST is out of order")
        return self.sources[topic]


SOURCES: dict[str, type[Trades | Tickers | Books | Bars]] = {
    "trade": Trades,
    "book_ticker": Tickers,
    "depth": Books,
    "kline_1s": Bars,
}
