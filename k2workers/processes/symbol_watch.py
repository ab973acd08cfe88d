"""Owns which worker of a venue serves which symbol during the whole run, and the status that the venue gives each symbol: shown, and logged when it changes.

Symbols that come later go to the worker with the fewest; no other moves. A worker is told all of its symbols, again and again until
it reports as many, so that neither a lost message nor a restart loses one.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import stat
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import msgspec
import structlog

from k2workers.errors import AddressRefused, ConfigError, VenueError
from k2workers.network.venue_answers import Service
from k2workers.processes.child_status import WorkerStatus, told
from k2workers.processes.market_plan import MarketPlan
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.control_messages import Serve
from k2workers.supervision.supervisor import Supervisor
from k2workers.venues.venue import TRADING, VANISHED, Choice, Listing

RETRY_CAP_S = 30.0

FILE_BYTES = 2**20
"""The most that a file of symbols may hold; the names of a whole market are some 50,000."""

SHOWN = 50
"""How many names of each state /status and a log line hold; the metric counts all."""

_log = structlog.get_logger(__name__)


class SymbolStates(msgspec.Struct, frozen=True, kw_only=True):
    """How many symbols of each state there are, and some of those that do not simply trade, by name."""

    count: dict[str, int]
    not_trading: dict[str, str]
    """With the venue's word."""
    unknown_nearest: dict[str, str]
    """With the name that may be meant."""
    left_out: dict[str, str]
    """With the reason."""
    no_room: list[str]


class SymbolWatch:
    """The symbols of one venue of the run: ``choose`` them, ``begin`` with them, then ``check`` them and ``remind`` steadily."""

    def __init__(self, plan: MarketPlan, supervisor: Supervisor) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._permissions = supervisor.permissions[plan.name]
        self._log = _log.bind(exchange=plan.name)
        self._specs: dict[str, ChildSpec] = {}
        self._status: dict[str, str] = {}
        """Symbol that is served → what the venue says of it."""
        self._selectors: list[str] = []
        """The names and patterns of the last look."""
        self._no_room: set[str] = set()
        self._choice = Choice({}, {}, {}, 0, {})
        self.failure = ""
        """Why the venue was asked for its symbols in vain the last time; nothing once it has answered."""
        self.kept_waiting = False
        """Whether it was asked in vain before it first answered, or since."""

    @property
    def symbols(self) -> list[str]:
        """What is served."""
        return list(self._status)

    @property
    def of_workers(self) -> dict[str, tuple[str, ...]]:
        """What each worker serves."""
        return {name: spec.settings.symbols for name, spec in self._specs.items()}

    def status_of(self, symbol: str) -> str:
        """What the venue said last of a symbol that is served."""
        return self._status[symbol]

    async def choose(self) -> Choice:
        """The symbols to serve: asks until the venue answers and lists some. Raises ConfigError for a user's mistake."""
        delay_s = 1.0
        while True:
            try:
                choice = await self._ask()
                self.failure = ""
                if choice.served:
                    return choice
                if choice.mistake:
                    raise ConfigError(choice.mistake)
                self._tell_choice(choice)
                self._log.warning(
                    "no_symbol_yet", awaited=choice.awaited, left_out=_some(choice.left_out), retry_in_s=delay_s
                )
            except VenueError as error:
                hint = "" if self._plan.settings.demo else "; try --demo to run without a venue"
                self.failure, self.kept_waiting = str(error), True
                event = "venue_refuses" if isinstance(error, AddressRefused) else "venue_unreachable"
                paused_s = self._permissions.gate.paused_ns(Service.REST, time.monotonic_ns()) / 1e9
                retry_in_s = round(max(delay_s, paused_s), 1)
                self._log.error(event, error=str(error), retry_in_s=retry_in_s, hint=f"still trying{hint}")
            await asyncio.sleep(delay_s)
            delay_s = min(RETRY_CAP_S, delay_s * 2)

    async def check(self) -> None:
        """Ask what has become of the symbols, and act on it. A venue that does not answer is logged."""
        try:
            self.look(await self._ask())
        except (VenueError, ConfigError) as error:
            self._log.warning("symbols_not_checked", error=str(error), retry_in_s=self._plan.settings.symbol_check_s)

    async def _ask(self) -> Choice:
        self._selectors = self._read_selectors()
        async with self._permissions.own_request(self._listing.weight):
            choice, weight_limit = await self._listing.look(self._selectors, time.monotonic_ns())
        if weight_limit:
            self._permissions.learn_weight_limit(weight_limit)
        return choice

    @functools.cached_property
    def _listing(self) -> Listing:
        """Made for the first look: only then the plan knows where the venue is."""
        return self._plan.venue.listing(self._plan.rest_url, self._plan.rest_context())

    def _read_selectors(self) -> list[str]:
        """The names and patterns that are asked for now: files may have changed. Of a file that cannot be read any longer, the last content counts."""
        try:
            read = read_selectors(self._plan.symbols)
        except ConfigError as error:
            if not self._selectors:
                raise
            self._log.warning("symbols_not_read", error=str(error), note="what was read before still counts")
            return self._selectors
        # A name that has left its file is served until the end of the run: what becomes of it must be known.
        return list(dict.fromkeys([*read, *(name for name in self._selectors if name.upper() in self._status)]))

    def begin(self, choice: Choice) -> list[ChildSpec]:
        """Plan the workers that serve these. Raises ConfigError if they do not fit."""
        specs = self._plan.workers(list(choice.served))
        self._specs = {spec.name: spec for spec in specs}
        self._status = dict(choice.served)
        asked = self._plan.shards
        if len(specs) < asked:
            note = f"{len(specs)} of {asked} shards run: there is nothing to serve for more"
            self._log.warning("fewer_shards", running=len(specs), asked=asked, note=note)
        quiet = {name: status for name, status in choice.served.items() if status != TRADING}
        if quiet:
            self._log.warning(
                "symbols_not_trading", count=len(quiet), status=_some(quiet), note="subscribed; silent until they trade"
            )
        self._tell_choice(choice)
        return specs

    def look(self, choice: Choice) -> None:
        """The venue was asked again."""
        changed: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for symbol, before in self._status.items():
            status = choice.status_of.get(symbol, VANISHED)
            if status != before:
                changed[before, status].append(symbol)
                self._status[symbol] = status
        for (before, status), names in changed.items():
            self._log.warning("symbols_changed", before=before, now=status, count=len(names), symbols=names[:SHOWN])
        self._tell_choice(choice)
        self._take_up({name: status for name, status in choice.served.items() if name not in self._status})

    def remind(self) -> None:
        """Tell the workers that do not serve all of their symbols yet."""
        running = self._supervisor.pids()
        for name, spec in self._specs.items():
            beat = self._supervisor.beat(name) if name in running else None
            status = told(beat, WorkerStatus)
            if status is not None and status.symbols < len(spec.settings.symbols):
                self._supervisor.send(name, Serve(spec.settings.symbols))

    def counts(self) -> dict[str, int]:
        """How many symbols there are, by state."""
        states = Counter("trading" if status == TRADING else "quiet" for status in self._status.values())
        choice = self._choice
        vanished = sum(status == VANISHED for status in self._status.values())
        return {
            "trading": states["trading"],
            "quiet": states["quiet"] - vanished,
            "vanished": vanished,
            "awaited": choice.awaited,
            "unknown": len(choice.unknown),
            "left_out": len(choice.left_out),
            "no_room": len(self._no_room),
        }

    def status(self) -> SymbolStates:
        """What /status shows."""
        return SymbolStates(
            count=self.counts(),
            not_trading=_some({name: status for name, status in self._status.items() if status != TRADING}),
            unknown_nearest=_some(self._choice.unknown),
            left_out=_some(self._choice.left_out),
            no_room=sorted(self._no_room)[:SHOWN],
        )

    def _take_up(self, newcomers: Mapping[str, str]) -> None:
        taken: defaultdict[str, list[str]] = defaultdict(list)
        held = {name: len(spec.settings.symbols) for name, spec in self._specs.items()}
        no_room = set()
        for symbol, status in newcomers.items():
            worker = min(held, key=lambda name: held[name])
            if held[worker] >= self._plan.room:
                no_room.add(symbol)
                continue
            held[worker] += 1
            taken[worker].append(symbol)
            self._status[symbol] = status
        if no_room - self._no_room:
            names = sorted(no_room)
            self._log.error(
                "symbols_without_room", count=len(names), symbols=names[:SHOWN], note="more shards would take them"
            )
        self._no_room = no_room
        for name, symbols in taken.items():
            old = self._specs[name]
            settings = msgspec.structs.replace(old.settings, symbols=(*old.settings.symbols, *symbols))
            self._specs[name] = msgspec.structs.replace(old, settings=settings)
            self._supervisor.respec(self._specs[name])
            self._log.info("symbols_taken_up", worker=name, count=len(symbols), symbols=symbols[:SHOWN])
        self.remind()

    def _tell_choice(self, choice: Choice) -> None:
        before, self._choice = self._choice, choice
        for name, near in itertools.islice((choice.unknown.items() - before.unknown.items()), SHOWN):
            hint = f"did you mean {near}?" if near else ""
            self._log.warning(
                "symbol_unknown", symbol=name, hint=hint, note="the venue does not list it; looked for again steadily"
            )
        for name, fault in itertools.islice((choice.left_out.items() - before.left_out.items()), SHOWN):
            self._log.warning("symbol_left_out", symbol=name, reason=fault)
        if choice.awaited != before.awaited:
            self._log.info("symbols_awaited", count=choice.awaited, note="they match a pattern and do not trade")


def read_selectors(words: Iterable[str]) -> list[str]:
    """Names and patterns; a word ``file:PATH`` stands for those in the file. Raises ConfigError if there are none."""
    selectors: list[str] = []
    for word in words:
        selectors += _lines(word) if word.startswith("file:") else [word]
    if not selectors:
        raise ConfigError(f"symbols = {','.join(words)!r}: names no symbol")
    return selectors


def _lines(word: str) -> list[str]:
    try:
        # Not to be kept waiting by a pipe: the loop that reads has a feed to look after.
        descriptor = os.open(word.removeprefix("file:"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"symbols = {word!r}: not a regular file, which can be read again and again")
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"symbols = {word!r}: the file cannot be read ({error.strerror})") from None
    if len(content) > FILE_BYTES:
        raise ConfigError(f"symbols = {word!r}: the file is far too large; allowed: {FILE_BYTES:,} bytes")
    # A line that is no text is a name that the venue does not know: it is reported like any other, and the rest is served.
    lines = content.decode("utf-8-sig", errors="replace").splitlines()
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def _some(names: Mapping[str, str]) -> dict[str, str]:
    return dict(itertools.islice(names.items(), SHOWN))
