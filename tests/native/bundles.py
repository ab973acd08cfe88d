"""Owns the comparison of the aggregator's native way with Python: what workers send, damaged in every way, through both.

``python -m tests.native.bundles --bundles 1000000 --seed 1`` runs as long as one likes and prints the first difference; the tests run some
thousands. What is compared: every published frame, byte for byte; the ring; and at any moment where topics stand, what was counted, what a
checkpoint holds, what workers are told.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from k2workers import wire
from k2workers.continuity import Continuity, Identity, renumbered
from k2workers.events import (
    Backfilled,
    BlockTrade,
    BookSnapshot,
    BookTicker,
    DepthUpdate,
    Event,
    Gap,
    GivenUp,
    Heartbeat,
    Kline,
    MiniTicker,
    Reset,
    Status,
    Trade,
    Void,
)  # fmt: skip
from k2workers.sequencing.coverage import Holes, PublishedPosition, Reached
from k2workers.sequencing.native_sequencer import sequencer as native_sequencer
from k2workers.sequencing.sequencer import Sequencer
from k2workers.sequencing.tally import Tally
from k2workers.transport import bundle_protocol
from k2workers.transport.bundle_protocol import BUNDLE_BEGIN, WorkerHello
from k2workers.transport.relay import KEEP_NS, Relay, begun
from k2workers.transport.ring import ReplayRing
from tests.support.batches import CONTINUITY_OF

BEGAN_NS = 1_795_533_324_193_019_000
WORKERS = (b"worker-0#1", b"worker-1#1")
RING_BYTES, RING_AGE_NS = 40_000, 60_000_000_000
SYMBOLS = ("AUSDT", "BUSDT", "币安USDT")
LONG = "X" * 40
ANYHOW = Continuity(identity=Identity.TEXT)
"""Of topics whose ids have no order."""

Step = tuple[str, Any]
"""What happens, and with what."""


class Way:
    """An aggregator without its sockets, native or not."""

    def __init__(self, *, native: bool) -> None:
        self._make = native_sequencer if native else Sequencer
        self.frames: list[bytes] = []
        self.told: list[object] = []
        """What workers were told, checkpoints, and errors."""
        self.busy = False
        self.plain_bundles = 0
        self.left_bundles: Counter[str] = Counter()
        self.saved: tuple[int, dict[str, PublishedPosition], Tally] = (0, {}, Tally())
        self.bundles = 0
        self.begin()

    def begin(self) -> None:
        """A life of the aggregator, after the last checkpoint."""
        epoch, positions, tally = self.saved
        positions = msgspec.msgpack.decode(msgspec.msgpack.encode(positions), type=dict[str, PublishedPosition])
        self.sequencer = begun(epoch, positions, BEGAN_NS, 1, tally, self._make)
        self.ring = ReplayRing(RING_BYTES, RING_AGE_NS)
        self.relay = Relay(self.sequencer, self.ring, self, self, self.frames.append)

    def note_shares(self) -> None:
        self.plain_bundles += self.sequencer.plain_bundles
        self.left_bundles += self.sequencer.left_bundles

    # ── links and writer ────────────────────────────────────────────────────────────────────────────────

    def taken(self) -> dict[bytes, int]:
        return dict.fromkeys(WORKERS, self.bundles)

    def acknowledge(self, numbers: Mapping[bytes, int]) -> None:
        self.told.append(dict(numbers))

    def tell_holes(self, worker: bytes, holes: Holes) -> None:
        self.told.append((worker, msgspec.msgpack.encode(holes)))

    def save(
        self,
        epoch: int,
        positions: dict[str, PublishedPosition],
        tally: Tally,
        on_saved: Callable[[], None] = lambda: None,
    ) -> None:
        self.saved = epoch, positions, tally
        self.told.append(self.saved)
        on_saved()

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────

    def act(self, step: Step, now_ns: int) -> None:
        """Do it; what goes wrong is noted, as the aggregator's log would."""
        word, what = step
        try:
            getattr(self, f"_{word}")(what, now_ns)
        except Exception as error:  # noqa: BLE001 - whatever Python makes of garbage, the native way must make of it too
            self.told.append(f"{type(error).__name__}: {error}")

    def _bundle(self, what: tuple[bytes, bytes], now_ns: int) -> None:
        worker, frame = what
        self.bundles += 1
        if not self.relay.take_plain(frame, BUNDLE_BEGIN):
            self.relay.take(worker, bundle_protocol.bundle_of(frame), now_ns)

    def _publish(self, _: None, now_ns: int) -> None:
        self.relay.publish(now_ns, now_ns)

    def _checkpoint(self, _: None, now_ns: int) -> None:
        self.relay.checkpoint(now_ns)

    def _expire(self, _: None, now_ns: int) -> None:
        self.ring.expire(now_ns)

    def _hello(self, hello: WorkerHello, _now_ns: int) -> None:
        self.told.append(self.relay.hello(hello))

    def _look(self, _: None, _now_ns: int) -> None:
        self.told.append(self.state())

    def _restart(self, _: None, _now_ns: int) -> None:
        self.note_shares()
        self.begin()

    def state(self) -> dict[str, Any]:
        """All that anybody can ask."""
        one, ring = self.sequencer, self.ring
        topics = {
            topic: (
                state.sequence, state.first_id, state.last_id, state.count, state.whole, state.filled, state.continuity_number,
                list(state.open), list(state.closed), state.next_id,
            )
            for topic, state in one.topics.items()
        }  # fmt: skip
        return {
            "events": one.events,
            "topics": topics,
            "positions": one.positions(),
            "tally": one.tally(),
            "figures": (one.gaps, one.void_ids, one.gaps_given_up, one.resets, one.old_events, one.repaired_ids, one.gaps_open),
            "relay": (self.relay.batches, self.relay.bytes, self.relay.unreadable, self.relay.cause),
            "ring": (ring.bytes, len(ring), ring.newest("binance."), ring.last("binance.")),
            "since": [ring.since(topic, 1, limit_bytes=2**30, limit_frames=2**30) for topic in topics],
        }  # fmt: skip


class Flow:
    """The events of one topic, in order; each call of ``next`` gives some."""

    def __init__(self, topic: str, event_type: type[Event], chance: random.Random) -> None:
        self.topic = topic
        self.number = (ANYHOW if event_type is BlockTrade else CONTINUITY_OF[event_type]).number
        self.id = chance.choice((0, chance.randrange(1, 10**6), 2**40, 2**62))
        self._type = event_type
        self._chance = chance

    def next(self, count: int) -> list[Event]:
        return [self._one() for _ in range(count)]

    def _one(self) -> Event:
        chance, at_ns = self._chance, BEGAN_NS + self._chance.randrange(10**9)
        text = chance.choice(("1", "0.00012300", LONG))
        if self._type is Trade:
            self.id += 1
            return Trade(self.id - 1, text, "1", chance.random() < 0.5, at_ns, at_ns, at_ns)
        if self._type is DepthUpdate:
            first, self.id = self.id, self.id + chance.randrange(1, 9)
            return DepthUpdate(first, self.id - 1, [(text, "1")] * chance.choice((0, 1, 20)), [], at_ns, at_ns)
        if self._type is BlockTrade:
            self.id = chance.randrange(10**6)
            return BlockTrade(self.id, text, "1", True, at_ns, at_ns, at_ns)
        if self._type is BookTicker:
            self.id += chance.randrange(1, 9)
            return BookTicker(self.id, text, "1", "1", "1", at_ns)
        if self._type is MiniTicker:
            self.id += chance.choice((1, 1_000_000_000))
            return MiniTicker("1", "1", "1", text, "1", "1", self.id, at_ns)
        final = chance.random() < 0.2
        bar = Kline(self.id, self.id + 59, text, "1", "1", "1", "1", "1", "1", "1", 0, 0, 0, final, at_ns, at_ns)
        self.id += 60 * final
        return bar


class Worker:
    """What one worker sends: bundles of batches of its topics, plain or not."""

    def __init__(self, name: bytes, kinds: Sequence[type[Event]], chance: random.Random) -> None:
        self.name = name
        self._chance = chance
        self._bundles = 0
        self.flows = [
            Flow(f"binance.{kind.__name__}.{symbol}", kind, chance) for kind in kinds for symbol in SYMBOLS
        ]  # fmt: skip
        self.sent: list[bytes] = []

    def bundle(self, damage: float) -> bytes:
        """The next bundle."""
        chance = self._chance
        batches: list[wire.Batch] = []
        for flow in chance.sample(self.flows, chance.randrange(1, len(self.flows) + 1)):
            events = flow.next(chance.choice((1, 1, 2, 15, 16, 40)))
            batches.append(wire.batch_of(flow.topic, events, flow.number))
            if chance.random() < damage:
                batches[-1:] = chance.choice(DAMAGES)(flow, events, chance)
        frame = self._frame(wire.encode_bundle(batches))
        if chance.random() < damage:
            frame = frame[:BUNDLE_BEGIN] + mutated(frame[BUNDLE_BEGIN:], chance)
        if chance.random() < damage and self.sent:
            frame = chance.choice(self.sent)  # again: another life, or another worker of the same topics
        self.sent = [*self.sent[-20:], frame]
        return frame

    def hello(self) -> WorkerHello:
        """As a worker says it: somewhere near to where its topics stand."""
        chance = self._chance

        def some() -> dict[str, Reached]:
            return {
                flow.topic: (flow.number, max(0, flow.id - chance.randrange(40)))
                for flow in self.flows
                if chance.random() < 0.3
            }

        gaps = {topic: (number, [(max(0, last - 5), last)]) for topic, (number, last) in some().items()}
        return WorkerHello(1, some(), some(), gaps, some())

    def _frame(self, bundle: bytes) -> bytes:
        self._bundles += 1
        return bundle_protocol.numbered(bundle_protocol.BUNDLE, self._bundles) + bundle


Damage = Callable[[Flow, list[Event], random.Random], list[wire.Batch]]


def _batch(flow: Flow, *events: Event) -> wire.Batch:
    return wire.batch_of(flow.topic, events, flow.number)


def _missing(_flow: Flow, _events: list[Event], _chance: random.Random) -> list[wire.Batch]:
    return []


def _skipped(flow: Flow, events: list[Event], chance: random.Random) -> list[wire.Batch]:
    return [_batch(flow, *events[chance.randrange(len(events)) :])]


def _twice(flow: Flow, events: list[Event], _chance: random.Random) -> list[wire.Batch]:
    return [_batch(flow, *events), _batch(flow, *events)]


def _overlapping(flow: Flow, events: list[Event], chance: random.Random) -> list[wire.Batch]:
    return [_batch(flow, *events), _batch(flow, *events[chance.randrange(len(events)) :], *flow.next(2))]


def _late(flow: Flow, events: list[Event], _chance: random.Random) -> list[wire.Batch]:
    later = flow.next(3)
    return [_batch(flow, *later), _batch(flow, *map(Backfilled, events))]


def _announced(flow: Flow, events: list[Event], chance: random.Random) -> list[wire.Batch]:
    first, last = events[0].first_id, events[-1].last_id
    said = chance.choice((Gap(first, last, "x", 1), Void(first, last, 1), GivenUp(first, last, "x", 1)))
    late = [_batch(flow, *map(Backfilled, events))] if chance.random() < 0.5 else []
    return [_batch(flow, said), *late]


def _reset(flow: Flow, events: list[Event], chance: random.Random) -> list[wire.Batch]:
    last, flow.id = events[-1].last_id, chance.randrange(100)
    flow.number = renumbered(flow.number, chance.choice((1, 1, 2)))
    said = [_batch(flow, Reset(last, flow.id, 1))] if chance.random() < 0.7 else []
    return [*said, _batch(flow, *flow.next(2))]


def _of_another_continuity(flow: Flow, events: list[Event], chance: random.Random) -> list[wire.Batch]:
    continuity = chance.choice(list(CONTINUITY_OF.values())).number
    return [wire.batch_of(flow.topic, events, chance.choice((continuity, 7, 2**16 - 1, renumbered(continuity))))]


def _of_another_type(flow: Flow, events: list[Event], chance: random.Random) -> list[wire.Batch]:
    at = events[-1].last_id
    other = chance.choice(
        (BookSnapshot(at, [("1", "1")], [], 1), Status("x", {}, at), Heartbeat(at), BookTicker(at + 1, "1", "1", "1", "1", 1))
    )  # fmt: skip
    return [_batch(flow, *events), _batch(flow, other)]


def _with_other_values(flow: Flow, events: list[Event], chance: random.Random) -> list[wire.Batch]:
    batch = _batch(flow, *events)
    name = chance.choice(("schema", "count", "first_id", "last_id", "continuity"))
    value = getattr(batch, name)
    other = chance.choice((value + 1, value - 1, 0, -1, 2**16, 2**32, 2**63 - 1, 1001))
    return [msgspec.structs.replace(batch, **{name: other})]


def _with_other_events(flow: Flow, events: list[Event], chance: random.Random) -> list[wire.Batch]:
    batch = _batch(flow, *events)
    return [msgspec.structs.replace(batch, events=mutated(batch.events, chance))]


def _of_another_topic(flow: Flow, events: list[Event], chance: random.Random) -> list[wire.Batch]:
    topic = chance.choice(("", "binance.Trade.NEW", "status.x", "binance.Trade." + "X" * 1_100, flow.topic + "\0"))
    return [wire.batch_of(topic, events, flow.number)]


DAMAGES: tuple[Damage, ...] = (
    _missing, _skipped, _twice, _overlapping, _late, _announced, _reset, _of_another_continuity, _of_another_type, _with_other_values,
    _with_other_events, _of_another_topic,
)  # fmt: skip


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The same bytes with some changed, taken out or put in."""
    at = chance.randrange(len(data))
    return chance.choice(
        (
            data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :],
            data[:at] + data[at + chance.randrange(1, 6) :],
            data[:at] + chance.randbytes(chance.randrange(1, 6)) + data[at:],
            data[:at],
            data + b"\x00",
        )
    )


KINDS: tuple[type[Event], ...] = (Trade, DepthUpdate, BookTicker, Kline, MiniTicker, BlockTrade)


def script(chance: random.Random, bundles: int, damage: float) -> Iterator[Step]:
    """Bundles of two workers in turns, and what else happens. Without damage nothing but plain bundles and looks."""
    workers = [Worker(WORKERS[0], KINDS[:2], chance), Worker(WORKERS[1], KINDS[2:], chance)]
    for _ in range(bundles):
        worker = chance.choice(workers)
        yield "bundle", (worker.name, worker.bundle(damage))
        if chance.random() < 0.5:
            yield "publish", None
            if chance.random() < 0.2:
                yield chance.choice(("checkpoint", "expire", "look")), None
        if chance.random() < damage:
            yield chance.choice((("look", None), ("checkpoint", None), ("hello", worker.hello())))
        if chance.random() < damage / 10:
            yield "restart", None
    yield "publish", None
    yield "look", None


def compare(seed: int, bundles: int, damage: float = 0.03) -> tuple[str, int, Counter[str]]:
    """Run one script through both ways: the first difference in words, or nothing; how many bundles were taken natively, and left by why."""
    chance = random.Random(seed)
    ways = native, python = Way(native=True), Way(native=False)
    now_ns = BEGAN_NS
    for step in script(chance, bundles, damage):
        now_ns += chance.choice((1, KEEP_NS // 50, KEEP_NS))
        for way in ways:
            way.act(step, now_ns)
        difference = _difference(native, python)
        if difference:
            return f"seed {seed}, after {step[0]}: {difference}", native.plain_bundles, native.left_bundles
    native.note_shares()
    return "", native.plain_bundles, native.left_bundles


def _difference(native: Way, python: Way) -> str:
    """Of what came since the last look; it is forgotten."""
    found = ""
    for one, other in ((native.frames, python.frames), (native.told, python.told)):
        if one != other:
            pairs: list[Any] = list(itertools.zip_longest(one, other))
            place = next(at for at, pair in enumerate(pairs) if pair[0] != pair[1])
            found = found or f"{place} of {len(one)} and {len(other)}: {_apart(*pairs[place])}"
    for way in (native, python):
        way.frames.clear()
        way.told.clear()
    return found


def _apart(one: object, other: object) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
        return "; ".join(f"{key}: {_apart(one.get(key), other.get(key))}" for key in keys)
    return f"{one!r}, in Python {other!r}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--bundles", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--script", type=int, default=500, help="bundles a script")
    given = parser.parse_args()
    done, seed, plain, left = 0, given.seed, 0, Counter[str]()
    began = time.monotonic()
    while done < given.bundles:
        difference, taken, why = compare(seed, given.script, random.Random(seed).choice((0.0, 0.003, 0.03, 0.3)))
        if difference:
            sys.exit(difference)
        done, seed, plain, left = done + given.script, seed + 1, plain + taken, left + why
    sys.stdout.write(
        f"{done:,} bundles in {time.monotonic() - began:.0f} s, no difference; {plain:,} natively, left {dict(left)}\n"
    )


if __name__ == "__main__":
    main()
