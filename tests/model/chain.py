"""The whole chain in one thread with a clock of its own: a script of steps makes events, faults and deaths, then all is healed and judged.

A script is a list of (step, number); the number chooses whatever the step leaves open. The same script does the same always.
"""

from __future__ import annotations

import contextlib
import random
import re
from collections import deque
from collections.abc import Iterator, Sequence

from k2workers import wire
from k2workers.errors import CheckpointUnusable
from k2workers.events import Event
from k2workers.files import checkpoint
from k2workers.sequencing.doubts import AGREE, STAMPS_APART_NS
from k2workers.transport.reassembly import MAX_EPOCHS_LEFT
from k2workers.transport.relay import KEEP_NS, MOMENTS
from tests.model.feed import HOLD_NS, KEEP_BYTES, MS, SECOND, ModelAggregator, ModelSubscriber, ModelWorker
from tests.model.ledger import LEDGERS, Finding, Ledger
from tests.model.venue import Bars, ModelLine, ModelVenue, Trades
from tests.support.numberings import begin_anew

QUANTUM_NS = 100 * MS
REST_PART_NS = 250 * MS
SETTLE_NS = 60 * SECOND
"""At rest everything must be whole within this time."""

Script = Sequence[tuple[str, int]]


class Chain:
    """One venue, two workers, an aggregator, two subscribers."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * SECOND
        self.wall_offset_ns = 10**18
        self.symbols = [["AUSDT", "BUSDT"], ["CUSDT"]]
        self.kinds = [["trade"], ["trade", "depth", "kline_1s", "book_ticker"]]
        self.shard_of = {
            f"binance.{kind}.{symbol}": shard
            for shard, symbols in enumerate(self.symbols)
            for symbol in symbols
            for kind in self.kinds[shard]
        }
        self.topics = list(self.shard_of)
        self.venue = ModelVenue(self.topics)
        self.unheard: set[str] = set()
        """Topics whose newest batch a subscriber lost: only a further one, or a heartbeat that is missing, shows it."""
        self.dropped: set[str] = set()
        """Topics whose newest event no line has, without any outage: only a further one shows it."""
        self.published: dict[str, int] = {}
        """When anything was published first, by topic."""
        self.venue_down = False
        self.rest_delay_ns = 0
        self.write_ns = 0
        self.disk_full = False
        self.file: bytes | None = None
        self.files: list[bytes] = []
        """What was written so far."""
        self.ring_bytes = 10**6
        self.keep_bytes = KEEP_BYTES
        self.high_water_mark = 1_000
        self.line_number = 0
        self.gone: set[str] = set()
        """Topics of which something died with a worker, or had to be forgotten, that REST cannot bring by its id: that is told as lost."""
        self.begun_anew: set[int] = set()
        """Shards some of whose ids began anew. Only this life of their worker knows it until a checkpoint does: before, it does not die."""
        self.lives = 0
        self.all_have_gone_on = False
        self.steps_done = 0
        self.workers: dict[int, ModelWorker] = {}
        self.orphans: list[tuple[bytes, deque[list[bytes]]]] = []
        """What dead workers had sent and what still arrives."""
        self.due: list[tuple[int, str, int]] = []
        """What starts again: when, what, which."""
        self.aggregator: ModelAggregator | None = None
        self.ended: list[tuple[ModelAggregator, int]] = []
        """Lives of the aggregator that ended, and when."""
        self.subscribers: list[ModelSubscriber] = []
        self._start_aggregator()
        for shard in range(len(self.symbols)):
            self._start_worker(shard)
        self.subscribers = [ModelSubscriber(self, number) for number in range(2)]

    # ── what the processes use ──────────────────────────────────────────────────────────────────────────

    @property
    def wall_ns(self) -> int:
        """The clock on the wall, which may be set."""
        return self.now_ns + self.wall_offset_ns

    def next_salt(self) -> int:
        """What makes an epoch like no other."""
        self.lives += 1
        return self.lives

    def new_ledgers(self) -> dict[str, Ledger]:
        """Of a program that begins."""
        return {topic: LEDGERS[type(source)](source) for topic, source in self.venue.sources.items()}

    def write(self, content: bytes) -> None:
        """The checkpoint file."""
        self.file = content
        self.files.append(content)

    def arriving(self) -> Iterator[tuple[bytes, deque[list[bytes]]]]:
        """What is on its way to the aggregator, by worker."""
        yield from self.orphans
        self.orphans = [(name, queue) for name, queue in self.orphans if queue]
        for worker in self.workers.values():
            yield worker.name, worker.to_aggregator

    def finding(self, words: str) -> None:
        """Something is not as it must be."""
        raise Finding(words)

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, ns: int, part_ns: int = QUANTUM_NS) -> None:
        """Let time pass, in small parts; each process does what is its turn."""
        end_ns = self.now_ns + ns
        while self.now_ns < end_ns:
            self.now_ns += part_ns
            for due in [due for due in self.due if due[0] <= self.now_ns]:
                self.due.remove(due)
                self._start(due[1], due[2])
            self.turn()

    def turn(self) -> None:
        """Everybody once."""
        now_ns = self.now_ns
        for worker in self.workers.values():
            resumed = worker.resumed
            for line in worker.lines:
                worker.read(line, 1_000, now_ns)
            worker.turn(now_ns)
            if worker.resumed and not resumed:
                self._excuse_unknown(worker)
        if self.aggregator is not None:
            self.aggregator.turn(now_ns)
        for subscriber in self.subscribers:
            if subscriber.alive:
                subscriber.turn(now_ns)
        self._check_bounds()

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────

    def step(self, name: str, number: int) -> None:
        """One step of a script."""
        self.steps_done += 1
        getattr(self, f"do_{name}")(number)

    def do_event(self, number: int) -> None:
        topic = self._topic(number)
        for turn in range(1 + number // 8 % 3):
            self._send(topic, final=turn == number // 24 % 2)

    def do_drop(self, number: int) -> None:
        """An event that is dropped on every line, or on the first of two."""
        topic = self._topic(number)
        self._send(topic, from_line=1 + number // 8 % 2, final=number // 16 % 2 == 1)

    def do_skip(self, number: int) -> None:
        source = self.venue.sources[self._topic(number)]
        if isinstance(source, Trades):
            source.skip(1 + number // 8 % 3)

    def do_read(self, number: int) -> None:
        worker = self.workers.get(number % 2)
        if worker is not None and worker.lines:
            worker.read(worker.lines[number // 2 % len(worker.lines)], 1 + number // 4 % 4, self.now_ns)

    def do_turn(self, _number: int) -> None:
        self.turn()

    def do_wait(self, number: int) -> None:
        self.advance((1 + number % 8) * 3 * QUANTUM_NS)

    def do_wait_long(self, number: int) -> None:
        self.advance((1 + number % 4) * SECOND)

    def do_break(self, number: int) -> None:
        """All lines of a worker break; what was not read is lost."""
        worker = self.workers.get(number % 2)
        if worker is not None and worker.lines:
            worker.lines.clear()
            worker.connect_ns = self.now_ns + number // 2 % 4 * SECOND
            self._outage(worker.shard)

    def do_rotate(self, number: int) -> None:
        worker = self.workers.get(number % 2)
        if worker is None or not worker.lines:
            return
        if len(worker.lines) == 1:
            worker.open_line(self.now_ns)
        else:
            worker.read(worker.lines[0], 1_000, self.now_ns)
            worker.lines.pop(0)
            worker.intake.several_lines(False)

    def do_kill_worker(self, number: int) -> None:
        worker = self.workers.pop(number % 2, None) if self._numberings_are_safe(number % 2) else None
        if worker is not None:
            self.gone.update(topic for topic in worker.index_of if topic.startswith("binance.depth."))
            queue = worker.to_aggregator
            arrives = number // 2 % (len(queue) + 1)
            self.orphans.append((worker.name, deque(list(queue)[:arrives])))
            self._outage(worker.shard)
            self.due.append((self.now_ns + number // 4 % 4 * SECOND // 2, "worker", worker.shard))

    def do_kill_aggregator(self, number: int) -> None:
        dead = self.aggregator
        if dead is None:
            return
        self.aggregator = None
        self.ended.append((dead, self.now_ns))
        for subscriber in self.subscribers:
            self._excuse(subscriber)
            subscriber.replies.clear()
            for life, queue in subscriber.queues:
                if life is dead:
                    arrives = number % (len(queue) + 1)
                    kept = list(queue)[:arrives]
                    queue.clear()
                    queue.extend(kept)
            subscriber.connect_ns = self.now_ns + number // 3 % 3 * SECOND // 2
        for worker in self.workers.values():
            for _ in range(number // 5 % (len(worker.to_aggregator) + 1)):
                worker.to_aggregator.popleft()
        self.orphans.clear()
        if dead.writer.pending is not None and not self.disk_full and number % 2:
            self.write(dead.writer.pending[1])  # and nobody was told
        self.due.append((self.now_ns + number // 2 % 5 * SECOND // 2, "aggregator", 0))

    def do_kill_subscriber(self, number: int) -> None:
        subscriber = self.subscribers[number % 2]
        if subscriber.alive:
            subscriber.die()
            self._excuse(subscriber)
            self.due.append((self.now_ns + number // 2 % 4 * SECOND // 2, "subscriber", number % 2))

    def do_save(self, number: int) -> None:
        """The program reads some, and saves: often in the middle of a batch."""
        subscriber = self.subscribers[number % 2]
        if subscriber.alive:
            subscriber._read_all()
            subscriber.program_reads(number // 2 % 6)
            subscriber.save()

    def do_lose_frames(self, number: int) -> None:
        """A subscriber is too slow: what is published now does not reach it."""
        subscriber = self.subscribers[number % 2]
        if subscriber.alive and self.aggregator is not None:
            for worker in self.workers.values():
                for line in worker.lines:
                    worker.read(line, 1_000, self.now_ns)
            self.aggregator.turn(self.now_ns)
            for _, queue in subscriber.queues:
                for _ in range(min(len(queue), 1 + number // 2 % 4)):
                    header = wire.read_header(queue.pop())
                    if header.topic in self.shard_of:
                        self.unheard.add(header.topic)

    def do_rest_fails(self, number: int) -> None:
        self.venue.failing = not self.venue.failing

    def do_rest_late(self, number: int) -> None:
        self.venue.behind_ns = number % 4 * 300 * MS

    def do_rest_slow(self, number: int) -> None:
        self.rest_delay_ns = number % 4 * 400 * MS

    def do_venue_down(self, number: int) -> None:
        self.venue_down = not self.venue_down
        if self.venue_down:
            for worker in self.workers.values():
                worker.lines.clear()
                self._outage(worker.shard)

    def do_disk_full(self, number: int) -> None:
        self.disk_full = not self.disk_full

    def do_disk_slow(self, number: int) -> None:
        self.write_ns = number % 4 * SECOND

    def do_lose_file(self, number: int) -> None:
        """The checkpoint file is gone, or an old copy is put in its place."""
        if self.begun_anew:
            return
        self.file = self.files[number % len(self.files)] if self.files and number % 2 else None

    def do_damage_file(self, number: int) -> None:
        if self.file and not self.begun_anew:
            self.file = self.file[: number % len(self.file)]

    def do_clock(self, number: int) -> None:
        self.wall_offset_ns += (number % 9 - 4) * 10 * SECOND

    def do_die_with_gap(self, number: int) -> None:
        """A gap is announced while REST fails, and the worker, the aggregator or both die before it is filled."""
        topic = self._topic(number)
        self.venue.failing = True
        self._send(topic, from_line=2, final=True)
        self._send(topic)
        self.advance(HOLD_NS + 3 * QUANTUM_NS)
        if number // 8 % 3 != 1:
            self.do_kill_worker(self.shard_of[topic] + 2 * (number // 24))
        if number // 8 % 3 != 0:
            self.do_kill_aggregator(number)
        self.venue.failing = number // 72 % 2 == 1

    def do_starve(self, number: int) -> None:
        """The aggregator is away for longer than a worker can keep what comes."""
        self.do_little_room(number)
        self.do_kill_aggregator(number)
        for turn in range(24):
            self._send(self._topic(number + turn % 2))
            self.turn()

    def do_cut(self, number: int) -> None:
        """The connection between a worker and the aggregator breaks, and both live: what was under way is lost."""
        worker = self.workers.get(number % 2)
        if worker is None:
            return
        for line in worker.lines:
            worker.read(line, 1_000, self.now_ns)
        for _ in range(min(1 + number // 2 % 3, len(worker.to_aggregator))):
            worker.to_aggregator.popleft()
        worker.from_aggregator.clear()

    def do_begin_anew(self, number: int) -> None:
        """The ids of some trades begin anew. Their worker finds out, or is told."""
        topic = self._topic(number)
        source, worker = self.venue.sources[topic], self.workers.get(self.shard_of[topic])
        if (
            not isinstance(source, Trades)
            or worker is None
            or not worker.resumed
            or not worker.lines
            or len(source.made)
            < AGREE  # of a single id nobody can tell whether the second continues it or its successor
            or worker.intake.lanes[worker.index_of[topic]].last_id is None  # it knows of no ids before them
        ):
            return
        for line in worker.lines:
            worker.read(line, 1_000, self.now_ns)
        first_new_id, known = source.begin_anew(), worker.intake.begun.get(topic)
        self.begun_anew.add(worker.shard)
        if number // len(self.topics) % 2 or worker.intake.lanes[worker.index_of[topic]].newest is None:
            begin_anew(worker.intake, worker.index_of[topic], first_new_id)
            self._send(topic)
            return
        for _ in range(3):
            self.advance(STAMPS_APART_NS // 2 + QUANTUM_NS)
            self._send(topic)
            for line in worker.lines:
                worker.read(line, 1_000, self.now_ns)
        if worker.intake.begun.get(topic) == known:
            self.finding(f"{topic}: that its ids have begun anew was not found out")

    def do_glitch(self, number: int) -> None:
        """The venue sends one event that never was, far ahead of the truth. A topic that has begun drops it."""
        topic = self._topic(number)
        worker = self.workers.get(self.shard_of[topic])
        if worker is None or not worker.resumed or worker.intake.lanes[worker.index_of[topic]].last_id is None:
            return
        event = self.venue.sources[topic].glitch(self.now_ns)
        for line in worker.lines:
            line.sent.append((topic, event))
        self._send(topic)

    def do_press(self, number: int) -> None:
        """The links to the aggregator take little for a while."""
        self.high_water_mark = 3 if self.high_water_mark == 1_000 else 1_000

    def do_little_room(self, number: int) -> None:
        """From now on workers may keep little."""
        self.keep_bytes = 1_200 + number * 4
        self.gone.update(topic for topic in self.topics if not topic.startswith("binance.trade."))
        for worker in self.workers.values():
            worker.outbox._keep_bytes = max(self.keep_bytes, worker.outbox.counters.kept_bytes)

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────

    def heal(self) -> None:
        """No more faults, and whoever is dead comes back."""
        self.venue.failing = self.venue_down = self.disk_full = False
        self.venue.behind_ns = self.rest_delay_ns = self.write_ns = 0
        self.high_water_mark = 1_000
        self.advance(4 * SECOND, REST_PART_NS)
        excused = (subscriber.excused for subscriber in self.subscribers)
        for topic in self.topics:
            # Only trades can be asked for when nothing shows that they are missing.
            if topic in self.dropped.union(self.unheard, *excused) or not topic.startswith("binance.trade."):
                self._send(topic)
        self.settle()
        # Whatever stands still shows now.
        for topic in self.topics:
            self._send(topic)
        self.all_have_gone_on = True
        self.settle()

    def settle(self) -> None:
        """Everything is whole within some time. Raises Finding."""
        end_ns = self.now_ns + SETTLE_NS
        while (unsettled := self.unsettled()) and self.now_ns < end_ns:
            self.advance(2 * REST_PART_NS, REST_PART_NS)
        if unsettled:
            self.finding(f"not whole after {SETTLE_NS / 1e9:.0f} s of rest: {'; '.join(unsettled)}")

    def unsettled(self) -> list[str]:
        """What is not as it must be at rest."""
        found: list[str] = []
        for worker in self.workers.values():
            intake, counters = worker.intake, worker.outbox.counters
            gauges = {
                "incomplete": len(intake.incomplete),
                "gaps_open": intake.gaps_open,
                "holding": len(intake._holding),
                "dirty": len(intake._dirty),
                "waiting": worker.repairs.planner.waiting,
                "probes": len(worker.repairs._probes),
                "pending": counters.pending_bundles,
                "kept_bundles": counters.kept_bundles,
                "kept_bytes": counters.kept_bytes,
                # A later event of the topic makes it good.
                "dropped": len(worker.outbox._dropped._ranges) if self.all_have_gone_on else 0,
            }
            found += [f"{worker.name.decode()} {name} {value}" for name, value in gauges.items() if value]
        aggregator = self.aggregator
        assert aggregator is not None
        if aggregator.sequencer.gaps_open:
            found.append(f"aggregator gaps_open {aggregator.sequencer.gaps_open}")
        for topic, truth in self.venue.sources.items():
            state = aggregator.sequencer.topics.get(topic)
            # That ids have begun anew shows with their next event, if it was dropped.
            shows = self.all_have_gone_on or self.shard_of[topic] not in self.begun_anew
            if (
                shows
                and state is not None
                and isinstance(truth, Trades)
                and state.last_id != truth.newest
                and truth.made
            ):
                found.append(f"{topic} published up to {state.last_id} of {truth.newest}")
        for subscriber in self.subscribers:
            found += self._unsettled_subscriber(subscriber)
        return found

    def _unsettled_subscriber(self, subscriber: ModelSubscriber) -> list[str]:
        found: list[str] = []
        assert subscriber.alive
        state, name = subscriber.reassembly, f"subscriber {subscriber.number}"
        if state.waiting or state._held_bytes:
            found.append(f"{name} waits, {state._held_bytes} bytes held")
        for topic, ledger in subscriber.ledgers.items():
            if topic in subscriber.excused:
                continue
            # That ids have begun anew shows with their next event, if the first was forgotten.
            shows = self.all_have_gone_on or self.shard_of[topic] not in self.begun_anew
            if (words := ledger.unsettled()) and (shows or not words.startswith("is in numbering")):
                found.append(f"{name} {topic} {words}")
            standing = state._topics.get(topic)
            if standing is not None and standing.open:
                found.append(f"{name} {topic} counts as open {list(standing.open)}")
        return found

    # ── small steps ─────────────────────────────────────────────────────────────────────────────────────

    def _topic(self, number: int) -> str:
        return self.topics[number % len(self.topics)]

    def _send(self, topic: str, from_line: int = 0, *, final: bool = False) -> None:
        """The venue makes an event; it goes to all lines of its worker from this one on."""
        source = self.venue.sources[topic]
        event: Event = source.next(self.now_ns, final=final) if isinstance(source, Bars) else source.next(self.now_ns)
        worker = self.workers.get(self.shard_of[topic])
        lines: list[ModelLine] = worker.lines if worker is not None else []
        for line in lines[from_line:]:
            line.sent.append((topic, event))
        if lines and not lines[from_line:]:
            self.dropped.add(topic)
        else:
            self.dropped.discard(topic)
            self.unheard.discard(topic)

    def _numberings_are_safe(self, shard: int) -> bool:
        """Whether the checkpoint tells of every numbering that this worker has begun."""
        begun = self.workers[shard].intake.begun if shard in self.workers else {}
        known = {}
        if begun and self.file is not None:
            with contextlib.suppress(CheckpointUnusable):
                known = checkpoint.decode(self.file, {"v": "model"}, 10**18, self.wall_ns).positions
        return all(topic in known and known[topic].continuity == number for topic, (number, _) in begun.items())

    def _outage(self, shard: int) -> None:
        """Its topics are asked for when it is over."""
        self.dropped -= {topic for topic, its in self.shard_of.items() if its == shard}

    def _start(self, what: str, which: int) -> None:
        if what == "worker":
            self._start_worker(which)
        elif what == "aggregator":
            self._start_aggregator()
        else:
            self.subscribers[which].start()

    def _start_worker(self, shard: int) -> None:
        self.lives += 1
        self.workers[shard] = ModelWorker(self, shard, self.lives, self.keep_bytes)

    def _start_aggregator(self) -> None:
        self.aggregator = ModelAggregator(self)
        # Where a topic stood is known to nobody if the file does not tell, and the worker that published it is dead.
        known = self.aggregator.sequencer.positions()
        for topic, first_ns in self.published.items():
            worker = self.workers.get(self.shard_of[topic])
            # What filled a gap in a bundle that had to be forgotten is known to nobody without the file; and bars and diffs cannot be
            # had again by their ids: that they are lost is told.
            forgot = worker is not None and worker.outbox.counters.forgotten > 0
            if topic not in known and (worker is None or worker.begun_ns >= first_ns or forgot):
                self._excuse_all({topic})

    def _excuse(self, subscriber: ModelSubscriber) -> None:
        """What was published long before its life ended, and has not arrived, may be covered by a checkpoint: nobody sends it again."""
        order = {life.sequencer.epoch: place for place, (life, _) in enumerate(self.ended)}
        for place, (life, ended_ns) in enumerate(self.ended):
            for topic, times in life.published.items():
                at = subscriber.place(topic)
                if at is None:
                    continue
                epoch, sequence = at
                has = sequence if epoch == life.sequencer.epoch else 0
                if order.get(epoch, len(order)) <= place and len(times) > has and times[has] <= ended_ns - KEEP_NS:
                    subscriber.excused.add(topic)

    def _excuse_unknown(self, worker: ModelWorker) -> None:
        """A worker begins topics anew: where they stood is known to nobody if the file is gone too."""
        known: set[str] = set()
        if self.aggregator is not None:
            known.update(self.aggregator.sequencer.positions())
        elif self.file is not None:
            with contextlib.suppress(CheckpointUnusable):
                known.update(checkpoint.decode(self.file, {"v": "model"}, 10**18, self.wall_ns).positions)
        self._excuse_all(
            {topic for topic in worker.index_of if topic not in (worker.published or ()) and topic not in known}
        )

    def _excuse_all(self, topics: set[str]) -> None:
        for topic in self.published.keys() & topics:
            for subscriber in self.subscribers:
                subscriber.excused.add(topic)

    def _check_bounds(self) -> None:
        for worker in self.workers.values():
            if worker.outbox.counters.kept_bytes > worker.outbox._keep_bytes:
                self.finding("a worker keeps more than it may")
        if self.aggregator is not None:
            if self.aggregator.ring.bytes > self.ring_bytes:
                self.finding("the ring holds more than it may")
            if len(self.aggregator.relay._moments) > MOMENTS:
                self.finding("more moments wait than may")
        for subscriber in self.subscribers:
            if subscriber.alive and len(subscriber.reassembly._left) > MAX_EPOCHS_LEFT:
                self.finding("a subscriber remembers more epochs than it may")


WEIGHTS = {
    "event": 36, "wait": 12, "turn": 8, "wait_long": 4, "drop": 6, "skip": 2, "read": 4, "break": 3, "rotate": 3, "kill_worker": 4,
    "kill_aggregator": 5, "kill_subscriber": 3, "save": 5, "lose_frames": 3, "rest_fails": 3, "rest_late": 2, "rest_slow": 2,
    "venue_down": 1, "disk_full": 2, "disk_slow": 2, "lose_file": 1, "damage_file": 1, "clock": 2, "press": 1, "little_room": 1, "begin_anew": 1, "glitch": 2, "die_with_gap": 3, "starve": 2, "cut": 2,
}  # fmt: skip
"""How often each step is taken."""


def script(rng: random.Random, length: int) -> list[tuple[str, int]]:
    """A script of random steps."""
    names = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=length)
    return [(name, rng.randrange(240)) for name in names]


def live(steps: Script) -> Chain:
    """One life: everything that happens, and the rest after it. Raises Finding."""
    chain = Chain()
    chain.advance(SECOND)
    for name, number in steps:
        chain.step(name, number)
    chain.heal()
    return chain


def kind_of(error: BaseException) -> str:
    """What findings of the same kind have in common."""
    words = re.sub(r"[0-9]+|[A-C]USDT", "#", str(error))
    return f"{type(error).__name__}: {words[:60]}"


def shortest(steps: Script, kind: str, *, most_lives: int = 300) -> list[tuple[str, int]]:
    """A shorter script with a finding of the same kind: steps are left out as long as it is found, in so many lives at most."""
    lives = 0

    def failing(candidate: Script) -> bool:
        nonlocal lives
        lives += 1
        if lives > most_lives:
            return False
        try:
            live(candidate)
        except Exception as error:  # noqa: BLE001 - whatever it is
            return kind_of(error) == kind
        return False

    current = list(steps)
    size = max(1, len(current) // 2)
    while size:
        at = 0
        while at < len(current):
            candidate = current[:at] + current[at + size :]
            if failing(candidate):
                current = candidate
            else:
                at += size
        size //= 2
    return current
