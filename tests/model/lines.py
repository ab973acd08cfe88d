"""One shard with its real driver, subscriptions, backfill and worker, in virtual time: lines break, fall silent, lose subscriptions.

Only the socket (``Line``), REST and the parent are stand-ins. The venue sends trades all the time; after each fault everything must be
there again within the time that the fault's kind allows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Self

import msgspec
import pytest
import structlog

from k2workers.errors import VenueError
from k2workers.events import Backfilled, Event, Gap, Trade
from k2workers.feed import lines as lines_module
from k2workers.feed import shard as feed_shard
from k2workers.feed.feed_settings import FeedSettings
from k2workers.feed.message_block import MessageBlock
from k2workers.feed.silence import LookUrgency, MarketView
from k2workers.processes import worker as worker_module
from k2workers.processes.child_settings import WorkerSettings
from k2workers.processes.worker import Worker
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.supervision.child_process import ChildProcess
from k2workers.transport import bundle_protocol
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.streams import CHAIN
from k2workers.venues.market_evidence import SymbolSeen
from k2workers.venues.venue import Fetched, FetchedBook, Topic
from k2workers.wire import Batch, SendOutcome, decode_batch
from tests.fakes import TurnsAndWeight
from tests.model import virtual_time
from tests.model.ledger import Finding
from tests.support.told import LOGS

SPOT = BinanceSpot()
HOUR_NS = 3_600_000_000_000
AT_US = 1_700_000_000_000_000
BUSY, QUIET = "AUSDT", "BUSDT"
EVERY_S = {BUSY: 0.2, QUIET: 9.0}
"""How often the venue makes a trade of each symbol."""

STARTED, MISSED = 100, 3
"""Where each topic stood when the last worker died, and how many trades were made before this one began."""

WITHIN_S = {
    "break": 4.0,
    "silent_line": 15.0,  # a line that follows one without data is given twice the time; then the venue is asked
    "stale_line": 40.0,
    "silent_stream": 25.0,
    "lost_stream": 75.0,
    "drop": 12.0,
    "rest_fails": 30.0,
}
"""After each fault everything must be there again within this time."""


class Socket:
    """A line as its venue sees it (``feed.line.Line``)."""

    def __init__(self, number: int, _url: str, on_messages: Any, on_closed: Any, *_: Any) -> None:
        self.number = number
        self.on_messages, self.on_closed = on_messages, on_closed
        self.bytes_received = self.frames_received = self.last_read_ns = 0
        self.names: set[str] = set()
        self.muted: set[str] = set()
        self.pings = True
        self.ended = False

    async def open(self, **_: Any) -> None:
        await asyncio.sleep(0.05)
        MARKET.get().sockets.append(self)
        self.last_read_ns = asyncio_now_ns()

    async def send(self, text: bytes) -> None:
        request = msgspec.json.decode(text)
        if request["method"] == "SUBSCRIBE":
            self.names.update(request["params"])
            result = None
        else:
            result = sorted(self.names)
        asyncio.get_running_loop().call_later(
            0.02, self._say, msgspec.json.encode({"result": result, "id": request["id"]})
        )

    async def close(self, _code: int, _reason: str) -> None:
        await asyncio.sleep(0.05)
        self.abort()

    def abort(self) -> None:
        self.ended = True
        market = MARKET.get()
        if self in market.sockets:
            market.sockets.remove(self)

    def end(self) -> None:
        """The venue ends it."""
        if not self.ended:
            self.abort()
            self.on_closed(self.number, "broken")

    def deliver(self, name: str, message: bytes) -> None:
        """The venue sends."""
        if name in self.names and name not in self.muted:
            self._say(message)

    def ping(self) -> None:
        if self.pings and not self.ended:
            self.last_read_ns = asyncio_now_ns()

    def _say(self, message: bytes) -> None:
        if self.ended or not self.pings:
            return
        self.last_read_ns = asyncio_now_ns()
        self.frames_received += 1
        self.on_messages(self.number, MessageBlock.of([message]), self.last_read_ns)


def asyncio_now_ns() -> int:
    return int(asyncio.get_running_loop().time() * 1e9)


class Market:
    """The venue: its trades, its REST, and the lines that it has."""

    used_weight = 0
    rows_dropped = 0

    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        missed = range(STARTED + 1, STARTED + 1 + MISSED)
        self.made: dict[str, dict[int, int]] = {symbol: dict.fromkeys(missed, asyncio_now_ns()) for symbol in EVERY_S}
        """When each trade was made."""
        self.failing = False
        self.dropping = 0
        self.running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self.running = [asyncio.ensure_future(self._trade(symbol)) for symbol in EVERY_S]
        self.running.append(asyncio.ensure_future(self._ping()))

    async def _trade(self, symbol: str) -> None:
        number = STARTED + MISSED
        while True:
            await asyncio.sleep(EVERY_S[symbol])
            number += 1
            self.made[symbol][number] = asyncio_now_ns()
            name = f"{symbol.lower()}@trade"
            data = {"e": "trade", "E": AT_US, "s": symbol, "t": number, "p": "1.0", "q": "1.0", "T": AT_US, "m": True}
            message = msgspec.json.encode({"stream": name, "data": data})
            if self.dropping:
                self.dropping -= 1
                continue
            for socket in list(self.sockets):
                socket.deliver(name, message)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(5)
            for socket in self.sockets:
                socket.ping()

    # ── as venues.venue.History ─────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    def weight(self, _topic: Topic, *, doubted: bool = False) -> int:
        return 29 if doubted else 25

    async def poll(self, topic: Topic) -> Event | None:
        return None

    def book_weight(self, _topic: Topic, *, deep: bool) -> int:
        return 50 if deep else 5

    async def fetch(
        self, topic: Topic, first_id: int, last_id: int, _attempt: int, *, doubted: bool = False
    ) -> Fetched:
        await asyncio.sleep(0.03)
        if self.failing:
            raise VenueError("REST is out of order")
        rows = [number for number in self.made[topic.symbol] if number >= first_id][:1000]
        events: list[Event] = [Trade(n, "1", "1", True, 1000, 1000, 1) for n in rows if n <= last_id]
        return Fetched(events, (first_id, rows[-1]) if rows else None, full=len(rows) == 1000)

    async def book(self, _topic: Topic, *, deep: bool) -> FetchedBook:
        raise VenueError("no books here")


class _Current:
    """The market of the life that runs."""

    def __init__(self) -> None:
        self._market: Market | None = None

    def get(self) -> Market:
        assert self._market is not None
        return self._market

    def set(self, market: Market) -> None:
        self._market = market


MARKET = _Current()


class Desk:
    """The aggregator's place: welcomes, and judges what is pushed (``transport.bundle_sender.BundleSender``)."""

    def __init__(self) -> None:
        self.counters = SimpleNamespace(
            pending_bundles=0, bundles_refused=0, back_pressured=0, kept_bytes=0, resent=0, forgotten=0
        )
        self.reached = dict.fromkeys(EVERY_S, STARTED)
        self.open: dict[str, set[int]] = {symbol: set() for symbol in EVERY_S}

    def start(self, *, on_welcome: Any, **_: Any) -> None:
        positions = {f"binance.trade.{symbol}": PublishedPosition(STARTED, [], CHAIN.number) for symbol in EVERY_S}
        asyncio.get_running_loop().call_later(0.1, on_welcome, bundle_protocol.Welcome(7, positions))

    async def drain(self, _timeout_s: float) -> bool:
        return True

    def push(self, batches: Sequence[Batch]) -> SendOutcome:
        for batch in batches:
            for event in decode_batch(batch) if batch.topic.startswith("binance.") else []:
                self._take(batch.topic.rpartition(".")[2], event)
        return SendOutcome.SENT

    def _take(self, symbol: str, event: Event) -> None:
        if isinstance(event, Backfilled):
            if event.first_id not in self.open[symbol]:
                raise Finding(f"{symbol}: {event} fills nothing")
            self.open[symbol].remove(event.first_id)
            return
        if event.first_id != self.reached[symbol] + 1:
            raise Finding(f"{symbol}: {event} comes after {self.reached[symbol]}")
        self.reached[symbol] = event.last_id
        if isinstance(event, Gap):
            self.open[symbol].update(range(event.first_id, event.last_id + 1))


class Shard:
    """One life of a worker between such stand-ins."""

    def __init__(self, rotates_in_ns: int) -> None:
        self.market, self.desk = Market(), Desk()
        MARKET.set(self.market)
        now_ns = asyncio_now_ns()
        feed = FeedSettings(
            shard=0, slot=0, slots=1, url="ws://venue", lifetime_ns=HOUR_NS, origin_ns=now_ns + rotates_in_ns - HOUR_NS,
            overlap_limit_ns=20_000_000_000, min_overlap_ns=0,
        )  # fmt: skip
        settings = WorkerSettings(
            venue="binance", feed=feed, symbols=tuple(EVERY_S), kinds=("trade",), bundle_endpoint="", rest_url="", book_levels=1_000, ca_bundle="",
            environment="test", logs=LOGS,
        )  # fmt: skip
        self.worker = Worker("worker-0", "", settings)
        self.child = ChildProcess("worker-0", "")  # what it says goes nowhere
        permissions = TurnsAndWeight()
        permissions.turn.set()
        self.feed = feed_shard.Shard(
            feed, SPOT, SPOT.stream_specs(["trade"], list(EVERY_S)), history=self.market, permissions=lambda _: permissions,
            push=self.desk.push, on_record=lambda _: None, observe_latency=lambda _: None,
        )  # fmt: skip
        (only,) = self.feed
        self.driver = only.driver

    async def _looks(self) -> None:
        """The parent: it asks the venue when the worker wants it, and tells."""
        looked_s = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.5)
            wanted, since_s = self.driver.look_wanted, loop.time() - looked_s
            if since_s >= {LookUrgency.NO: 10**9, LookUrgency.SOON: 10, LookUrgency.AT_ONCE: 3}[wanted]:
                looked_s, asked_ns = loop.time(), asyncio_now_ns()
                await asyncio.sleep(0.05)
                if not self.market.failing:
                    seen = {symbol: SymbolSeen(max(made), None) for symbol, made in self.market.made.items()}
                    self.driver.seen(MarketView(asked_ns, seen))

    def start(self) -> None:
        self.market.start()
        self.market.running.append(asyncio.ensure_future(self._looks()))
        desk: Any = self.desk
        self.serving = asyncio.ensure_future(self.worker._serve(self.feed, desk, self.child))

    def late(self) -> dict[str, float]:
        """How old the oldest trade is that has not been pushed, by symbol."""
        now_ns = asyncio_now_ns()
        found = {}
        for symbol, made in self.market.made.items():
            missing = [
                at_ns
                for number, at_ns in made.items()
                if number > self.desk.reached[symbol] or number in self.desk.open[symbol]
            ]
            if missing:
                found[symbol] = (now_ns - min(missing)) / 1e9
        return found

    def carrier(self) -> Socket | None:
        """The line that carries the feed, as the venue sees it."""
        numbers = {socket.number: socket for socket in self.market.sockets}
        return numbers.get(self.driver.machine.carrier or -1)

    # ── faults ──────────────────────────────────────────────────────────────────────────────────────────────

    def do_break(self, _rng: random.Random) -> None:
        for socket in list(self.market.sockets):
            socket.end()

    def do_silent_line(self, _rng: random.Random) -> None:
        socket = self.carrier()
        if socket is not None:
            socket.muted.update(socket.names)

    def do_stale_line(self, _rng: random.Random) -> None:
        socket = self.carrier()
        if socket is not None:
            socket.pings = False

    def do_silent_stream(self, _rng: random.Random) -> None:
        socket = self.carrier()
        if socket is not None:
            socket.muted.add(f"{BUSY.lower()}@trade")

    def do_lost_stream(self, rng: random.Random) -> None:
        socket = self.carrier()
        if socket is not None:
            socket.names.discard(f"{rng.choice(list(EVERY_S)).lower()}@trade")

    def do_drop(self, rng: random.Random) -> None:
        self.market.dropping = rng.randrange(1, 4)

    def do_rest_fails(self, _rng: random.Random) -> None:
        self.market.failing = True
        self.do_break(_rng)
        asyncio.get_running_loop().call_later(10, setattr, self.market, "failing", False)


async def _live(shard: Shard, rng: random.Random, faults: Sequence[str]) -> None:
    shard.start()
    await asyncio.sleep(26)  # silences are learned
    for turn, fault in enumerate(faults):
        getattr(shard, f"do_{fault}")(rng)
        # A line that brought little because of an earlier fault has taught that silences are longer.
        within_s = max(WITHIN_S[fault], 40.0 if turn else 0.0)
        await asyncio.sleep(within_s)
        await _whole(shard, fault, within_s)
        await asyncio.sleep(rng.random() * 8)
    if shard.serving.done():
        shard.serving.result()
    shard.child.stopping.set()
    await asyncio.sleep(5)
    for task in shard.market.running:
        task.cancel()


async def _whole(shard: Shard, fault: str, within_s: float) -> None:
    """Everything is there, and comes by itself."""
    late = {symbol: age_s for symbol, age_s in shard.late().items() if age_s > 1.5}
    socket = shard.carrier()
    if late or socket is None:
        raise Finding(f"{fault}: after {within_s:.0f} s {late or 'no line'}")
    silent = {
        name
        for name in (f"{symbol.lower()}@trade" for symbol in EVERY_S)
        if name not in socket.names or name in socket.muted
    }
    if silent:
        raise Finding(f"{fault}: after {within_s:.0f} s the line does not bring {silent}")
    if shard.driver.intake.gaps_open or len(shard.market.sockets) > 2:
        raise Finding(f"{fault}: {shard.driver.intake.gaps_open} gaps open, {len(shard.market.sockets)} lines")


def live(seed: int) -> list[str]:
    """One life with a few faults; which. Raises Finding."""
    rng = random.Random(seed)
    faults = rng.choices(list(WITHIN_S), k=3)
    failures: list[Mapping[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, details: failures.append(details))
        shard = Shard(rng.randrange(20, 200) * 1_000_000_000)
        try:
            await _live(shard, rng, faults)
        finally:
            await shard.child.client.close()

    with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs():
        patch.setattr(lines_module, "Line", Socket)
        patch.setattr(worker_module, "settle_memory", lambda: None)
        virtual_time.run(main)
    for details in failures:
        raise Finding(f"seed {seed}, {faults}: {details}")
    return faults
