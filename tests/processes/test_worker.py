"""The worker process's own part, between a real parent's channel, a real aggregator's socket and a market."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import zmq

from k2workers import metrics
from k2workers.continuity import renumbered
from k2workers.errors import StateError
from k2workers.events import LATE, RESET_SCHEMA, SCHEMA_OF, AggTrade, BookSnapshot, Gap, Status, Trade
from k2workers.every import Every
from k2workers.feed.driver import Driver
from k2workers.feed.feed_settings import FeedSettings
from k2workers.feed.silence import LookUrgency
from k2workers.processes import worker as worker_module
from k2workers.processes.child_settings import WorkerSettings
from k2workers.processes.worker import Worker
from k2workers.rotation.policy import SILENT_STREAM
from k2workers.sequencing.coverage import Holes, PublishedPosition
from k2workers.supervision.control_channel import ControlServer
from k2workers.supervision.control_messages import (
    AnyControlMessage,
    Beat,
    BooksKept,
    Drain,
    MarketSeen,
    Serve,
    WeightAsked,
)
from k2workers.supervision.permissions import Allowance, Permissions
from k2workers.transport import bundle_protocol
from k2workers.transport.bundle_receiver import BundleReceiver
from k2workers.venues.binance.streams import CHAIN
from k2workers.wire import Batch, decode_batch
from tests.support.numberings import begin_anew
from tests.support.told import LOGS
from tests.support.two_routes import NAME as TWO_ROUTES
from tests.support.two_routes import PUBLIC, keep_apart, register
from tests.support.venue import Venue
from tests.support.waiting import WAIT_S, until


@pytest.fixture(autouse=True)
def metrics_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))


NAME = "worker-0"
TOPIC = "binance.trade.AAAUSDT"
PUBLISHED = PublishedPosition(900, [])
"""Where each topic stands; the venue's first trade has a higher number."""


class Around:
    """What is around a worker: a parent that permits, an aggregator that welcomes. ``serve`` is said before the welcome."""

    def __init__(
        self, folder: Path, serve: Serve | None = None, published: dict[str, PublishedPosition] | None = None
    ) -> None:
        self.control, self.push = f"ipc://{folder}/control", f"ipc://{folder}/push"
        self.worker: Worker | None = None
        self.batches: list[Batch] = []
        self.beats: list[Beat] = []
        self.hellos: list[bundle_protocol.WorkerHello] = []
        self.refuses_weight = False
        self._serve = serve
        self.published = published or {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = ControlServer(self.control, self._take)
        self._permissions = Permissions(Allowance(venue="binance"), self.send)
        self._looking = Every(0.05, lambda: self._permissions.look(time.monotonic_ns()), "permissions")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._bundle_receiver: BundleReceiver | None = None

    def start(self) -> None:
        self._server.start()
        self._looking.start()
        self.start_aggregator()

    def start_aggregator(self) -> None:
        """A new life of it."""
        self._bundle_receiver = BundleReceiver(self._context, self.push)
        self._bundle_receiver.start(lambda _, batches: self.batches.extend(batches), lambda: None, self._on_hello)

    def end_aggregator(self) -> None:
        if self._bundle_receiver is not None:
            self._bundle_receiver.close()

    async def greeted_anew(self) -> bundle_protocol.WorkerHello:
        """Another life of the aggregator begins; what the worker says to it."""
        self.end_aggregator()
        greeted = len(self.hellos)
        self.start_aggregator()
        await until(lambda: len(self.hellos) > greeted)
        return self.hellos[-1]

    def acknowledge(self) -> None:
        """Everything that came so far."""
        assert self._bundle_receiver is not None
        self._bundle_receiver.acknowledge(self._bundle_receiver.taken())

    def tell_holes(self, holes: Holes) -> None:
        assert self._bundle_receiver is not None
        for worker in self._bundle_receiver.taken():
            self._bundle_receiver.tell_holes(worker, holes)

    def send(self, name: str, message: AnyControlMessage) -> None:
        task = asyncio.get_running_loop().create_task(self._server.send(name, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        self.end_aggregator()
        self._looking.stop()
        self._context.destroy(linger=0)
        await self._server.close()

    def of(self, schema: int) -> list[Batch]:
        """The batches of this schema so far."""
        return [batch for batch in self.batches if batch.schema == schema]

    def on(self, topic: str) -> list[Batch]:
        """The batches of this topic so far."""
        return [batch for batch in self.batches if batch.topic == topic]

    def _take(self, name: str, message: AnyControlMessage) -> None:
        if self.refuses_weight and isinstance(message, WeightAsked):
            return
        self._permissions.take(name, message, time.monotonic_ns())
        if isinstance(message, Beat):
            self.beats.append(message)

    def _on_hello(self, hello: bundle_protocol.WorkerHello) -> bundle_protocol.Welcome:
        assert self.worker is not None
        self.hellos.append(hello)
        if self._serve is not None:
            self.worker._on_message(self._serve)  # as it may come: the worker waits for the welcome
        return bundle_protocol.Welcome(7, self.published)


def settings_of(
    around: Around,
    venue: Venue,
    *symbols: str,
    kinds: Sequence[str] = ("trade",),
    of: str = "binance",
    lifetime_ns: int = 10**15,
) -> WorkerSettings:
    feed = FeedSettings(
        shard=0,
        slot=0,
        slots=2,
        url=venue.ws_url,
        lifetime_ns=lifetime_ns,
        origin_ns=time.monotonic_ns(),
        hold_ns=0,
        overlap_limit_ns=10**12,
        min_overlap_ns=0,
    )
    return WorkerSettings(
        venue=of,
        feed=feed,
        symbols=symbols,
        kinds=tuple(kinds),
        bundle_endpoint=around.push,
        rest_url=venue.rest_url,
        book_levels=1_000,
        ca_bundle="",
        environment="test",
        logs=LOGS,
    )


@contextlib.asynccontextmanager
async def working(
    folder: Path, venue: Venue, *more: str, aggregator: bool = True, fails: bool = False, **settings: Any
) -> AsyncIterator[tuple[Around, Worker]]:
    """A worker that serves AAAUSDT and ``more``; told to stop at the end, if it still runs. ``fails``: then it ends with a StateError."""
    around = Around(folder)
    worker = around.worker = Worker(NAME, around.control, settings_of(around, venue, "AAAUSDT", *more, **settings))
    around.start()
    if not aggregator:
        around.end_aggregator()
    running = asyncio.ensure_future(worker.run())
    try:
        await until(lambda: around.beats and around.beats[-1].counters["events_received"])
        yield around, worker
    finally:
        around.send(NAME, Drain())
        async with asyncio.timeout(WAIT_S):
            (outcome,) = await asyncio.gather(running, return_exceptions=True)
        await around.close()
        assert isinstance(outcome, StateError) if fails else outcome is None, outcome


def driver_of(worker: Worker) -> Driver:
    assert worker._shard is not None
    (only,) = worker._shard
    return only.driver


async def test_symbols_added_before_the_welcome_do_not_make_a_worker_forget_what_was_published(tmp_path: Path) -> None:
    serve = Serve(("AAAUSDT", "BBBUSDT"))
    around = Around(tmp_path, serve, {f"binance.trade.{symbol}": PUBLISHED for symbol in serve.symbols})
    with Venue(serve.symbols, every_s=0.01) as venue:
        worker = around.worker = Worker(NAME, around.control, settings_of(around, venue, "AAAUSDT"))
        around.start()
        running = asyncio.ensure_future(worker.run())
        await until(lambda: around.beats)
        around.send(NAME, serve)  # as the parent does until the beat counts all
        await until(lambda: around.beats[-1].status["streams_seen"] == 2)
        await until(
            lambda: {batch.topic for batch in around.batches} >= {"binance.trade.AAAUSDT", "binance.trade.BBBUSDT"}
        )
        firsts = {batch.topic: batch.first_id for batch in reversed(around.batches)}
        around.send(NAME, Drain())
        async with asyncio.timeout(WAIT_S):
            await running
        await around.close()
    assert firsts["binance.trade.AAAUSDT"] == firsts["binance.trade.BBBUSDT"] == PUBLISHED.last_id + 1


async def test_the_last_trades_before_an_outage_are_asked_for_although_none_follows(tmp_path: Path) -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue) as (around, _):
            venue.on_event = lambda _stream, _data: []
            unheard = venue.flows["AAAUSDT"].trade_id + 2
            await until(lambda: venue.flows["AAAUSDT"].trade_id > unheard)
            venue.every_s = 10 * WAIT_S  # a quiet symbol
            venue.reset_all()
            await until(lambda: around.batches[-1].last_id >= unheard)


def look(around: Around, venue: Venue) -> None:
    """Tell the worker what the market looks like now, as the parent does."""
    seen: dict[str, tuple[int | None, str | None, bool]] = {
        symbol: (flow.trade_id, " ".join(flow.top), True) for symbol, flow in (venue.flows | venue.halted).items()
    }
    around.send(NAME, MarketSeen(time.monotonic_ns(), seen))


async def test_a_silent_stream_of_which_the_venue_has_more_is_rotated_and_its_tail_fetched(tmp_path: Path) -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue) as (around, _):
            kept_back: list[int] = []

            def keep_back(stream: str, data: dict[str, Any]) -> list[str] | None:
                if len(venue.connections) > 1:
                    return None  # the next line brings it
                if stream.endswith("@trade"):
                    kept_back.append(data["t"])
                return []

            venue.on_event = keep_back
            await until(lambda: kept_back)
            begun_s = time.monotonic()
            await until(lambda: time.monotonic() > begun_s + 1.5, "what is under way has come")
            look(around, venue)
            await until(lambda: around.beats[-1].status["streams_silent"] == 1)
            await until(lambda: around.batches[-1].last_id > kept_back[0], "the tail")
            await until(lambda: any(batch.topic.startswith("status.rotation") for batch in around.batches))
            await until(lambda: around.beats[-1].status["streams_silent"] == 0)


async def test_a_silent_stream_of_which_the_venue_has_no_more_is_only_quiet(tmp_path: Path) -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue) as (around, worker):
            venue.halt()
            await until(lambda: around.beats[-1].status["look_wanted"] == LookUrgency.SOON)
            look(around, venue)
            await until(lambda: around.beats[-1].status["streams_quiet"] == 1)
            assert around.beats[-1].status["streams_silent"] == 0
            assert not driver_of(worker).rotations[SILENT_STREAM]


async def test_the_book_is_fetched_when_changes_of_it_were_withheld(tmp_path: Path) -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue, kinds=["depth"]) as (around, _):
            await until(lambda: around.of(SCHEMA_OF[BookSnapshot]))
            venue.pings_every_s = 1.0
            flow = venue.halt()["AAAUSDT"]
            await until(lambda: around.beats[-1].status["look_wanted"])
            look(around, venue)
            flow.step(1_700_000_000_000_000)
            await until(lambda: around.beats[-1].status["look_wanted"] == LookUrgency.SOON)
            look(around, venue)
            await until(lambda: around.beats[-1].status["look_wanted"] == LookUrgency.AT_ONCE, "a second look")
            look(around, venue)
            await until(lambda: around.beats[-1].status["streams_silent"] == 1)
            await until(lambda: len(around.of(SCHEMA_OF[BookSnapshot])) > 1)


async def test_holes_that_the_aggregator_found_are_fetched(tmp_path: Path) -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue) as (around, _):
            await until(lambda: len(around.of(SCHEMA_OF[Trade])) > 5)
            first = around.batches[0].first_id
            around.tell_holes({TOPIC: (CHAIN.number, [(first + 1, first + 2)])})
            await until(lambda: around.of(LATE + SCHEMA_OF[Trade]))
            late = around.of(LATE + SCHEMA_OF[Trade])
            assert [event.first_id for batch in late for event in decode_batch(batch)] == [first + 1, first + 2]


async def test_a_new_aggregator_is_told_where_topics_stand_and_what_is_still_wanted(tmp_path: Path) -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue) as (around, _):
            around.refuses_weight = True
            lost: list[int] = []

            def drop(stream: str, data: dict[str, Any]) -> list[str] | None:
                if lost or not stream.endswith("@trade"):
                    return None
                lost.append(data["t"])
                return []

            venue.on_event = drop
            await until(lambda: around.of(SCHEMA_OF[Gap]))
            hello = await around.greeted_anew()
    assert hello.open == {TOPIC: (CHAIN.number, [(lost[0], lost[0])])}
    first_id = around.batches[0].first_id
    assert hello.dropped_after == {TOPIC: (CHAIN.number, first_id - 1)}, "nothing was acknowledged"


async def test_what_waits_for_an_aggregator_at_the_end_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "DRAIN_S", WAIT_S)
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue, aggregator=False) as (around, worker):
            around.send(NAME, Drain())
            await until(lambda: venue.closes)
            around.start_aggregator()
        last_id = driver_of(worker).intake.lanes[0].last_id
    assert around.batches[-1].last_id == last_id


async def test_what_waits_for_an_aggregator_is_handed_over_also_when_the_feed_fails_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "DRAIN_S", WAIT_S)
    failed = asyncio.Event()

    async def fail() -> None:
        await stop()
        failed.set()
        raise StateError("a defect")

    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue, aggregator=False, fails=True) as (around, worker):
            driver = driver_of(worker)
            stop = driver.stop
            monkeypatch.setattr(driver, "stop", fail)
            around.send(NAME, Drain())
            await until(failed.is_set)
            around.start_aggregator()
    kept = driver.intake._push.__self__  # type: ignore[attr-defined]
    assert (kept.pending, kept.closed) == (False, True)
    assert around.batches[-1].last_id == driver.intake.lanes[0].last_id


async def test_a_new_aggregator_is_told_what_numberings_began(tmp_path: Path) -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue) as (around, worker):
            venue.every_s = 10 * WAIT_S
            begin_anew(driver_of(worker).intake, 0, 1)
            await until(lambda: around.of(RESET_SCHEMA))
            hello = await around.greeted_anew()
    assert hello.begun == {TOPIC: (renumbered(CHAIN.number), 1)}


async def test_what_a_new_aggregator_does_not_know_although_it_was_published_is_announced_and_fetched(
    tmp_path: Path,
) -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue) as (around, worker):
            await until(lambda: len(around.of(SCHEMA_OF[Trade])) > 5)
            venue.every_s = 10 * WAIT_S
            kept = driver_of(worker).intake._push.__self__.counters  # type: ignore[attr-defined]

            def nothing_kept() -> bool:
                around.acknowledge()
                return not kept.kept_bundles

            await until(nothing_kept)
            first_id, last_id = around.batches[0].first_id, driver_of(worker).intake.lanes[0].last_id
            around.published = {TOPIC: PublishedPosition(first_id, [], CHAIN.number)}  # its checkpoint is older
            await around.greeted_anew()
            await until(lambda: around.of(SCHEMA_OF[Gap]))
            (gap,) = around.of(SCHEMA_OF[Gap])
            assert (gap.first_id, gap.last_id) == (first_id + 1, last_id)
            await until(lambda: around.of(LATE + SCHEMA_OF[Trade]))


async def test_a_worker_that_is_told_late_where_a_topic_stands_asks_for_what_came_since(tmp_path: Path) -> None:
    quiet = "binance.trade.BBBUSDT"
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=0.01) as venue:
        venue.on_event = lambda stream, _data: [] if stream.startswith("bbbusdt") else None
        async with working(tmp_path, venue, "BBBUSDT", aggregator=False) as (around, worker):
            assert driver_of(worker).intake.lanes[1].last_id is None
            published_id = venue.flows["BBBUSDT"].trade_id
            await until(lambda: venue.flows["BBBUSDT"].trade_id > published_id)
            around.published = {quiet: PublishedPosition(published_id, [], CHAIN.number)}
            around.start_aggregator()
            await until(lambda: any(batch.topic == quiet for batch in around.batches))
            assert next(batch for batch in around.batches if batch.topic == quiet).first_id == published_id + 1


async def test_books_that_nobody_keeps_are_published_anew(tmp_path: Path) -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with working(tmp_path, venue, kinds=["depth"]) as (around, _):
            await until(lambda: around.of(SCHEMA_OF[BookSnapshot]))
            around.send(NAME, BooksKept(("binance.depth.",), ()))
            await until(lambda: len(around.of(SCHEMA_OF[BookSnapshot])) == 2)


async def test_a_worker_with_two_routes_rotates_each_in_its_turn_and_loses_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch)
    two: dict[str, Any] = {"of": TWO_ROUTES, "kinds": ("trade", "agg_trade"), "lifetime_ns": 2 * 10**9}
    with keep_apart(Venue(["AAAUSDT"], every_s=0.01)) as venue:
        async with working(tmp_path, venue, **two) as (around, _):

            def rotations() -> list[dict[str, Any]]:
                return [
                    event.data
                    for batch in around.on("status.rotation.0")
                    for event in decode_batch(batch)
                    if isinstance(event, Status)
                ]

            await until(lambda: [record["route"] for record in rotations()].count("market") > 1)
            await until(lambda: [record["route"] for record in rotations()].count("public") > 1)
            records = sorted(rotations(), key=lambda record: record["started_ns"])
            for earlier, later in itertools.pairwise(records):
                assert earlier["cut_ns"] <= later["started_ns"]
            newest_id = venue.flows["AAAUSDT"].trade_id
            for kind, schema in (("trade", SCHEMA_OF[Trade]), ("agg_trade", SCHEMA_OF[AggTrade])):
                topic = f"{TWO_ROUTES}.{kind}.AAAUSDT"
                await until(lambda topic=topic: around.on(topic)[-1].last_id >= newest_id)
                assert {batch.schema for batch in around.on(topic)} == {schema}
                ids = [event.first_id for batch in around.on(topic) for event in decode_batch(batch)]
                assert ids == list(range(ids[0], ids[-1] + 1))


async def test_a_worker_is_not_live_while_one_of_its_routes_has_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch)
    with keep_apart(Venue(["AAAUSDT"], every_s=0.01)) as venue:
        venue.closed.add(PUBLIC)
        async with working(tmp_path, venue, of=TWO_ROUTES, kinds=("trade", "book_ticker")) as (around, _):
            assert around.beats[-1].status["live"] is False
            assert around.beats[-1].status["streams_seen"] == 1
            venue.closed.clear()
            await until(lambda: around.beats[-1].status["live"] and around.beats[-1].status["streams_seen"] == 2)
            assert around.beats[-1].status["streams"] == 2
