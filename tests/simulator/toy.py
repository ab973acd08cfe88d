"""Owns a venue that speaks like no other: with it is tried what the exchange does for any stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiohttp import web

from k2workers.simulator.fault_set import FaultSet
from k2workers.simulator.simulator_settings import StandInSettings
from k2workers.simulator.stand_in import Answered, Client, Emission, Spoil

TICKS = "ticks of one"


class ToyMarket:
    """Counts: each look is an event of the only stream. Its own symbol as well: it remembers what it was told to be."""

    recorded, finished, unpaced, running, halted, pushes_on_s = False, False, False, True, False, 0.0
    left_out: Mapping[str, int] = {}

    def __init__(self) -> None:
        self.symbols = {"one": self}
        self.number = 0
        self.states: list[tuple[str | None, bool]] = []

    def be(self, status: str | None, *, listed: bool) -> None:
        self.states.append((status, listed))

    def keep_books(self, windows: int) -> None: ...

    def skip_ids(self, count: int) -> None:
        self.number += count

    def walk(self, levels: int) -> None: ...

    def renumber(self, first: int) -> None:
        self.number = first - 1

    def log_books(self, lines: list[str]) -> None:
        lines.append("one 1\n")

    def subscribed(self, now_ns: int) -> None: ...

    def advance(self, now_ns: int) -> list[Emission]:
        if not self.running:
            return []
        self.number += 1
        text = str(self.number)
        return [Emission(TICKS, self.number, self.number, lambda form: text * form)]


class ToyTalk:
    """``/live?want=STREAM`` and then ``want STREAM``; messages are as often repeated as the form says."""

    def __init__(self, request: web.Request) -> None:
        self.names = [request.query["want"]] if "want" in request.query else []
        self.form = 1

    def ignore_unit(self) -> None:
        self.form = 2

    def answer(self, text: str, client: Client) -> str | None:
        word, _, name = text.partition(" ")
        if word != "want":
            return None
        client.subscribe([name])
        return f"here is {name}"

    def notice(self) -> str:
        return "good night"


class ToyStandIn:
    """Fulfils ``StandIn``."""

    fault_defaults: Mapping[str, Mapping[str, Any]] = {"odd_row": {"path": "rows"}, "status": {"status": "asleep"}}
    addresses: tuple[str, ...] = ("/live",)
    rest_path = "/v9/"
    intervals: Collection[str] = ("1m",)

    def __init__(self) -> None:
        self.market = ToyMarket()

    def kind_of(self, stream: str) -> str:
        return stream.partition(" ")[0]

    def chained(self, kind: str) -> bool:
        return kind == "ticks"

    def message(self, emission: Emission, form: int) -> bytes:
        return f"{emission.stream}: {emission.render(form)}".encode()

    def glitched(self, payload: bytes, what: str) -> bytes:
        return b"far off in " + what.encode()

    def open_market(self, wanted: set[str], now_ns: int) -> ToyMarket:
        return self.market

    def talk(self, request: web.Request) -> ToyTalk:
        return ToyTalk(request)

    def calls(self) -> Mapping[str, Callable[[web.Request, Spoil], Answered]]:
        return {"rows": self._rows}

    def _rows(self, request: web.Request, spoil: Spoil) -> Answered:
        rows = [1, 2, 3, 4]
        spoil(rows)
        return Answered(web.Response(text=json.dumps(rows)), 7)

    def refusal(self, status: int, values: Mapping[str, Any], *, rest: bool) -> web.Response:
        return web.Response(text=f"no, by {'REST' if rest else 'handshake'}", status=status)

    def not_found(self) -> web.Response:
        return web.Response(text="where?", status=404)

    def books(self) -> Mapping[str, Any]:
        return {"one": "a book"}

    def bars(self, interval: str) -> Mapping[str, Any]:
        return {"one": [interval]}

    def memory(self) -> Mapping[str, int]:
        return {"numbers": 1}


class ToySettings(StandInSettings, frozen=True, kw_only=True):
    """Rules of its own."""

    port: int = 0
    max_age_s: float = 3_600.0
    ping_interval_s: float = 3_600.0
    pong_timeout_s: float = 3_600.0
    shutdown_notice_s: float = 0.0
    messages_per_second: int = 1_000
    connects_per_window: int = 1_000
    connect_window_s: float = 1.0

    def stand_in(self, faults: FaultSet) -> ToyStandIn:
        return ToyStandIn()
