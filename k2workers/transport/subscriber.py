"""Owns the public way to receive: typed events of chosen topics. Holes are repaired; what cannot be repaired is reported as ``Lost``.

    async with Subscriber(["binance.trade.BTCUSDT", "binance.book_ticker."]) as subscriber:
        async for item in subscriber:
            ...

``with`` and a plain ``for`` work the same in programs without an event loop. What is delivered and what is lost is decided
in ``reassembly.py``; here are the sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, overload

import msgspec
import structlog
import zmq

from k2workers import wire
from k2workers.errors import ConfigError, FeedSilent
from k2workers.events import HEARTBEAT_TOPIC
from k2workers.transport import replay_server
from k2workers.transport.away import Away, time_of
from k2workers.transport.batches import ITEMS_A_TURN, Batches, columns_here
from k2workers.transport.book_questions import BookQuestions
from k2workers.transport.book_reassembly import BookReassembly
from k2workers.transport.deliveries import Lost, MessageBatch, MessageColumns, ReassemblyCounters
from k2workers.transport.endpoint import DEFAULT, endpoints_of
from k2workers.transport.items import Items, Message
from k2workers.transport.kept_books import Book, KeptBooks
from k2workers.transport.past_reassembly import PastReassembly
from k2workers.transport.position import Position, TopicPosition
from k2workers.transport.published_socket import PublishedSocket, topics_of
from k2workers.transport.reader_report import ReaderReport
from k2workers.transport.reassembly import ASK_AGAIN_NS
from k2workers.transport.sockets import NOBLOCK, SocketWatcher, readable
from k2workers.transport.subscriber_sockets import fetch_snapshot, open_sockets
from k2workers.transport.waiting_clock import WaitingClock

TICK_S = 0.1
SNAPSHOT_S = 5.0
FEED_LOST_S = 3.0
"""Twelve heartbeats: after so long without one the feed counts as lost. A restart of the aggregator takes about half of it."""

BATCHES_A_TURN = 32
"""So many are read and then given: while they are few, the program still finds them in the processor's cache."""

READY_LIMIT = 10_000
"""Batches that wait for the reader; past it what comes stays in ZeroMQ, bounded by its high water mark."""

_log = structlog.get_logger(__name__)


class Subscriber:
    """Receives topics. A topic ending in ``.`` is a prefix and takes all topics under it; others are exact.

    ``snapshot`` True first delivers the last known batch of each topic, for those who join late. ``position`` (of an earlier subscriber's ``position()``) goes on
    from there: each event once, as far as the feed still has it. ``recover`` False reports every hole at once as ``Lost`` instead of asking ``snapshot_endpoint``
    for it, which is the next port of ``endpoint``'s host unless given; with an endpoint that has no next port (ipc), not giving it is ``recover`` False.
    Topics of book changes (``depth``) begin with a ``BookSnapshot`` that the next event continues, and go on with one after every ``Lost``: it is
    asked for at ``books_endpoint``, the next port of ``snapshot_endpoint`` unless given (None, or no next port: nobody is asked). If it does not come within two
    seconds, the changes come without it, and it follows when it can be had.
    If the feed keeps a disk ring, what the replay port no longer has is read from there, at ``disk_ring_endpoint``: the port after ``books_endpoint`` unless given.
    ``since``, a time (aware, or ns since 1970), joins at that time: what was published from then on comes first. It needs a disk ring, and goes with no ``position``.
    With ``keep_books`` the books of these topics are kept for ``book()``; a ``position`` has none to go on with, and the two do not go together.
    ``high_water_mark`` is how many batches may wait unread before newer ones are dropped (and repaired, or reported as
    ``Lost``). ``on_feed`` is called with False when nobody has spoken for ``FEED_LOST_S``, also if nobody ever has, and with True when a feed is
    heard again; while the program waits for items, in its thread. ``name`` is what the feed shows of it in ``/status``, with what waits for it (the
    program's own name and process unless given). Raises ConfigError for a topic or endpoint that cannot be.
    """

    def __init__(
        self,
        topics: Sequence[str],
        endpoint: str = DEFAULT,
        *,
        snapshot: bool = False,
        snapshot_endpoint: str = "",
        books_endpoint: str | None = "",
        disk_ring_endpoint: str | None = "",
        since: datetime | int | None = None,
        position: Position | None = None,
        keep_books: bool = False,
        recover: bool = True,
        high_water_mark: int = 100_000,
        on_feed: Callable[[bool], object] | None = None,
        name: str = "",
    ) -> None:
        snapshot_endpoint, books_endpoint, disk_ring = endpoints_of(
            endpoint, snapshot_endpoint, books_endpoint, disk_ring_endpoint
        )
        if snapshot and not snapshot_endpoint:
            raise ConfigError(f"snapshot_endpoint: is to be given, as endpoint = {endpoint!r} has no next port")
        self.topics = topics_of(topics)
        self._recover = recover = recover and bool(snapshot_endpoint)
        disk_ring = disk_ring if recover else ""
        since_ns = time_of(since, position, disk_ring)
        self._books = BookReassembly(position) if recover and books_endpoint else None
        self._reassembly = self._books or PastReassembly(position, **({} if recover else {"patience_ns": 0}))
        self._on_feed = on_feed
        self._speaks = True
        """Whether a feed was heard lately; at the start that is assumed."""
        self._absent: set[str] = set()
        self._report = ReaderReport(self._reassembly, name)
        self._given = 0
        self._kept_books = KeptBooks(self.topics, position) if keep_books else None
        self._items = Items(self._reassembly, self._kept_books)
        self._context, self._asking, self._asking_books, self._asking_disk = open_sockets(
            snapshot_endpoint, books_endpoint if self._books else None, high_water_mark
        )
        self._snapshot_endpoint, self._snapshot = snapshot_endpoint, snapshot
        """Where to ask for a snapshot, and whether one is still to be asked for: not before what was published earlier has come."""
        self._away = Away(self._asking_disk, disk_ring, self._reassembly, self.topics, since_ns)
        self._published = PublishedSocket(
            self._context, endpoint, self.topics, high_water_mark, live=not self._away.active
        )
        self._heartbeats = HEARTBEAT_TOPIC in self.topics
        self._heartbeat = (0, 0)
        # Whether topics may have gone on unheard: then all of them are asked for, not only those with a visible hole. At the start
        # the answer tells from where those count that the position does not know.
        self._unsure = True
        self._unanswered: set[str] = set()
        """Topics whose newest sequences were asked for."""
        self._asked_ns = 0
        self._book_questions = BookQuestions(self._asking_books, self._books, self.topics)
        self._subscribed = False
        self._left_waiting = False
        self._watchers: list[SocketWatcher] = []
        self._timer: asyncio.TimerHandle | None = None
        self._clock = WaitingClock(time.monotonic())
        self._arrived: asyncio.Event | None = None
        self._failure: Exception | None = None
        """What went wrong in the event loop's own calls: it reaches the program where it waits for items."""

    @property
    def counters(self) -> ReassemblyCounters:
        """Batches and events delivered, repaired, lost, refused, and dropped as duplicates."""
        return self._reassembly.counters

    def position(self) -> Position:
        """Where the program stands: everything that the iteration has given. Save it, and pass it to a new Subscriber."""
        return self._items.position()

    def book(self, name: str, levels: int | None = None) -> Book:
        """The book of a topic of changes, or of its venue and symbol (``binance.BTCUSDT``), as of all that the iteration has given; so many levels a side, or all.

        Raises ConfigError without ``keep_books``, and for one that is not subscribed.
        """
        if self._kept_books is None:
            raise ConfigError("book: allowed only with keep_books = True")
        return self._kept_books.book(name, levels, time.time_ns())

    def place(self, topic: str) -> TopicPosition | None:
        """Where the program stands in one topic after whole batches (not between two events of one); None before anything of it came."""
        return self._reassembly.place(topic)

    @property
    def epoch(self) -> int | None:
        """The life of the feed that it hears; None before it has heard any."""
        return self._reassembly.epoch

    @property
    def absent(self) -> list[str]:
        """Topics and prefixes under which the feed had published nothing in its life when it was last asked (at the start, and after silence)."""
        return sorted(self._absent)

    @overload
    def batches(self, *, frames: bool = False) -> Batches[MessageBatch | Lost]: ...
    @overload
    def batches(self, *, columns: Literal[True]) -> Batches[MessageColumns | MessageBatch | Lost]: ...
    @overload
    def batches(self, *, columns: bool) -> Batches[MessageColumns | MessageBatch | Lost]: ...
    def batches(self, *, columns: bool = False, frames: bool = False) -> Batches[Any]:
        """The same items, a batch at a time: less work an event. All ways may be mixed.

        With ``columns`` a batch of the venue's data comes as ``MessageColumns``: a typed column a field, and no object an event. What the feed itself says
        (``Gap``, ``Reset``, ``Backfilled``, ``BookSnapshot`` …) comes as a ``MessageBatch`` with its events, and ``Lost`` as ever. With ``frames`` a batch
        that is given as it was published has those bytes in ``frame``, for who passes them on.
        """
        if frames:
            self._items.keep_frames()
        if columns:
            self._items.prefer_columns(*columns_here())
        next_item = self._items.columns if columns else self._items.batch
        return Batches(next_item, self._wait_plainly, self._wait_later)

    def close(self) -> None:
        """Stop receiving. Safe to call twice."""
        if self._asking.closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        for watcher in self._watchers:
            watcher.stop()
        self._published.close()
        self._asking.close()
        self._asking_books.close()
        self._asking_disk.close()
        self._context.term()

    # ── both ways of use ────────────────────────────────────────────────────────────────────────────────

    def _take_published(self) -> bool:
        """Read batches that have arrived. Returns whether more may wait."""
        # Most often one alone has come: it is dealt with before anybody looks whether there is another, and that in the same call of the loop.
        return (
            not self._is_full()
            and self._take_up_to(1)
            and readable(self._published.socket)
            and self._take_up_to(BATCHES_A_TURN)
        )

    def _take_up_to(self, most: int) -> bool:
        """Returns whether there were so many."""
        receive, take_plain = self._published.socket.recv, self._reassembly.take_plain
        try:
            for _ in range(most):
                frame = receive(NOBLOCK)
                if not take_plain(frame):
                    self._hear(frame)
        except zmq.Again:
            return False
        return True

    def _hear(self, frame: bytes) -> None:
        try:
            if frame.startswith(b"heartbeat ") and not (self._hear_heartbeat(frame) and self._heartbeats):
                return
            self._reassembly.take_other(frame, self._clock.now_ns)
        except wire.WireError as error:
            _log.error("batch_unreadable", error=str(error))

    def _take_replies(self) -> bool:
        """Read answers that have arrived, at most 8 a call. Returns whether more may wait."""
        if self._is_full():
            return False
        now_ns = self._clock.now_ns
        for _ in range(8):
            if not readable(self._asking):
                return False
            word, *rest = self._asking.recv_multipart(zmq.NOBLOCK)
            try:
                self._hear_reply(word, rest, now_ns)
            except (msgspec.MsgspecError, wire.WireError, IndexError, ValueError) as error:
                _log.error("reply_unreadable", error=str(error))
            self._ask(now_ns)
        return True

    def _take_books(self) -> bool:
        """Read whole books that have arrived. Returns whether more may wait."""
        return not self._is_full() and self._book_questions.take(self._clock.now_ns)

    def _is_full(self) -> bool:
        """Whether enough items wait for the program; then new ones stay in ZeroMQ until it has read some."""
        # Before the first heartbeat it reads on: a busy feed would keep it from ever hearing one.
        full = self._subscribed and len(self._reassembly.ready) >= READY_LIMIT
        self._left_waiting = self._left_waiting or full
        return full

    def _hear_heartbeat(self, frame: bytes) -> bool:
        """Returns whether it counts: not if its epoch was left, or what was published before is still to come."""
        header = wire.read_header(frame)
        if self._away.active:
            self._feed_speaks()
            return False
        if not self._reassembly.enter(header.epoch):
            return False
        epoch, sequence = self._heartbeat
        if self._subscribed and (header.epoch != epoch or header.sequence > sequence + 1):
            self._unsure = True
        self._heartbeat = (header.epoch, header.sequence)
        self._feed_speaks()
        return True

    def _feed_speaks(self) -> None:
        self._clock.heard(time.monotonic())
        self._subscribed = self._away.hear(time.monotonic())
        if not self._speaks:
            self._tell_of_feed(speaks=True)

    def _hear_reply(self, word: bytes, rest: list[bytes], now_ns: int) -> None:
        # What is published says which life the feed is in: an answer of a new one may overtake what the last one published. It
        # is asked for again.
        if word == replay_server.DISK or not word:
            self._hear_of_disk_ring(exists=replay_server.unpack_disk(rest[0]) if word else None)
        elif self._away.active:
            return  # it was asked for before
        elif not rest:
            self._put_snapshot([word])
        elif word == replay_server.SINCE:
            epoch, first, newest = replay_server.unpack_since(rest[1])
            if epoch == self._reassembly.epoch and not self._goes_to_disk(rest[0].decode(), first):
                self._reassembly.replayed(rest[0].decode(), epoch, first, newest, rest[2:], now_ns)
        elif word == replay_server.NEWEST:
            epoch, newest_of = replay_server.unpack_newest(rest[1])
            if epoch == self._reassembly.epoch:
                wanted = rest[0].decode()
                self._unanswered.discard(wanted)
                (self._absent.discard if newest_of else self._absent.add)(wanted)
                if not self._reassembly.has_joined(wanted):
                    self._reassembly.join(wanted, epoch, newest_of)
                self._reassembly.behind(epoch, newest_of, now_ns)

    def _tick(self) -> None:
        """Ask for what is missing and give up what cannot be had; called about ten times a second."""
        now_ns = self._clock.look(time.monotonic())
        if len(self._reassembly.ready) >= READY_LIMIT:
            self._clock.silent_s = 0.0  # heartbeats wait unread
        if self._speaks and self._clock.silent_s >= FEED_LOST_S:
            self._tell_of_feed(speaks=False)
        if self._away.active:
            self._tick_away()
        else:
            self._reassembly.tick(now_ns)
        if self._reassembly.unreadable:
            _log.error("batch_unreadable", error=self._reassembly.unreadable)
            self._reassembly.unreadable = ""
        self._report.tell_of_refusal(time.monotonic())
        if self._recover and self._subscribed and not self._away.active:
            if self._unsure:
                self._unsure, self._unanswered, self._asked_ns = False, set(self.topics), now_ns - ASK_AGAIN_NS
                self._ask_for_snapshot()
            if self._unanswered and now_ns - self._asked_ns >= ASK_AGAIN_NS:
                self._asked_ns = now_ns
                for topic in self._unanswered:
                    self._say(replay_server.NEWEST, topic.encode())
            self._ask(now_ns)
            if report := self._report.due(time.monotonic()):
                self._say(*report)
            self._book_questions.ask(now_ns)

    # ── what was published while it was away: see ``Away`` ──────────────────────────────────────────────

    def _subscribe_anew(self) -> None:
        self._published.renew(live=not self._away.active)
        self._subscribed, self._unsure, self._heartbeat = False, True, (0, 0)

    def _tick_away(self) -> None:
        now_s = time.monotonic()
        if self._away.asks(now_s):
            self._say(replay_server.DISK)
        if not self._away.active:
            self._subscribe_anew()
        self._away.tick(now_s)
        self._take_past()

    def _take_past(self) -> bool:
        """Read what was published before, as the program has room for it. Returns whether more may wait."""
        room = len(self._reassembly.ready) < READY_LIMIT
        self._left_waiting = self._left_waiting or not room
        more = self._away.take(self._clock.now_ns, room=room)
        if self._away.over:
            self._away.end(self._clock.now_ns)
            self._subscribe_anew()
        return more

    def _goes_to_disk(self, topic: str, first: int) -> bool:
        """The memory ring begins with this sequence: whether its answer does not count, because the disk ring is read before."""
        lacks = self._away.lacks(topic, first)
        if lacks:
            self._away.begin(time.monotonic())
            self._subscribe_anew()
        elif lacks is None:
            self._say(replay_server.DISK)
        return lacks is not False

    def _hear_of_disk_ring(self, *, exists: bool | None) -> None:
        asking = self._away.active
        try:
            self._away.told(time.monotonic(), exists=exists)
        except ConfigError as error:
            self._fail(error)
        if asking and not self._away.active:
            self._subscribe_anew()

    def _tell_of_feed(self, *, speaks: bool) -> None:
        self._speaks = speaks
        if self._on_feed is not None:
            self._on_feed(speaks)

    def _ask(self, now_ns: int) -> None:
        if self._recover and self._reassembly.waiting:
            for topic, sequence in self._reassembly.questions(now_ns):
                self._say(replay_server.SINCE, topic.encode(), replay_server.pack(sequence))

    def _say(self, *frames: bytes) -> None:
        with contextlib.suppress(zmq.Again):  # asked again at a later tick
            self._asking.send_multipart(frames, zmq.NOBLOCK)

    def _ask_for_snapshot(self) -> None:
        for topic in self.topics if self._snapshot else ():
            self._say(replay_server.LAST, topic.encode())
        self._snapshot = False

    def _put_snapshot(self, frames: list[bytes]) -> None:
        for frame in frames:
            # A topic that was heard live needs no last value, and must not be moved past what still waits to be read.
            header = wire.read_header(frame)
            if header.epoch == self._reassembly.epoch and not self._reassembly.knows(header.topic):
                self._reassembly.take(frame, self._clock.now_ns)

    # ── plain iteration ─────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        try:
            if self._snapshot and not self._away.active:
                self._snapshot = False
                self._await_subscribed(SNAPSHOT_S)
                self._put_snapshot(fetch_snapshot(self._context, self._snapshot_endpoint, self.topics, SNAPSHOT_S))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message | Lost:
        while (item := self._items.message()) is None:
            self._wait_plainly()
        return item

    def _wait_plainly(self) -> None:
        if time.monotonic() - self._clock.looked_s >= TICK_S:
            self._tick()
        more = self._take_published()
        more = self._take_replies() or more
        more = self._take_books() or more
        more = self._take_past() or more
        self._raise_failure()
        if not more and not self._reassembly.ready:
            sockets = [self._published.socket, self._asking, self._asking_books, self._asking_disk]
            zmq.select(sockets, [], [], TICK_S)

    def _await_subscribed(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not self._subscribed:
            if time.monotonic() > deadline_s:
                raise self._silent(timeout_s)
            if not self._take_published():
                self._published.socket.poll(100)

    # ── asynchronous iteration ──────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        self._arrived = asyncio.Event()
        self._watchers = [
            SocketWatcher(self._asking, lambda: self._turn(self._take_replies)),
            SocketWatcher(self._asking_books, lambda: self._turn(self._take_books)),
            SocketWatcher(self._asking_disk, lambda: self._turn(self._take_past)),
        ]
        for watcher in self._watchers:
            watcher.start()
        self._published.watch(lambda: self._turn(self._take_published))
        try:
            self._tick_later()
            if self._snapshot and not self._away.active:
                self._snapshot = False
                await self.wait_subscribed(SNAPSHOT_S)
                self._put_snapshot(
                    await asyncio.to_thread(
                        fetch_snapshot, self._context, self._snapshot_endpoint, self.topics, SNAPSHOT_S
                    )
                )
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message | Lost:
        self._given += 1
        if self._given % ITEMS_A_TURN == 0:
            await asyncio.sleep(0)
        while (item := self._items.message()) is None:
            await self._wait_later()
        return item

    async def _wait_later(self) -> None:
        assert self._arrived is not None, "use 'async with' first"
        self._raise_failure()
        self._arrived.clear()
        if self._left_waiting:
            self._left_waiting = False
            self._kick()
        await self._arrived.wait()
        self._raise_failure()

    async def wait_subscribed(self, timeout_s: float) -> None:
        """Wait until the publisher has every subscription. Raises FeedSilent if nothing is heard in time."""
        assert self._arrived is not None, "use 'async with' first"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._subscribed:
                    self._raise_failure()
                    self._arrived.clear()
                    await self._arrived.wait()
        if not self._subscribed:
            raise self._silent(timeout_s)

    def _turn(self, take: Callable[[], bool]) -> bool:
        assert self._arrived is not None
        subscribed = self._subscribed
        try:
            more = take()
        except Exception as error:
            self._fail(error)
            raise
        # Only if something came: a reader that is woken for nothing asks again at once, for ever.
        if self._reassembly.ready or self._subscribed is not subscribed:
            self._arrived.set()
        return more

    def _fail(self, error: Exception) -> None:
        """Keep it for the program: this process is its own, and only it can know whether to go on without these topics."""
        self._failure = error
        if self._arrived is not None:
            self._arrived.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _tick_later(self) -> None:
        try:
            self._tick()
        except Exception as error:
            self._fail(error)
            raise
        self._kick()  # a question sent may swallow the sign that an answer has come
        if self._reassembly.ready and self._arrived is not None:
            self._arrived.set()
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick_later)

    def _kick(self) -> None:
        self._published.kick()
        for watcher in self._watchers:
            watcher.kick()

    def _silent(self, timeout_s: float) -> FeedSilent:
        endpoint = self._published.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        return FeedSilent(f"nothing heard from {endpoint} within {timeout_s:g} s; is k2workers running there?")
