"""Owns the publication of a recording: through the sockets and in the format of a feed, at its own pace, a faster one, or as fast as it is taken.

A subscriber finds the same topics, events, ids and times of receiving; the sequence numbers are those of a new life, and ``status.replay`` says that it is none of a venue's. What the recorder lost, or
stood in a file that is gone or cannot be read, is published as a ``Gap``.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
import zmq

from k2workers import event_loop, wire
from k2workers.continuity import RECORDS, renumbered
from k2workers.events import (
    HEARTBEAT_TOPIC,
    BookSnapshot,
    Event,
    Gap,
    Heartbeat,
    Reset,
    Status,
)
from k2workers.every import Every
from k2workers.recording.conversion import follow
from k2workers.recording.playback_pace import PlaybackPace
from k2workers.recording.played_events import LOST, NOT_RECORDED, OUT_OF_ORDER, by_book, published
from k2workers.recording.row import Row
from k2workers.recording.timeline import Run, Timeline
from k2workers.sequencing.coverage import NO_ID, NOT_KNOWN
from k2workers.sequencing.order_book import OrderBook
from k2workers.sequencing.sequencer import Publication, Sequencer
from k2workers.transport.books_server import BooksServer
from k2workers.transport.peer_watch import LOOK_S
from k2workers.transport.publisher import Publisher
from k2workers.transport.replay_server import ReplayServer
from k2workers.transport.ring import ReplayRing
from k2workers.transport.sockets import Context
from k2workers.wanted import meant_by

HEARTBEAT_S = 0.25
MARK_TOPIC, MARK_S = "status.replay", 10.0
RING_BYTES, RING_NS = 64 * 2**20, 300 * 10**9
ROWS_A_FRAME = 500
ROWS_A_TURN, FRAMES_A_TURN = 4_000, 200
"""So many are taken before they are handed over, and others have their turn."""

FRAMES_WAITING = 1_000
"""For one subscriber, where none may be dropped."""

ROOM_CHECK_S = 0.001
LINGER_MS = 30_000
"""How long the end waits for subscribers to take what was published."""

_log = structlog.get_logger(__name__)


class PlaybackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What to publish, where, and from which time on; ``speed`` None is as fast as it is taken. ``together_ns`` is the ``Timeline``'s."""

    directory: Path
    topics: tuple[str, ...] = ()
    endpoint: str
    snapshot_endpoint: str
    books_endpoint: str
    speed: float | None = 1.0
    from_ns: int = 0
    together_ns: int = 0


class Playback:
    """The sockets, open at construction. ``play`` inside the loop, then ``close``. Raises ConfigError for an endpoint that cannot be had."""

    def __init__(self, settings: PlaybackSettings) -> None:
        self.rows = 0
        self._settings = settings
        self._sequencer = Sequencer(time.time_ns())
        self._ring = ReplayRing(RING_BYTES, RING_NS)
        self._books: dict[str, OrderBook] = {}
        self._numbers: dict[str, int] = {}
        """The continuity number of each topic that has begun, in its numbering."""
        self._published: list[Publication] = []
        """Numbered, and to be handed over."""
        self._heartbeats = 0
        self._context: Context = zmq.Context()
        lossless = settings.speed is None
        mark = FRAMES_WAITING if lossless else 100_000
        self._publisher = Publisher(
            self._context,
            settings.endpoint,
            high_water_mark=mark,
            lossless=lossless,
            linger_ms=LINGER_MS,
            setting="endpoint",
        )
        self._snapshots = ReplayServer(self._context, settings.snapshot_endpoint, self._ring, self._sequencer.epoch)
        self._books_server = BooksServer(
            self._context, settings.books_endpoint, lambda wanted: meant_by(wanted, self._books), self._book_frame
        )
        self._duties = (
            Every(LOOK_S, self._look, "peers", give_up=None),
            Every(HEARTBEAT_S, self._heartbeat, "heartbeat"),
            Every(MARK_S, self._mark, "mark"),
        )

    async def play(self) -> None:
        """Publish all of it, from when the first subscriber is there."""
        for port in (self._publisher, self._snapshots, self._books_server):
            port.start()
        for duty in self._duties:
            duty.start()
        _log.info("replaying", directory=str(self._settings.directory), endpoint=self._publisher.endpoint)
        while not any(f"{HEARTBEAT_TOPIC} ".encode() in peer.topics for peer in self._publisher.watch.peers.values()):
            self._publisher.hear()
            await asyncio.sleep(LOOK_S)  # the protocol has them subscribe to it last
        settings, pace = self._settings, PlaybackPace(self._settings.speed)
        # The first rows of thousands of topics take their time: whoever listens hears heartbeats meanwhile.
        timeline = await asyncio.to_thread(
            Timeline, settings.directory, settings.topics, settings.from_ns, settings.together_ns
        )
        passed = rows = 0
        while (at_ns := timeline.next_ns) is not None and at_ns < settings.from_ns:
            self._pass_over(timeline.take(settings.from_ns - 1, ROWS_A_FRAME))
            passed += 1
            if passed % FRAMES_A_TURN == 0:
                await asyncio.sleep(0)
        while (at_ns := timeline.next_ns) is not None:
            wait_s = pace.wait_s(at_ns, time.monotonic())
            if wait_s > 0 or self.rows - rows >= ROWS_A_TURN or len(self._published) >= FRAMES_A_TURN:
                await self._hand_over()
                rows = self.rows
            if wait_s > 0:
                await asyncio.sleep(pace.wait_s(at_ns, time.monotonic()))
            else:
                self._take(timeline.take(pace.due_ns(time.monotonic()), ROWS_A_FRAME))
        self._mark(ended=True)
        await self._hand_over()
        _log.info("replayed", rows=self.rows)

    async def close(self) -> None:
        """Close the sockets, when subscribers have taken what was published, or after ``LINGER_MS``."""
        for duty in self._duties:
            duty.stop()
        self._books_server.close()
        self._snapshots.close()
        self._publisher.close()
        await asyncio.to_thread(self._context.term)

    # ── rows to events ──────────────────────────────────────────────────────────────────────────────────

    def _pass_over(self, run: Run) -> None:
        """Rows before the time from which on they are published: their book counts."""
        if by_book(run.continuity):
            book = self._books.setdefault(run.topic, OrderBook())
            for of in run.of:
                follow(book, Row(None, None, of))

    def _take(self, run: Run) -> None:
        topic, events = run.topic, published(run)
        if not events and isinstance(run.of[0], BookSnapshot) and self._stands_before(topic, run.of[0].last_id):
            self._name_missing(topic, run.of[0].last_id, NOT_RECORDED, run.at_ns)
            events = [run.of[0]]
        elif events and not isinstance(events[0], OUT_OF_ORDER):
            self._name_missing(topic, events[0].first_id - 1, NOT_RECORDED, run.at_ns)
        if by_book(run.continuity):
            self._keep_book(run, published=bool(events))
        if not events:
            return
        number = self._numbers.get(topic)
        if number is None:
            number = run.continuity if run.continuity != NOT_KNOWN else RECORDS.number
            self._numbers[topic] = number
        if isinstance(events[0], Reset):
            for event in events:
                number = self._numbers[topic] = renumbered(number)
                self._put(topic, [event])
        else:
            self._put(topic, events)
        self.rows += len(events)

    def _keep_book(self, run: Run, *, published: bool) -> None:
        """Follow a topic of changes, and begin what is published of it with a whole book."""
        topic, book = run.topic, self._books.setdefault(run.topic, OrderBook())
        if topic not in self._numbers and book.whole and not (published and isinstance(run.of[0], BookSnapshot)):
            self._numbers[topic] = run.continuity
            self._put(topic, [book.snapshot()])
        if published and isinstance(run.of[0], BookSnapshot):
            # A recorder that lost changes went on with a book that it asked for: those up to it are in no row.
            self._name_missing(topic, run.of[0].last_id, LOST, run.of[0].received_ns)
        if published or not book.whole:
            for of in run.of:
                follow(book, Row(None, None, of))

    def _stands_before(self, topic: str, last_id: int) -> bool:
        """Whether the topic has ids without a break, and was published up to one before this."""
        state = self._sequencer.topics.get(topic)
        return state is not None and state.chained and NO_ID != state.last_id < last_id

    def _name_missing(self, topic: str, last_id: int, cause: str, at_ns: int) -> None:
        """Publish that what lies between the last published id and this one is missing."""
        if self._stands_before(topic, last_id):
            self._put(topic, [Gap(self._sequencer.topics[topic].last_id + 1, last_id, cause, at_ns)])

    def _put(self, topic: str, events: list[Event]) -> None:
        """Number what comes next of a topic."""
        now_ns = time.time_ns()
        self._sequencer.take(wire.batch_of(topic, events, self._numbers[topic]), now_ns)
        self._published += self._sequencer.publish(now_ns)

    async def _hand_over(self) -> None:
        """Publish what was numbered, however long that takes where nothing may be dropped."""
        published, self._published = self._published, []
        if published:
            self._ring.put_all(published, time.monotonic_ns())
        for _, _, frame in published:
            while not self._publisher.offer(frame):
                await asyncio.sleep(ROOM_CHECK_S)
        await asyncio.sleep(0)

    # ── what a feed does besides ────────────────────────────────────────────────────────────────────────

    def _look(self) -> None:
        self._publisher.look()
        self._snapshots.watch.look()
        self._books_server.watch.look()

    def _heartbeat(self) -> None:
        now_ns = time.time_ns()
        batch = wire.batch_of(HEARTBEAT_TOPIC, [Heartbeat(now_ns)], RECORDS.number)
        frame = wire.publication(batch, epoch=self._sequencer.epoch, sequence=self._heartbeats + 1, publish_ns=now_ns)
        self._heartbeats += self._publisher.offer(frame)
        self._ring.expire(time.monotonic_ns())

    def _mark(self, *, ended: bool = False) -> None:
        settings = self._settings
        told: dict[str, str | int | float | bool | None] = {
            "directory": str(settings.directory), "speed": settings.speed, "from_ns": settings.from_ns, "rows": self.rows, "ended": ended,
        }  # fmt: skip
        self._numbers[MARK_TOPIC] = RECORDS.number
        self._put(MARK_TOPIC, [Status("replay", told, time.time_ns())])

    def _book_frame(self, topic: str) -> bytes | None:
        state, book = self._sequencer.topics.get(topic), self._books[topic]
        if state is None or not book.whole:
            return None
        batch = wire.batch_of(topic, [book.snapshot()], state.continuity_number)
        return wire.publication(batch, epoch=self._sequencer.epoch, sequence=state.sequence, publish_ns=time.time_ns())


def play(settings: PlaybackSettings) -> int:
    """Publish until the end, or until SIGTERM, SIGINT or SIGHUP; the exit code."""
    return event_loop.run(_play(settings))


async def _play(settings: PlaybackSettings) -> int:
    playback = Playback(settings)
    playing = asyncio.ensure_future(playback.play())
    end: Callable[[], object] = playing.cancel
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        await playing
    except asyncio.CancelledError:
        _log.info("replay_stopped", rows=playback.rows)
    await playback.close()
    return 0
