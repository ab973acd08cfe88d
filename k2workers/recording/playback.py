"""Owns the publication of a recording: through the sockets and in the format of a feed, at its own pace, a faster one, or as fast as it is taken.

A subscriber finds the same topics, events, ids and times of receiving; the sequence numbers are those of a new life, and ``status.replay`` says that it is none of a venue's. What the recorder lost is
published as a ``Gap``.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
import zmq

from k2workers import event_loop, wire
from k2workers.continuity import RECORDS, Continuity, Repair, renumbered
from k2workers.events import HEARTBEAT_TOPIC, BookSnapshot, Event, Gap, Heartbeat, Reset, Status
from k2workers.every import Every
from k2workers.recording.conversion import follow
from k2workers.recording.row import Loss, Restart
from k2workers.recording.timeline import Moment, moments
from k2workers.sequencing.coverage import NOT_KNOWN
from k2workers.sequencing.order_book import OrderBook
from k2workers.sequencing.sequencer import Sequencer
from k2workers.transport.books_server import BooksServer
from k2workers.transport.peer_watch import LOOK_S
from k2workers.transport.publisher import Publisher
from k2workers.transport.replay_server import ReplayServer
from k2workers.transport.ring import ReplayRing
from k2workers.transport.sockets import Context

HEARTBEAT_S = 0.25
MARK_TOPIC, MARK_S = "status.replay", 10.0
RING_BYTES, RING_NS = 64 * 2**20, 300 * 10**9
ROWS_A_TURN = 500
FRAMES_WAITING = 1_000
"""For one subscriber, where none may be dropped."""

ROOM_CHECK_S = 0.001
LINGER_MS = 30_000
"""How long the end waits for subscribers to take what was published."""

LOST = "lost by the recorder"

_log = structlog.get_logger(__name__)


class PlaybackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What to publish, where, and from which time on; ``speed`` None is as fast as it is taken."""

    directory: Path
    topics: tuple[str, ...] = ()
    endpoint: str
    snapshot_endpoint: str
    books_endpoint: str
    speed: float | None = 1.0
    from_ns: int = 0


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
        self._taken: list[tuple[str, Event]] = []
        self._frames: deque[bytes] = deque()
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
        self._books_server = BooksServer(self._context, settings.books_endpoint, self._topics_under, self._book_frame)
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
        settings, clock = self._settings, _Clock(self._settings.speed)
        for moment in moments(settings.directory, settings.topics, settings.from_ns):
            if moment.at_ns < settings.from_ns:
                self._pass_over(moment)
                continue
            if self._taken and (clock.wait_s(moment.at_ns) > 0 or len(self._taken) >= ROWS_A_TURN):
                await self._publish()
            while (wait_s := clock.wait_s(moment.at_ns)) > 0:
                await asyncio.sleep(wait_s)
            self._take(moment)
        await self._publish()
        self._mark(ended=True)
        await self._publish()
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

    def _pass_over(self, moment: Moment) -> None:
        """A row before the time from which on it is published: its book counts."""
        if _by_book(moment.continuity):
            follow(self._books.setdefault(moment.topic, OrderBook()), moment.row)

    def _take(self, moment: Moment) -> None:
        topic, event = moment.topic, _published(moment)
        number = self._numbers.get(topic)
        if _by_book(moment.continuity):
            book = self._books.setdefault(topic, OrderBook())
            if number is None and book.whole and not isinstance(event, BookSnapshot):
                self._numbers[topic] = moment.continuity
                self._put(topic, book.snapshot())
            if event is not None or not book.whole:
                follow(book, moment.row)
        if event is None:
            return
        if topic not in self._numbers:
            self._numbers[topic] = moment.continuity if moment.continuity != NOT_KNOWN else RECORDS.number
        if isinstance(event, Reset):
            self._flush()
            self._numbers[topic] = renumbered(self._numbers[topic])
        self._put(topic, event)
        self.rows += 1

    def _put(self, topic: str, event: Event) -> None:
        self._taken.append((topic, event))

    def _flush(self) -> None:
        """Number what was taken."""
        by_topic: dict[str, list[Event]] = {}
        for topic, event in self._taken:
            by_topic.setdefault(topic, []).append(event)
        self._taken.clear()
        now_ns = time.time_ns()
        for topic, events in by_topic.items():
            for _, run in itertools.groupby(events, _form):
                self._sequencer.take(wire.batch_of(topic, list(run), self._numbers[topic]), now_ns)

    async def _publish(self) -> None:
        """Hand over what was taken, however long that takes where nothing may be dropped."""
        self._flush()
        published = self._sequencer.publish(time.time_ns())
        if published:
            self._ring.put_all(published, time.monotonic_ns())
        self._frames.extend(frame for _, _, frame in published)
        while self._frames:
            if self._publisher.offer(self._frames[0]):
                self._frames.popleft()
            else:
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
        self._put(MARK_TOPIC, Status("replay", told, time.time_ns()))

    def _topics_under(self, wanted: str) -> list[str]:
        return [
            topic for topic in self._books if topic == wanted or (wanted.endswith(".") and topic.startswith(wanted))
        ]

    def _book_frame(self, topic: str) -> bytes | None:
        state, book = self._sequencer.topics.get(topic), self._books[topic]
        if state is None or not book.whole or self._taken:
            return None
        batch = wire.batch_of(topic, [book.snapshot()], state.continuity_number)
        return wire.publication(batch, epoch=self._sequencer.epoch, sequence=state.sequence, publish_ns=time.time_ns())


class _Clock:
    """When what was recorded at a time is due: counted from the first that is asked for."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._began: tuple[float, int] | None = None

    def wait_s(self, at_ns: int) -> float:
        if self._speed is None:
            return 0.0
        if self._began is None:
            self._began = time.monotonic(), at_ns
        began_s, began_ns = self._began
        return began_s + (at_ns - began_ns) / 1e9 / self._speed - time.monotonic()


def _published(moment: Moment) -> Event | None:
    """What a feed would publish for a row."""
    of = moment.row.of
    if isinstance(of, Restart) or (isinstance(of, BookSnapshot) and moment.row.sequence is None):
        return None
    if isinstance(of, Loss):
        known = of.first_id is not None and of.last_id is not None and moment.continuity != NOT_KNOWN
        return Gap(of.first_id or 0, of.last_id or 0, LOST, of.at_ns) if known else None
    return of


def _form(event: Event) -> tuple[type, type]:
    return type(event), type(getattr(event, "event", None))


def _by_book(continuity: int) -> bool:
    return continuity != NOT_KNOWN and Continuity.of(continuity).repair is Repair.BOOK


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
