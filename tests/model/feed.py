"""The processes of the model, each one life: workers, the aggregator, subscribers. What decides is the real code; here are only their sockets and clocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from k2workers import wire
from k2workers.backoff import Backoff
from k2workers.continuity import RECORDS
from k2workers.errors import CheckpointUnusable, VenueError
from k2workers.events import HEARTBEAT_TOPIC, Event, Heartbeat
from k2workers.feed.intake import Intake
from k2workers.feed.repairs import Repairs
from k2workers.files import checkpoint
from k2workers.sequencing.backfill_planner import BackfillPolicy, BackfillRequest
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.tally import Tally
from k2workers.transport import bundle_protocol
from k2workers.transport.deliveries import Delivery, Lost, MessageBatch
from k2workers.transport.inbox import Inbox
from k2workers.transport.outbox import Outbox
from k2workers.transport.position import Position
from k2workers.transport.reassembly import ASK_AGAIN_NS, Reassembly
from k2workers.transport.relay import Relay, begun
from k2workers.transport.ring import ReplayRing
from k2workers.transport.waiting_clock import WaitingClock
from k2workers.venues.binance.spot import BinanceSpot
from tests.model.ledger import BarLedger, TickerLedger
from tests.model.venue import ModelLine

if TYPE_CHECKING:
    from tests.model.chain import Chain

MS = 1_000_000
SECOND = 1_000 * MS
HOLD_NS = 1 * SECOND
WELCOME_NS = 1 * SECOND
GREET_NS = 250 * MS
CHECKPOINT_NS = 1 * SECOND
HEARTBEAT_NS = 250 * MS
POLICY = BackfillPolicy(
    page=7, backoff=Backoff(150 * MS, 2 * SECOND), retry_failed_ns=SECOND, patience_ns=(400 * MS, 2 * SECOND), bar_patience_ns=(400 * MS, 2 * SECOND),
    give_up_ns=12 * SECOND,
)  # fmt: skip
KEEP_BYTES = 64 * 2**20
SPOT = BinanceSpot()


class ModelWorker:
    """One life of a worker: intake, repairs and outbox, as ``worker.py`` puts them together."""

    def __init__(self, chain: Chain, shard: int, number: int, keep_bytes: int) -> None:
        self.chain = chain
        self.shard = shard
        self.name = f"worker-{shard}#{number}".encode()
        self.to_aggregator: deque[list[bytes]] = deque()
        self.from_aggregator: deque[tuple[bytes, ...]] = deque()
        self.lines: list[ModelLine] = []
        self.published: Mapping[str, PublishedPosition] | None = None
        self.resumed = False
        self.begun_ns = chain.now_ns
        self.greet_ns = chain.now_ns
        self.connect_ns = 0
        self.requests: list[tuple[int, BackfillRequest]] = []
        """Under way: when the reply comes."""
        self.outbox = Outbox(self._send, lambda: None, keep_bytes)
        self.intake = Intake(
            SPOT.codec(SPOT.stream_specs(chain.kinds[shard], chain.symbols[shard])), hold_ns=HOLD_NS, push=self.outbox.push,
            on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
        )  # fmt: skip
        self.repairs = Repairs(self.intake, POLICY)
        self.outbox.reached, self.outbox.open_gaps = self.intake.reached, self.intake.open_gaps
        self.outbox.begun = lambda: self.intake.begun
        self.outbox.on_welcome, self.outbox.on_holes = self._on_welcome, self.intake.reopen
        self.outbox.on_forgotten = self.intake.announce
        self.index_of = {topic.topic: index for index, topic in enumerate(self.intake.topics)}

    def _on_welcome(self, welcome: bundle_protocol.Welcome) -> None:
        self.published = welcome.positions
        if self.resumed and self.intake.resume_late(welcome.positions):
            self.repairs.probe(None, self.chain.now_ns)

    def _send(self, *frames: bytes) -> bool:
        if len(self.to_aggregator) >= self.chain.high_water_mark:
            return False
        self.to_aggregator.append(list(frames))
        return True

    def turn(self, now_ns: int) -> None:
        """What its timers and sockets do now."""
        while self.from_aggregator:
            self.outbox.heard(*self.from_aggregator.popleft())
        if now_ns >= self.greet_ns:
            self.greet_ns = now_ns + GREET_NS
            self.outbox.greet()
        if not self.resumed:
            if not self.outbox.welcomed and now_ns < self.begun_ns + WELCOME_NS:
                return
            self.intake.resume(self.published)
            self.resumed = True
        if not self.lines and now_ns >= self.connect_ns and not self.chain.venue_down:
            self.open_line(now_ns)
        self.intake.expire(now_ns)
        for at in [at for at in self.requests if at[0] <= now_ns]:
            self.requests.remove(at)
            self.answer(at[1], now_ns)
        self.repairs.look(now_ns)
        self.repairs.give_up(now_ns)
        while len(self.requests) < 4 and (request := self.repairs.next(now_ns)) is not None:
            self.requests.append((now_ns + self.chain.rest_delay_ns, request))
        while self.outbox.flush():
            pass

    def open_line(self, now_ns: int) -> None:
        """A new connection; the first one after none begins to carry the feed."""
        self.chain.line_number += 1
        self.lines.append(ModelLine(self.chain.line_number))
        self.intake.several_lines(len(self.lines) > 1)
        if len(self.lines) == 1:
            self.repairs.probe(None, now_ns)

    def answer(self, request: BackfillRequest, now_ns: int) -> None:
        """The venue's answer to a request."""
        venue, topic = self.chain.venue, self.intake.topics[request.topic_index].topic
        try:
            if request.snapshot:
                self.repairs.took_book(request, venue.book(topic, now_ns), now_ns)
            else:
                self.repairs.took_events(request, venue.answer(topic, request, now_ns), now_ns, self.chain.wall_ns)
        except VenueError:
            self.repairs.failed(request, now_ns)

    def read(self, line: ModelLine, count: int, now_ns: int) -> None:
        """Read so many messages of a line, as one block."""
        runs: dict[int, list[Event]] = {}
        for _ in range(min(count, len(line.sent))):
            topic, event = line.sent.popleft()
            runs.setdefault(self.index_of[topic], []).append(event)
        if runs and self.resumed:
            self.intake._arbitrate(line.number, runs, now_ns)
            self.intake.flush()


class ModelWriter:
    """What writes checkpoints; it may fail, take its time, or die between the write and the word that it is safe."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.pending: tuple[int, bytes, Callable[[], None]] | None = None

    @property
    def busy(self) -> bool:
        return self.pending is not None

    def save(
        self,
        epoch: int,
        positions: dict[str, PublishedPosition],
        _tally: Tally,
        on_saved: Callable[[], None] = lambda: None,
    ) -> None:
        assert self.pending is None
        content = checkpoint.encode({"v": "model"}, epoch, positions, self.chain.wall_ns)
        self.pending = self.chain.now_ns + self.chain.write_ns, content, on_saved

    def turn(self, now_ns: int) -> None:
        """Ends a write whose time is up."""
        if self.pending is not None and now_ns >= self.pending[0]:
            _, content, on_saved = self.pending
            self.pending = None
            if not self.chain.disk_full:
                self.chain.write(content)
                on_saved()


class ModelAggregator:
    """One life of the aggregator, as ``aggregator.py`` puts it together."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        earlier = checkpoint.Checkpoint(0, {})
        if chain.file is not None:
            try:
                earlier = checkpoint.decode(chain.file, {"v": "model"}, 10**18, chain.wall_ns)
            except CheckpointUnusable as error:
                earlier = checkpoint.Checkpoint(error.epoch, {})
        salt = chain.next_salt()  # no two lives begin in the same nanosecond, although the model's time is coarse
        self.sequencer = begun(earlier.epoch, earlier.positions, chain.wall_ns + salt, salt)
        self.ring = ReplayRing(chain.ring_bytes, 60 * SECOND)
        self.inbox = Inbox(self._say)
        self.writer = ModelWriter(chain)
        self.relay = Relay(self.sequencer, self.ring, self.inbox, self.writer, self._publish)
        self.inbox.on_bundle = lambda worker, batches: self.relay.take(worker, batches, chain.wall_ns)
        self.inbox.on_hello = self._greet
        self.heartbeats = 0
        self.heartbeat_ns = self.checkpoint_ns = chain.now_ns
        self.published: dict[str, list[int]] = {}
        """When each batch of a topic was published."""

    def _greet(self, hello: bundle_protocol.WorkerHello) -> bundle_protocol.Welcome:
        self.publish()
        return self.relay.hello(hello)

    def _say(self, worker: bytes, *frames: bytes) -> None:
        for known in self.chain.workers.values():
            if known.name == worker:
                known.from_aggregator.append(frames)

    def _publish(self, frame: bytes) -> None:
        header = wire.read_header(frame)
        if header.topic != HEARTBEAT_TOPIC:
            self.chain.published.setdefault(header.topic, self.chain.now_ns)
            self.published.setdefault(header.topic, []).append(self.chain.now_ns)
        for subscriber in self.chain.subscribers:
            subscriber.hear(self, header.topic, frame)

    def publish(self) -> None:
        self.relay.publish(self.chain.wall_ns, self.chain.now_ns)

    def turn(self, now_ns: int) -> None:
        """What its timers and sockets do now."""
        for worker, queue in self.chain.arriving():
            for _ in range(min(64, len(queue))):
                first, *more = queue.popleft()
                self.inbox.heard(worker, first, more)
        self.publish()
        self.inbox.challenge(now_ns)
        self.writer.turn(now_ns)
        if now_ns >= self.heartbeat_ns:
            self.heartbeat_ns = now_ns + HEARTBEAT_NS
            self.heartbeats += 1
            batch = wire.batch_of(HEARTBEAT_TOPIC, [Heartbeat(self.chain.wall_ns)], RECORDS.number)
            self._publish(
                wire.publication(
                    batch, epoch=self.sequencer.epoch, sequence=self.heartbeats, publish_ns=self.chain.wall_ns
                )
            )
            self.ring.expire(now_ns)
        if now_ns >= self.checkpoint_ns:
            self.checkpoint_ns = now_ns + CHECKPOINT_NS
            self.relay.checkpoint(now_ns)


class ModelSubscriber:
    """A program and its subscriber. What the program was given is judged by ``ledgers``; it saves them with its position."""

    def __init__(self, chain: Chain, number: int) -> None:
        self.chain = chain
        self.number = number
        self.alive = False
        self.excused: set[str] = set()
        """Topics of which it had not got something that can no longer be had."""
        self.saved: Position | None = None
        self.saved_ledgers = chain.new_ledgers()
        self.start()

    def start(self) -> None:
        """A new life, from what was saved last."""
        self.alive = True
        position = self.saved
        self.reassembly = Reassembly(None if position is None else Position.from_bytes(position.to_bytes()))
        self.ledgers = {topic: ledger.copy() for topic, ledger in self.saved_ledgers.items()}
        self.queues: list[tuple[ModelAggregator, deque[bytes]]] = []
        self.connected: ModelAggregator | None = None
        self.connect_ns = self.chain.now_ns
        self.replies: deque[tuple[ModelAggregator, tuple[str, str, tuple[int, ...] | dict[str, int], list[bytes]]]] = (
            deque()
        )
        self.begun: Delivery | None = None
        self.begun_at = 0
        self.heartbeat = (0, 0)
        self.unsure, self.subscribed = True, False
        self.unanswered: set[str] = set()
        self.asked_ns = 0
        self.clock = WaitingClock(self.chain.now_ns / 1e9)

    def die(self) -> None:
        """Forget everything but what was saved."""
        self.alive = False
        self.queues.clear()
        self.replies.clear()
        self.connected = None

    def save(self) -> None:
        """Save position and work."""
        self.saved = self.reassembly.position(self.begun, self.begun_at)
        self.saved_ledgers = {topic: ledger.copy() for topic, ledger in self.ledgers.items()}

    def place(self, topic: str) -> tuple[int, int] | None:
        """Where it stands in a topic: epoch and sequence; if it is dead, where it will go on."""
        if self.alive:
            state = self.reassembly._topics.get(topic)
            return None if state is None else (state.epoch, state.sequence)
        saved = self.saved.topics.get(topic) if self.saved is not None else None
        return None if saved is None else (saved.epoch, saved.sequence)

    def hear(self, aggregator: ModelAggregator, topic: str, frame: bytes) -> None:
        """The publisher sends."""
        if self.alive and self.connected is aggregator:
            self.queues[-1][1].append(frame)

    # ── as subscriber.py does ───────────────────────────────────────────────────────────────────────────

    def turn(self, now_ns: int) -> None:
        """What its timers and sockets do now; the program reads all that is ready."""
        current = self.chain.aggregator
        if current is not None and self.connected is not current and now_ns >= self.connect_ns:
            self.connected = current
            self.queues.append((current, deque()))
        self._read_all()
        self.tick(now_ns)
        self.program_reads(1_000)

    def _read_all(self) -> None:
        # The queues of an ended life and of a new one are read in turns.
        while any(queue for _, queue in self.queues):
            for _, queue in self.queues:
                if queue:
                    self._take(queue.popleft())
        self.queues = [(life, queue) for life, queue in self.queues if life is self.connected]
        while self.replies:
            _, reply = self.replies.popleft()
            self._hear_reply(*reply)

    def _take(self, frame: bytes) -> None:
        if frame.startswith(b"heartbeat "):
            header = wire.read_header(frame)
            if not self.reassembly.enter(header.epoch):
                return
            epoch, sequence = self.heartbeat
            if self.subscribed and (header.epoch != epoch or header.sequence > sequence + 1):
                self.unsure = True
            self.heartbeat = (header.epoch, header.sequence)
            self.clock.heard(self.chain.now_ns / 1e9)
            self.subscribed = True
            return
        self.reassembly.take(frame, self.clock.now_ns)

    def _hear_reply(
        self, word: str, topic: str, numbers: tuple[int, ...] | dict[str, int], frames: list[bytes]
    ) -> None:
        now_ns = self.clock.now_ns
        if word == "since":
            assert isinstance(numbers, tuple)
            epoch, first, newest = numbers
            if epoch == self.reassembly.epoch:
                self.reassembly.replayed(topic, epoch, first, newest, frames, now_ns)
        else:
            assert isinstance(numbers, dict)
            epoch = numbers["epoch"]
            newest_of = {name: number for name, number in numbers.items() if name != "epoch"}
            if epoch == self.reassembly.epoch:
                self.unanswered.discard(topic)
                if not self.reassembly.has_joined(topic):
                    self.reassembly.join(topic, epoch, newest_of)
                self.reassembly.behind(epoch, newest_of, now_ns)
        self._ask(now_ns)

    def tick(self, now_ns: int) -> None:
        clock_ns = self.clock.look(now_ns / 1e9)
        self.reassembly.tick(clock_ns)
        if self.subscribed:
            if self.unsure:
                self.unsure, self.unanswered, self.asked_ns = False, {"binance."}, clock_ns - ASK_AGAIN_NS
            if self.unanswered and clock_ns - self.asked_ns >= ASK_AGAIN_NS:
                self.asked_ns = clock_ns
                for topic in self.unanswered:
                    self._request("newest", topic, 0)
            self._ask(clock_ns)

    def _ask(self, now_ns: int) -> None:
        if self.reassembly.waiting:
            for topic, sequence in self.reassembly.questions(now_ns):
                self._request("since", topic, sequence)

    def _request(self, word: str, topic: str, sequence: int) -> None:
        """Ask the ring; the answer is on its way at once, and comes if nobody dies."""
        aggregator = self.connected
        if aggregator is None or aggregator is not self.chain.aggregator:
            return
        epoch = aggregator.sequencer.epoch
        if word == "newest":
            self.replies.append((aggregator, ("newest", topic, {"epoch": epoch, **aggregator.ring.newest(topic)}, [])))
            return
        first, newest, frames = aggregator.ring.since(topic, sequence, limit_bytes=2_000, limit_frames=10)
        if first > sequence:
            self.excused.add(topic)
        self.replies.append((aggregator, ("since", topic, (epoch, first, newest), frames)))

    # ── the program ─────────────────────────────────────────────────────────────────────────────────────

    def program_reads(self, count: int) -> None:
        """The program takes so many items."""
        for _ in range(count):
            item = self._next()
            if item is None:
                return
            topic, given = item
            self.ledgers[topic].take(given)
            begun = getattr(self.ledgers[topic], "due", self.ledgers[topic].reached) is not None
            if not isinstance(given, Lost):
                continue
            # Batches of bars that were held behind a hole when a life ended count as lost, although the next life may bring their bars.
            held = isinstance(self.ledgers[topic], BarLedger) and given.count > 0
            harmless = held or topic in self.chain.gone or isinstance(self.ledgers[topic], TickerLedger) or not begun
            if not harmless and topic not in self.excused:
                self.chain.finding(f"subscriber {self.number} was told {given}, and nothing excuses it")

    def _next(self) -> tuple[str, Event | Lost] | None:
        batch = self.begun[0] if self.begun is not None else None
        while not isinstance(batch, MessageBatch) or self.begun_at >= len(batch.events):
            if not self.reassembly.ready:
                return None
            self.begun, self.begun_at = self.reassembly.ready.popleft(), 0
            batch = self.begun[0]
            if isinstance(batch, Lost):
                self.begun = None
                return batch.topic, batch
        event = batch.events[self.begun_at]
        self.begun_at += 1
        return batch.topic, event
