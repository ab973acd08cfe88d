"""Owns the looks at the whole market of a venue: when some worker has topics in question, the venue is asked once for all, and each worker is told of its symbols."""

from __future__ import annotations

import functools
import time
from collections import Counter

import structlog

from k2workers.errors import VenueError
from k2workers.feed.silence import LookUrgency
from k2workers.processes.child_status import WorkerStatus, told
from k2workers.processes.look_schedule import LookSchedule
from k2workers.processes.market_plan import MarketPlan
from k2workers.processes.symbol_watch import SymbolWatch
from k2workers.supervision.control_messages import MarketSeen
from k2workers.supervision.supervisor import Supervisor
from k2workers.venues.market_evidence import MarketLook, SymbolSeen
from k2workers.venues.venue import TRADING, VANISHED

_log = structlog.get_logger(__name__)


class MarketWatch:
    """The looks at one venue of the run. Call ``turn`` steadily; a venue that does not answer is logged, and asked again ever later."""

    def __init__(self, plan: MarketPlan, supervisor: Supervisor, symbols: SymbolWatch) -> None:
        self.looks: Counter[str] = Counter(answered=0, failed=0)
        """Looks so far, by outcome."""
        self._plan = plan
        self._supervisor = supervisor
        self._permissions = supervisor.permissions[plan.name]
        self._symbols = symbols
        self._schedule = LookSchedule()

    async def turn(self) -> None:
        """Look, if a worker asks for it and it is time."""
        running = self._supervisor.pids()
        beats = [self._supervisor.beat(name) for name in self._symbols.of_workers if name in running]
        workers = [status for beat in beats if (status := told(beat, WorkerStatus)) is not None]
        asking = max((worker.look_wanted for worker in workers), default=LookUrgency.NO)
        market_quiet = all(worker.market_quiet for worker in workers)
        permissions, symbols = self._permissions, self._symbols.symbols
        listed = [symbol for symbol in symbols if self._symbols.status_of(symbol) != VANISHED]
        weight, now_ns = self._look.weight(listed), time.monotonic_ns()
        if asking is LookUrgency.NO or not self._schedule.due(
            at_once=asking is LookUrgency.AT_ONCE,
            market_quiet=market_quiet,
            weight=weight,
            allowed=permissions.weight.limit,
            now_ns=now_ns,
        ):
            return
        try:
            async with permissions.own_request(weight):
                asked_ns = time.monotonic_ns()
                self._schedule.asked(market_quiet=market_quiet, weight=weight, now_ns=asked_ns)
                seen = await self._look.look(listed, asked_ns)
        except VenueError as error:
            self.looks["failed"] += 1
            retry_in_s = self._schedule.ended(answered=False, now_ns=time.monotonic_ns())
            _log.warning("market_not_seen", exchange=self._plan.name, error=str(error), retry_in_s=retry_in_s)
            return
        self.looks["answered"] += 1
        self._schedule.ended(answered=True, now_ns=time.monotonic_ns())
        self._tell(
            asked_ns, seen, self._schedule.next_ns(at_once=True, weight=weight, allowed=permissions.weight.limit)
        )

    def _tell(self, asked_ns: int, seen: dict[str, SymbolSeen], next_ns: int) -> None:
        for name, symbols in self._symbols.of_workers.items():
            shown = {symbol: self._as_told(symbol, seen.get(symbol)) for symbol in symbols}
            told = {symbol: row for symbol, row in shown.items() if row is not None}
            self._supervisor.send(name, MarketSeen(asked_ns, told, next_ns))

    def _as_told(self, symbol: str, seen: SymbolSeen | None) -> tuple[int | None, str | None, bool] | None:
        status = self._symbols.status_of(symbol)
        if seen is None:
            return (None, None, False) if status != TRADING else None
        return seen.last_trade_id, seen.top, seen.trading and status == TRADING

    @functools.cached_property
    def _look(self) -> MarketLook:
        """Made for the first look: only then the plan knows where the venue is."""
        return self._plan.venue.market_look(self._plan.rest_url, self._plan.rest_context())
