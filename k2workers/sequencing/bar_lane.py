"""Owns the lane of klines of one interval: the latest state wins, and no final state is skipped. Pure.

A bar is known by its open time. The next bar may go on only after the final state of the bar before it; if that did not
come, the newer bar is held back for a bounded time while a backfill asks for it. Ranges of a bar lane are open times in ns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from k2workers.events import Backfilled, Event, Kline, Void, learned_ns
from k2workers.sequencing.coverage import NO_ID, PublishedPosition, close_ids
from k2workers.sequencing.doubts import TIMES, made_later, passed_ns
from k2workers.sequencing.holding_lane import HoldingLane
from k2workers.sequencing.lane import Verdict
from k2workers.sequencing.ranges import IdRanges, Range

MAX_HELD_BARS = 1_000
"""Different bars held back; beyond that the hole is announced at once."""


class BarLane(HoldingLane):
    """One kline topic."""

    __slots__ = ("_held", "_passed_over", "_reached_ns", "_traded")

    REACH = TIMES

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self._reached_ns: int | None = None
        """Every bar that opened before this is final, or announced as missing."""
        self._held: dict[int, Kline] = {}
        self._traded: int | None = None
        """The last trade of the newest state that tells of one."""
        self._passed_over: dict[int, int] = {}
        """How many trades the newest state had of each bar that was left without a final one, by open time."""

    @property
    def newest_trade_id(self) -> int | None:
        for opens_ns in sorted(self._held, reverse=True):
            if self._held[opens_ns].last_trade_id >= 0:
                return self._held[opens_ns].last_trade_id
        return self._traded

    def resume(self, published: PublishedPosition) -> None:
        super().resume(published)
        # If it is not known whether the last bar was final when it was published, it is asked for again.
        self._reached_ns = self.last_id if published.next_id == NO_ID else published.next_id

    @property
    def only_next(self) -> bool:
        return False  # a bar has many states

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        assert isinstance(event, Kline)
        reached_ns = self._reached_ns
        if self._far_ahead(event):
            return self._judge_ahead(event, self._times(event), now_ns, hold_ns)
        if reached_ns is None or event.open_time_ns == reached_ns:
            return self._continue(event)
        if event.open_time_ns < reached_ns:
            late = event.final and self._still_new(event) and not made_later(event, self.newest)
            if late and self.fill((event,), now_ns):
                return Verdict.ACCEPTED
            if self.last_id is not None and event.open_time_ns < self.last_id:
                distance = self.last_id - event.next_open_ns
                return self._judge_behind((event,), self._times(event), distance, now_ns, hold_ns)
            self.duplicates += 1
            return Verdict.DUPLICATE
        return self._hold(event, now_ns, hold_ns)

    @staticmethod
    def _times(bar: Kline) -> Range:
        """By these the states of bars follow each other."""
        return bar.venue_time_ns, bar.venue_time_ns

    def _far_ahead(self, bar: Kline) -> bool:
        """Whether any of its times is, as far as later bars depend on it."""
        newest_ns = max(bar.next_open_ns if bar.final else bar.open_time_ns, bar.venue_time_ns)
        expected_ns = max(self._reached_ns or 0, bar.received_ns)
        if isinstance(self.newest, Kline):
            expected_ns = max(expected_ns, self.newest.venue_time_ns + passed_ns(bar, self.newest))
        return newest_ns - expected_ns > self.REACH.ahead

    def _go_far(self, events: Sequence[Event], now_ns: int, hold_ns: int) -> None:
        if self._reached_ns is not None and events[0].first_id > self._reached_ns:
            self._pass_over()
            self._announce_far(self._reached_ns, events[0].first_id - 1, learned_ns(events[0]))
            self._reached_ns = events[0].first_id
        for event in events:
            assert isinstance(event, Kline)
            if event.open_time_ns == self._reached_ns or self._reached_ns is None:
                self._continue(event)
            else:
                self._hold(event, now_ns, hold_ns)

    def _go_on_with(self, first_id: int, run: Sequence[Event], now_ns: int, hold_ns: int) -> None:
        super()._go_on_with(run[0].first_id, run, now_ns, hold_ns)

    def begin_anew(self, first_new_id: int, at_ns: int) -> None:
        super().begin_anew(first_new_id, at_ns)
        self._reached_ns = first_new_id
        self._traded = None

    def wanted(self) -> list[Range]:
        ranges = list(self.open)
        if self._held:
            assert self._reached_ns is not None
            reached_ns = self._reached_ns
            for opens_ns in sorted(self._held):
                if opens_ns > reached_ns:
                    ranges.append((reached_ns, opens_ns - 1))
                bar = self._held[opens_ns]
                reached_ns = max(reached_ns, bar.next_open_ns if bar.final else bar.open_time_ns)
        return ranges

    def fill(self, events: Iterable[Event], now_ns: int) -> bool:
        before = len(self.ready)
        missing = IdRanges(self.wanted())
        for event in events:
            if isinstance(event, Void):
                for first_ns, last_ns in missing.within(event.first_id, event.last_id):
                    self._fill_void(Void(first_ns, last_ns, event.at_ns))
            elif isinstance(event, Kline) and (event.open_time_ns in missing or self._still_new(event)):
                self._fill_bar(event)
        return len(self.ready) > before

    def believes(self, event: Event) -> bool:
        """The venue's database may be behind its stream: a bar that it has with fewer trades is no final state."""
        if not isinstance(event, Kline):
            return True
        counts = [self._passed_over.get(event.open_time_ns, 0)]
        counts += [
            bar.trade_count
            for bar in (self.newest, self._held.get(event.open_time_ns))
            if isinstance(bar, Kline) and bar.open_time_ns == event.open_time_ns
        ]
        return event.trade_count >= max(counts)

    def _continue(self, bar: Kline) -> Verdict:
        """A new state of the newest bar, or the bar that follows it."""
        newest = self.newest
        same = isinstance(newest, Kline) and newest.open_time_ns == bar.open_time_ns
        if same and isinstance(newest, Kline) and not bar.final and bar.venue_time_ns <= newest.venue_time_ns:
            self.duplicates += 1
            return Verdict.DUPLICATE
        self._accept(bar)
        self._reached_ns = bar.next_open_ns if bar.final else bar.open_time_ns
        if self._held:
            self._release()
        return Verdict.ACCEPTED

    def _accept(self, bar: Kline) -> None:
        self.newest = bar
        self.last_id = bar.open_time_ns
        self.ready.append(bar)
        if bar.last_trade_id >= 0:  # one that was fetched does not tell
            self._traded = bar.last_trade_id

    def _hold(self, bar: Kline, now_ns: int, hold_ns: int) -> Verdict:
        known = self._held.get(bar.open_time_ns)
        if known is not None and (known.final or (not bar.final and bar.venue_time_ns <= known.venue_time_ns)):
            self.duplicates += 1
            return Verdict.DUPLICATE
        self._held[bar.open_time_ns] = bar
        if self._deadline_ns is None:
            self._deadline_ns = now_ns + hold_ns
        if hold_ns == 0 or len(self._held) > MAX_HELD_BARS:
            self._announce()
            return Verdict.ACCEPTED
        return Verdict.HELD

    def _release(self) -> None:
        while (bar := self._held.pop(self._reached_ns or 0, None)) is not None:
            self._accept(bar)
            if not bar.final:
                break
            self._reached_ns = bar.next_open_ns
        for opens_ns in [opens_ns for opens_ns in self._held if opens_ns < (self._reached_ns or 0)]:
            del self._held[opens_ns]
            self.duplicates += 1
        if not self._held:
            self._deadline_ns = None

    def _fill_bar(self, bar: Kline) -> None:
        if self._still_new(bar):
            self.open.remove(bar.open_time_ns, bar.next_open_ns - 1)
            self.closed.remove(bar.open_time_ns, bar.next_open_ns - 1)
            self.ready.append(Backfilled(bar))
            self.mixed = True
            self.repaired += 1
        elif bar.open_time_ns == self._reached_ns:
            self._continue(bar)

    def _fill_void(self, void: Void) -> None:
        was_open = self.open.remove(void.first_void_id, void.last_void_id)
        if not was_open and void.first_void_id != self._reached_ns:
            return
        self.ready.append(void)
        self.mixed = True
        self.voids += 1
        close_ids(self.closed, void.first_void_id, void.last_void_id)
        if not was_open:
            self._reached_ns = void.last_void_id + 1
            self._release()

    def _announce(self) -> None:
        while self._held:
            assert self._reached_ns is not None
            opens_ns = min(self._held)
            first = self._held[opens_ns]
            if opens_ns > self._reached_ns:
                self._pass_over()
                self._announce_gap(self._reached_ns, opens_ns - 1, first.received_ns)
                self._reached_ns = opens_ns
            self._release()
        self._deadline_ns = None

    def _counted(self, ids: int) -> int:
        """Bars: their ids are ns."""
        bar = self.newest if isinstance(self.newest, Kline) else next(iter(self._held.values()), None)
        return ids // (bar.next_open_ns - bar.open_time_ns) if bar is not None else min(1, ids)

    def _pass_over(self) -> None:
        """The newest bar is left without its final state."""
        newest = self.newest
        if isinstance(newest, Kline) and newest.open_time_ns == self._reached_ns:
            awaited = {opens_ns: count for opens_ns, count in self._passed_over.items() if opens_ns in self.open}
            self._passed_over = awaited | {newest.open_time_ns: newest.trade_count}
