"""Owns putting faults into effect: what acts at once, later, again and again, on connections and on symbols."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import WSCloseCode

from k2workers.every import Every
from k2workers.simulator import faults
from k2workers.simulator.fault_set import FaultSet
from k2workers.simulator.stand_in import TradedSymbol
from k2workers.simulator.ws import Connection

MOST_WINDOWS = 100
"""How far back a fault can ask for a snapshot; every window is a copy of every book."""


class Injection:
    """The faults of one exchange at work on its symbols and its connections."""

    def __init__(
        self, faults: FaultSet, symbols: Mapping[str, TradedSymbol], connections: Mapping[Connection, None]
    ) -> None:
        self._faults = faults
        self._symbols = symbols
        self._connections = connections

    def inject(self, fault: faults.Fault) -> faults.Fault:
        """Puts a fault into effect, or on its way if it begins later."""
        self._faults.add(fault, time.monotonic())
        if fault.kind.startswith("snapshot_"):
            for market in self._symbols.values():
                market.keep_books(min(MOST_WINDOWS, max(1, int(fault.values.get("windows", 1)))))
        if fault.scope == faults.STATE:
            starts_s, lasts_s = fault.values["after_s"], fault.values["for_s"]
            self._set_states()
            for delay_s in (starts_s, starts_s + lasts_s):
                # A timer may fire a moment early.
                asyncio.get_running_loop().call_later(delay_s + 0.02, self._set_states)
        if fault.scope in (faults.ACTING, faults.MARKET):
            if fault.values["after_s"]:
                asyncio.get_running_loop().call_later(fault.values["after_s"], self._begin, fault)
            else:
                self._begin(fault)
        return fault

    def clear(self) -> None:
        """Ends all faults."""
        self._faults.clear()
        self._set_states()
        for market in self._symbols.values():
            market.keep_books(0)

    def _set_states(self) -> None:
        """Gives every symbol the state that the faults in effect say."""
        states: dict[str, tuple[str | None, bool]] = dict.fromkeys(self._symbols, (None, True))
        now_s = time.monotonic()
        for fault in self._faults.states:
            symbol = fault.values["symbol"] or next(iter(states))
            if fault.active(now_s) and symbol in states:
                status, listed = states[symbol]
                states[symbol] = fault.values.get("status", status), listed and fault.kind != "delist"
                fault.acted = 1
        for symbol, (status, listed) in states.items():
            self._symbols[symbol].be(status, listed=listed)

    def _begin(self, fault: faults.Fault) -> None:
        if not fault.values["every_s"]:
            self._act(fault)
            return

        def turn() -> None:
            if fault in self._faults and time.monotonic() < fault.stops_s:
                self._act(fault)
            else:
                acting.stop()

        acting = Every(fault.values["every_s"], turn, f"fault {fault.kind}")
        acting.start()

    def _act(self, fault: faults.Fault) -> None:
        if fault not in self._faults:
            return  # cleared meanwhile
        values = fault.values
        if fault.scope == faults.MARKET:
            chosen = list(self._symbols) if values["symbol"] == "*" else [values["symbol"] or next(iter(self._symbols))]
            for market in [self._symbols[symbol] for symbol in chosen if symbol in self._symbols]:
                if fault.kind == "new_ids":
                    market.renumber(values["first"])
                elif fault.kind == "walk":
                    market.walk(values["levels"])
                else:
                    market.skip_ids(values["ids"])
                fault.acted += 1
        else:
            carrying = [c for c in self._connections if not values["stream"] or any(map(fault.hits_stream, c.names))]
            for connection in carrying[: values["connections"] or None]:
                ACTS[fault.kind](connection, values)
                fault.acted += 1


ACTS: dict[str, Callable[[Connection, Mapping[str, Any]], None]] = {
    "reset": lambda connection, _: connection.drop(),
    "silence": lambda connection, values: connection.silence(values["for_s"]),
    "close": lambda connection, values: (
        connection.drop()
        if values["code"] == WSCloseCode.ABNORMAL_CLOSURE
        else connection.close(values["code"], "Injected fault")
    ),
    "age": lambda connection, _: connection.age_out(),
    "forget": lambda connection, values: connection.unsubscribe(
        [name for name in connection.names if name.endswith(values["stream"])]
    ),
    "shutdown": lambda connection, values: connection.shut_down(values["lead_s"]),
}
"""What faults on connections do."""
