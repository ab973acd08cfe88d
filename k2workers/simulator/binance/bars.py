"""Owns bars (klines) and rolling windows made from one symbol's trades. Pure; times are microseconds.

Trades feed the live one-second bar only; at each second's end it is folded into the longer intervals. That
keeps the cost of a trade the same whatever number of intervals exists.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections import deque
from collections.abc import Callable
from itertools import islice

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
UTC8 = 8 * HOUR
_WEEK_ANCHOR = 4 * DAY
"""1970-01-05 was a Monday, the day on which the venue's weeks start."""

INTERVALS: dict[str, int] = {
    "1s": SECOND,
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "2h": 2 * HOUR,
    "4h": 4 * HOUR,
    "6h": 6 * HOUR,
    "8h": 8 * HOUR,
    "12h": 12 * HOUR,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
    "1M": 0,
}
"""Interval → length; a month's length depends on the month."""

KEPT_US = 8 * DAY
MOST_BARS = 1000
"""What is kept of closed bars: the age that a window of 7 days needs, and the most that one REST reply holds."""

KEPT_MINUTES = 1500
"""Minutes add up to the rolling windows of a day."""


def _kept(interval: str) -> int:
    """How many closed bars of an interval are kept: bounded by age and by count, as consecutive bars are both at once."""
    most = MOST_BARS if interval != "1m" else KEPT_MINUTES
    return max(2, min(most, KEPT_US // (INTERVALS[interval] or 28 * DAY)))


class Bar:
    """One bar, or the sum of several. ``end_us`` is exclusive; ids are -1 while nothing was traded."""

    __slots__ = (
        "close", "count", "end_us", "first_id", "high", "last_id", "low", "open",
        "open_us", "quote", "taker_quote", "taker_volume", "volume",
    )  # fmt: skip

    def __init__(self, open_us: int, end_us: int, price: int) -> None:
        self.open_us = open_us
        self.end_us = end_us
        self.open = self.high = self.low = self.close = price
        self.volume = self.quote = self.taker_volume = self.taker_quote = 0
        self.first_id = self.last_id = -1
        self.count = 0

    def add(self, number: int, price: int, qty: int, quote: int, buyer_is_maker: bool) -> None:
        """Counts one trade."""
        if not self.count:
            self.open = self.high = self.low = price
            self.first_id = number
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.last_id = number
        self.count += 1
        self.volume += qty
        self.quote += quote
        if not buyer_is_maker:
            self.taker_volume += qty
            self.taker_quote += quote

    def fold(self, later: Bar) -> None:
        """Adds a bar that follows in time; an empty one changes nothing."""
        if not later.count:
            return
        if self.count:
            self.high = max(self.high, later.high)
            self.low = min(self.low, later.low)
        else:
            self.open, self.high, self.low = later.open, later.high, later.low
            self.first_id = later.first_id
        self.close = later.close
        self.last_id = later.last_id
        self.count += later.count
        self.volume += later.volume
        self.quote += later.quote
        self.taker_volume += later.taker_volume
        self.taker_quote += later.taker_quote


def bar_bounds(interval: str, at_us: int, offset_us: int = 0) -> tuple[int, int]:
    """(open, exclusive end) of the bar of ``interval`` that holds ``at_us``, boundaries shifted by the offset."""
    local = at_us + offset_us
    if interval == "1M":
        month = dt.datetime.fromtimestamp(local // SECOND, dt.UTC).replace(day=1, hour=0, minute=0, second=0)
        following = (month + dt.timedelta(days=32)).replace(day=1)
        return (
            int(month.timestamp()) * SECOND - offset_us,
            int(following.timestamp()) * SECOND - offset_us,
        )
    length = INTERVALS[interval]
    anchor = _WEEK_ANCHOR if interval == "1w" else 0
    start = (local - anchor) // length * length + anchor - offset_us
    return start, start + length


class Series:
    """The bars of one interval: the one in progress (without the live second) and a bounded past."""

    def __init__(self, interval: str, offset_us: int, at_us: int, price: int) -> None:
        self.interval = interval
        self.offset_us = offset_us
        self.closed: deque[Bar] = deque(maxlen=_kept(interval))
        self.current = Bar(*bar_bounds(interval, at_us, offset_us), price)

    def skip_to(self, start_us: int, price: int) -> None:
        """Ends the bars before the one that holds ``start_us``; of those that are all quiet, no more than are kept are made."""
        length = INTERVALS[self.interval] or 28 * DAY
        while self.current.end_us <= start_us:
            self.closed.append(self.current)
            kept_us = (self.closed.maxlen or 0) * length
            following = max(self.current.end_us, start_us - kept_us)
            self.current = Bar(*bar_bounds(self.interval, following, self.offset_us), price)


class Bars:
    """All intervals of one symbol. The caller adds trades in time order and closes each second when it ends."""

    def __init__(self, at_us: int, price: int) -> None:
        start = at_us // SECOND * SECOND
        self.live = Bar(start, start + SECOND, price)
        self.seconds = Series("1s", 0, start, price)
        self.series: dict[tuple[str, int], Series] = {}
        for interval in INTERVALS:
            if interval == "1s":
                continue
            plain = Series(interval, 0, start, price)
            self.series[interval, 0] = plain
            shifted = bar_bounds(interval, start, UTC8) != bar_bounds(interval, start, 0)
            self.series[interval, UTC8] = (
                Series(interval, UTC8, start, price)
                if shifted or interval in ("6h", "12h", "1d", "3d", "1w", "1M")
                else plain
            )
        self._distinct = list({id(s): s for s in self.series.values()}.values())
        self._windows: dict[int, tuple[int, Bar]] = {}

    def close_second(self, on_final: Callable[[Series, Bar], None]) -> None:
        """Ends the live second; ``on_final(series, bar)`` is called for every bar that is thereby complete."""
        second = self.live
        self.seconds.closed.append(second)
        on_final(self.seconds, second)
        for series in self._distinct:
            bar = series.current
            bar.fold(second)
            if second.end_us >= bar.end_us:
                series.closed.append(bar)
                on_final(series, bar)
                series.current = Bar(*bar_bounds(series.interval, second.end_us, series.offset_us), bar.close)
        self.live = Bar(second.end_us, second.end_us + SECOND, second.close)

    def skip_to(self, at_us: int) -> None:
        """Ends every second before the one that holds ``at_us``; what lies between was quiet, however long, and costs little."""
        if at_us < self.live.end_us:
            return
        self.close_second(lambda _series, _bar: None)
        start, price = at_us // SECOND * SECOND, self.live.close
        kept_us = (self.seconds.closed.maxlen or 0) * SECOND
        for open_us in range(max(self.live.open_us, start - kept_us), start, SECOND):
            self.seconds.closed.append(Bar(open_us, open_us + SECOND, price))
        for series in self._distinct:
            series.skip_to(start, price)
        self.live = Bar(start, start + SECOND, price)

    def view(self, interval: str, offset_us: int = 0) -> Bar:
        """The bar in progress as it stands now, live second included."""
        if interval == "1s":
            return self.live
        bar = copy.copy(self.series[interval, offset_us].current)
        bar.fold(self.live)
        return bar

    def rows(self, interval: str, offset_us: int = 0) -> list[Bar]:
        """Closed bars, oldest first, then the one in progress; the oldest of an unusual offset may be a part of its bar."""
        if interval == "1s" or (interval, offset_us) in self.series:
            series = self.seconds if interval == "1s" else self.series[interval, offset_us]
            return [*series.closed, self.view(interval, offset_us)]
        # Offsets that no stream has are added up from bars short enough to fit them.
        unit = "15m" if offset_us % INTERVALS["15m"] == 0 else "1m"
        if 0 < INTERVALS[interval] <= INTERVALS[unit]:
            return self.rows(interval)
        folded: list[Bar] = []
        for part in self.rows(unit):
            if not folded or part.open_us >= folded[-1].end_us:
                folded.append(Bar(*bar_bounds(interval, part.open_us, offset_us), part.open))
            folded[-1].fold(part)
        return folded

    def kept(self) -> int:
        """How many closed bars are in memory."""
        return len(self.seconds.closed) + sum(len(series.closed) for series in self._distinct)

    def window(self, minutes: int) -> Bar:
        """The sum of the last ``minutes`` minute bars, the one in progress included; of hours if that is over a day."""
        interval, parts = ("1m", minutes) if minutes <= 1440 else ("1h", minutes // 60)
        series = self.series[interval, 0]
        minute = self.series["1m", 0].current.open_us
        cached = self._windows.get(minutes)
        if cached is None or cached[0] != minute:
            total = Bar(minute - (minutes - 1) * MINUTE, minute, series.current.open)
            older = len(series.closed) - (parts - 1)
            for bar in islice(series.closed, max(0, older), None):
                total.fold(bar)
            cached = self._windows[minutes] = (minute, total)
        result = copy.copy(cached[1])
        result.fold(self.view(interval))
        return result
