"""Owns the comparison of the native lane with Python: a market's messages, damaged in every way, through both.

``python -m tests.native.differential --messages 1000000 --seed 1`` runs as long as one likes and prints the first difference; the tests run some
thousands. What is compared: every event of every topic, in order, with its batch's continuity; and where each topic stands afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import structlog

from k2workers import wire
from k2workers.events import BookSnapshot, Event, Void
from k2workers.feed import intake as intake_module
from k2workers.feed.framing import FrameCutter
from k2workers.feed.intake import Intake
from k2workers.feed.message_block import MessageBlock
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.transport.outbox import Outbox
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.usdm import BinanceUsdm

KINDS = ("trade", "agg_trade", "book_ticker", "depth", "kline_1m")
SYMBOLS = ("AUSDT", "BUSDT", "币安USDT")
BEGAN_US = 1_795_533_324_193_019
HOLD_NS = 10**9
NOW_NS = BEGAN_US * 1_000
LINES = (1, 2)

Read = tuple[int, bytes, int]
"""Line, bytes, time of the read."""


def frame(text: bytes) -> bytes:
    """A whole text frame, unmasked, as a server sends it."""
    length = len(text)
    head = (
        bytes([length])
        if length < 126
        else b"\x7e" + length.to_bytes(2)
        if length < 2**16
        else b"\x7f" + length.to_bytes(8)
    )
    return b"\x81" + head + text


class Way:
    """One intake with a frame cutter for each line, native or not.

    What is a run of messages for Python differs between the two, and with it when a doubt is settled. So the native way notes how it divided each read
    (``segments``: messages one by one, or so many together), and the other divides it likewise.
    """

    def __init__(
        self,
        *,
        native: bool,
        kinds: Sequence[str] = KINDS,
        symbols: Sequence[str] = SYMBOLS,
        venue: BinanceSpot | None = None,
    ) -> None:
        self.venue = BinanceSpot() if venue is None else venue
        self.frames: list[bytes] = []
        self.replies: list[Any] = []
        self.notices = 0
        self.segments: list[int] = []
        outbox = self.outbox = Outbox(self._sent, lambda: None, 2**40)
        outbox.welcomed = True
        self.intake = Intake(
            self.venue.codec(self.venue.stream_specs(kinds, symbols)),
            hold_ns=HOLD_NS,
            push=outbox.push,
            on_reply=lambda line, reply: self.replies.append((line, reply)),
            on_notice=self._noticed,
            observe_latency=lambda _: None,
            frames=outbox if native else None,
        )
        self._messages: list[bytes] = []
        self._received_ns = 0
        self._cutters = {line: self._cutter(line, native=native) for line in LINES}

    def _sent(self, data: bytes, *_: bytes) -> bool:
        self.frames.append(data)
        return True

    def _noticed(self, _line: int) -> None:
        self.notices += 1

    def _cutter(self, line: int, *, native: bool) -> FrameCutter:
        def take(buffer: bytearray, begin: int, filled: int) -> tuple[int, int]:
            stopped_at, span_end, count = self.intake.take(line, buffer, begin, filled, self._received_ns)
            self.segments += [1] * count
            return stopped_at, span_end

        def deliver(messages: MessageBlock) -> None:
            self.segments.append(len(messages))
            self.intake.on_messages(line, messages, self._received_ns)

        def collect(messages: MessageBlock) -> None:
            self._messages += messages.singly()

        self._collecting = False
        return FrameCutter(
            lambda messages: collect(messages) if self._collecting else deliver(messages),
            lambda _: True,
            2**24,
            take if native else None,
        )

    def read(self, line: int, data: bytes, received_ns: int) -> None:
        """Take a read, and note how it was divided."""
        self._received_ns = received_ns
        self.segments = []
        self._cutters[line].take(data)

    def read_as(self, line: int, data: bytes, received_ns: int, segments: Sequence[int]) -> None:
        """In Python: take a read, divided like this."""
        self._messages, self._collecting = [], True
        self._cutters[line].take(data)
        assert len(self._messages) == sum(segments), "both cut the same messages"
        messages = iter(self._messages)
        for count in segments:
            self.intake.on_messages(line, MessageBlock.of([next(messages) for _ in range(count)]), received_ns)

    def events(self) -> dict[str, list[tuple[int, Event]]]:
        """Of each topic, each event with its continuity number."""
        found: dict[str, list[tuple[int, Event]]] = {}
        for data in self.frames:
            for batch in wire.decode_bundle(memoryview(data)[9:]):
                events = wire.decode_batch(batch)
                assert (batch.count, batch.first_id, batch.last_id) == (len(events), _first(events), _last(events))
                found.setdefault(batch.topic, []).extend((batch.continuity, event) for event in events)
        return found

    def bytes_of(self) -> dict[str, bytes]:
        """Of each topic, all of its events as they were encoded."""
        found: dict[str, bytes] = {}
        for data in self.frames:
            for topic, batches in groupby(wire.decode_bundle(memoryview(data)[9:]), key=lambda batch: batch.topic):
                for batch in batches:
                    head = 1 if batch.count < 16 else 3
                    found[topic] = found.get(topic, b"") + batch.events[head:]
        return found

    def state(self) -> dict[str, Any]:
        """Where each topic stands."""
        return {
            lane.topic: (
                lane.last_id, lane.newest_id, lane.newest, list(lane.open), list(lane.closed), lane.passed, lane.duplicates, lane.gaps,
                lane.missing, lane.repaired, lane.voids, lane.outliers, lane.deadline_ns is None,
            )
            for lane in self.intake.lanes
        } | {"dropped": dict(self.intake.dropped.readability.counts), "replies": self.replies, "notices": self.notices}  # fmt: skip


def _first(events: Sequence[Event]) -> int:
    event = getattr(events[0], "event", events[0])
    return int(event.first_id)


def _last(events: Sequence[Event]) -> int:
    event = getattr(events[-1], "event", events[-1])
    return int(event.last_id)


class Market:
    """Messages of a small market, in order: every id of every topic."""

    venue = BinanceSpot()
    kinds: Sequence[str] = KINDS
    unit = 1
    """How many us its unit of time has."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._next = {(kind, symbol): chance.randrange(1, 10**6) for kind in self.kinds for symbol in SYMBOLS}
        self._at_us = BEGAN_US

    def message(self) -> bytes:
        chance = self._chance
        kind, symbol = chance.choice(KINDS), chance.choice(SYMBOLS)
        number = self._next[kind, symbol]
        self._at_us += chance.randrange(3)
        at = self._at_us // self.unit
        price, quantity = self._decimal(), self._decimal()
        maker = "true" if number & 1 else "false"
        step = 1
        if kind == "trade":
            data = f'"e":"trade","E":{at},"s":"{symbol}","t":{number},"p":"{price}","q":"{quantity}","T":{at},"m":{maker},"M":true'
        elif kind == "agg_trade":
            data = f'"e":"aggTrade","E":{at},"s":"{symbol}","a":{number},"p":"{price}","q":"{quantity}","f":{3 * number},"l":{3 * number + 2},"T":{at},"m":{maker},"M":true'
        elif kind == "book_ticker":
            data, step = (
                f'"u":{number},"s":"{symbol}","b":"{price}","B":"{quantity}","a":"{price}","A":"{quantity}"',
                chance.randrange(1, 9),
            )
        elif kind == "depth":
            step = chance.randrange(1, 40)
            data = f'"e":"depthUpdate","E":{at},"s":"{symbol}","U":{number},"u":{number + step - 1},"b":[{self._levels()}],"a":[{self._levels()}]'
        else:
            data = (
                f'"e":"kline","E":{at},"s":"{symbol}","k":{{"t":{BEGAN_US // self.unit},"T":{(BEGAN_US + 60_000_000) // self.unit},"s":"{symbol}","i":"1m","f":1,'
                f'"L":{number},"o":"1","c":"1","h":"1","l":"1","v":"1","n":{number},"x":false,"q":"1","V":"1","Q":"1","B":"0"}}'
            )
        self._next[kind, symbol] = number + step
        suffix = {"trade": "trade", "agg_trade": "aggTrade", "book_ticker": "bookTicker", "depth": "depth@100ms"}.get(
            kind, kind
        )
        return f'{{"stream":"{symbol.lower()}@{suffix}","data":{{{data}}}}}'.encode()

    def _levels(self) -> str:
        return ",".join(f'["{self._decimal()}","{self._decimal()}"]' for _ in range(self._chance.choice((0, 1, 3, 20))))

    def _decimal(self) -> str:
        chance = self._chance
        whole, part = chance.choice((1, 3, 8)), chance.choice((1, 2, 8, 18))
        return f"{chance.randrange(10**whole)}.{chance.randrange(10**part):0{part}d}"


class FuturesMarket(Market):
    """The same of USD-M futures: ids of books count over all symbols, and not every decimal has a point."""

    venue = BinanceUsdm()
    kinds = ("agg_trade", "book_ticker", "depth", "partial_depth_5", "mark_price", "trade")
    unit = 1_000

    def message(self) -> bytes:
        chance = self._chance
        kind, symbol = chance.choice(self.kinds), chance.choice(SYMBOLS)
        number = self._next[kind, symbol]
        self._at_us += chance.randrange(3_000)
        at = self._at_us // self.unit
        price, quantity, step = self._decimal(), self._decimal(), 1
        maker = "true" if number & 1 else "false"
        if kind == "agg_trade":
            data = (
                f'"e":"aggTrade","E":{at},"a":{number},"s":"{symbol}","p":"{price}","q":"{quantity}","nq":"{quantity}",'
                f'"f":{3 * number},"l":{3 * number + 2},"T":{at},"m":{maker}'
            )
        elif kind == "book_ticker":
            step = chance.randrange(1, 9)
            data = (
                f'"e":"bookTicker","u":{number},"s":"{symbol}","b":"{price}","B":"{quantity}","a":"{price}","A":"{quantity}",'
                f'"T":{at},"E":{at}'
            )
        elif kind in ("depth", "partial_depth_5"):
            step = chance.randrange(2, 40)
            data = (
                f'"e":"depthUpdate","E":{at},"T":{at},"s":"{symbol}","U":{number + chance.randrange(1, step)},"u":{number + step},'
                f'"pu":{number},"b":[{self._levels()}],"a":[{self._levels()}]'
            )
        elif kind == "mark_price":
            data = f'"e":"markPriceUpdate","E":{at},"s":"{symbol}","p":"{price}","i":"{price}","P":"{price}","r":"-0.1","T":{at}'
        else:
            data = f'"e":"trade","E":{at},"T":{at},"s":"{symbol}","t":{number},"p":"{price}","q":"{quantity}","X":"MARKET","m":{maker}'
        self._next[kind, symbol] = number + step
        suffix = self.venue.kinds[kind].suffix
        return f'{{"stream":"{symbol.lower()}{suffix}","data":{{{data}}}}}'.encode()

    def _decimal(self) -> str:
        text = super()._decimal()
        return text if self._chance.random() < 0.7 else text.partition(".")[0]


MARKETS = {market.venue.name: market for market in (Market, FuturesMarket)}


def _flip(text: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(text))
    return text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]


def _cut(text: bytes, chance: random.Random) -> bytes:
    begin = chance.randrange(len(text))
    return text[:begin] + text[begin + chance.randrange(1, 6) :]


def _insert(text: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(text))
    return (
        text[:at]
        + chance.choice((b" ", b"0", b"-", b".", b",", b'"', b"\\", b"[", b"]", b"{", b"}", b"e9", b"\xff", b'"st":1,'))
        + text[at:]
    )


def _number(text: bytes, chance: random.Random) -> bytes:
    """Another number in the place of one."""
    found = [place.span() for place in re.finditer(rb"[0-9]+", text)]
    begin, end = chance.choice(found)
    value = int(text[begin:end][:30])
    other = chance.choice(
        (value + 1, value - 1, value + 100, value - 100, value + 10**9, 0, 2**63 - 1, 2**63, 2**64, value * 1_000, value // 1_000, 10**19)
    )  # fmt: skip
    return text[:begin] + str(other).encode() + text[end:]


def _symbol(text: bytes, chance: random.Random) -> bytes:
    one, other = (name.encode() for name in chance.sample(SYMBOLS, 2))
    return text.replace(one, other, 1) if chance.random() < 0.5 else text.replace(one.lower(), other.lower(), 1)


def _order(text: bytes, chance: random.Random) -> bytes:
    """Two keys change places."""
    begin = text.find(b'"data":{') + 8
    parts = text[begin:-2].split(b',"')
    at = chance.randrange(max(1, len(parts) - 1))
    parts[at : at + 2] = reversed(parts[at : at + 2])
    return text[:begin] + b',"'.join(parts) + text[-2:]


def _repeat(text: bytes, chance: random.Random) -> bytes:
    return text.replace(chance.choice((b'],["', b'"]', b"{", b",")), chance.choice((b"", b'],["', b"[", b",,")), 1)


def _other(_text: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        (
            b'{"result":null,"id":7}', b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1795533324193}}', b"{}", b"", b"null",
            b'{"stream":"cusdt@trade","data":{}}', b'{"stream":"', b'{"stream":"ausdt@trade","data":', b'{"error":{"code":2,"msg":"x"},"id":3}',
        )
    )  # fmt: skip


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _cut, _insert, _number, _number, _symbol, _order, _repeat, _other,
)  # fmt: skip


def script(chance: random.Random, messages: int, damage: float, of: type[Market] = Market) -> Iterator[Read | str]:
    """Reads, cut anywhere, of two lines that bring the same; and words for what else happens: ``both`` (lines), ``alone``, ``lost`` (the last ids of a topic, behind the worker), ``settle``, ``expire``, ``book``, ``ms``."""
    market = of(chance)
    waiting = dict.fromkeys(LINES, b"")
    sent = 0
    received_ns = BEGAN_US * 1_000
    late: list[bytes] = []
    both = False
    while sent < messages:
        if chance.random() < 0.02:
            both = not both
            yield "both" if both else "alone"
        if chance.random() < 0.03:
            yield chance.choice(
                ("settle", "expire", "book", "fill", f"lost {chance.randrange(len(market.kinds) * len(SYMBOLS))}")
            )
        if chance.random() < 0.002:
            market.unit = 1_000 if market.unit == 1 else 1
        for _ in range(chance.choice((1, 1, 4, 30))):
            text = market.message()
            sent += 1
            roll = chance.random()
            if roll < damage:
                text = chance.choice(DAMAGES)(text, chance)
            elif roll < damage * 1.2:
                late.append(text)  # a hole, for now
                continue
            elif roll < damage * 1.4 and late:
                waiting[1] += frame(late.pop(chance.randrange(len(late))))
            waiting[1] += frame(text)
            if both:
                waiting[2] += frame(text)
        for line, data in waiting.items():
            size = len(data) if chance.random() < 0.7 else chance.randrange(len(data) + 1)
            received_ns += chance.choice((1_000, 1_000_000, 100_000_000))
            if size:
                yield line, data[:size], received_ns
            waiting[line] = data[size:]


def act(way: Way, step: str) -> None:
    """What else happens."""
    intake = way.intake
    if step in ("both", "alone"):
        intake.several_lines(step == "both")
    elif step.startswith("lost "):
        _lose(intake, int(step.removeprefix("lost ")))
    elif step == "settle":
        assert intake.events >= 0
    elif step == "expire":
        intake.expire(2**62)
    elif step == "book":
        for index, topic in enumerate(intake.topics):
            if (
                topic.kind == "depth"
                and index < len(intake.lanes)
                and (last_id := intake.lanes[index].last_id) is not None
            ):
                intake.take_book(index, BookSnapshot(last_id, [("1.0", "1.0")], [], 1))
    else:
        for index, lane in enumerate(intake.lanes):
            for first, last in lane.wanted()[:2]:
                intake.fill(index, [Void(first, last, 1)], 1)


def _lose(intake: Intake, index: int) -> None:
    """The aggregator found that the last three ids of a topic are missing."""
    lanes = intake.lanes
    if index >= len(lanes) or not lanes[index].CHAINED or (last_id := lanes[index].last_id) is None or last_id < 3:
        return
    number, _ = intake.reached()[lanes[index].topic]
    intake.reopen({lanes[index].topic: (number, [(last_id - 2, last_id)])})


class Clock:
    """Stands for the module ``time`` in the intake, so that both ways judge at the same moments."""

    now_ns = BEGAN_US * 1_000

    def monotonic_ns(self) -> int:
        return self.now_ns

    time_ns = monotonic_ns


@contextlib.contextmanager
def clock() -> Iterator[Clock]:
    """The intake's clock, ours for a while; and no log of what is dropped."""
    before, intake_module.time = intake_module.time, (told := Clock())  # type: ignore[attr-defined,assignment]
    try:
        with structlog.testing.capture_logs():
            yield told
    finally:
        intake_module.time = before  # type: ignore[attr-defined]


def compare(
    seed: int, messages: int, damage: float = 0.03, of: type[Market] = Market
) -> tuple[str, dict[tuple[str, str], int]]:
    """Run one script through both ways: the first difference in words, or nothing; and what the native lane took and left."""
    with clock() as told:
        return _compare(random.Random(seed), seed, messages, damage, told, of)


def _compare(
    chance: random.Random, seed: int, messages: int, damage: float, told: Clock, of: type[Market]
) -> tuple[str, dict[tuple[str, str], int]]:
    native, python = (Way(native=way, kinds=of.kinds, venue=of.venue) for way in (True, False))
    if chance.random() < 0.3:
        positions = {topic.topic: PublishedPosition(chance.randrange(10**6), []) for topic in native.intake.topics}
        for way in (native, python):
            way.intake.resume(positions)
    for step in script(chance, messages, damage, of):
        told.now_ns = step[2] if isinstance(step, tuple) else told.now_ns + 1
        if isinstance(step, tuple):
            native.read(*step)
            python.read_as(*step, native.segments)
        else:
            act(native, step)
            act(python, step)
    assert native.intake.plain is not None
    counts = native.intake.plain.counts()
    if native.events() != python.events():
        for topic, events in python.events().items():
            found = native.events().get(topic, [])
            if found != events:
                place = next(
                    (i for i, pair in enumerate(zip(found, events, strict=False)) if pair[0] != pair[1]),
                    min(len(found), len(events)),
                )
                return (
                    f"seed {seed}: {topic}, event {place}: native {found[place : place + 2]}, Python {events[place : place + 2]}",
                    counts,
                )
        return f"seed {seed}: topics {sorted(native.events())} and {sorted(python.events())}", counts
    if native.bytes_of() != python.bytes_of():
        return f"seed {seed}: the bytes differ", counts
    for name, (one, other) in {key: (native.state()[key], value) for key, value in python.state().items()}.items():
        if one != other:
            return f"seed {seed}: {name} stands at {one}, in Python at {other}", counts
    return "", counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--market", choices=list(MARKETS), default=Market.venue.name)
    parser.add_argument("--script", type=int, default=2_000, help="messages a script")
    given = parser.parse_args()
    market = MARKETS[given.market]
    totals: dict[tuple[str, str], int] = {}
    done, seed = 0, given.seed
    began = time.monotonic()
    while done < given.messages:
        difference, counts = compare(seed, given.script, random.Random(seed).choice((0.0, 0.01, 0.1, 0.5)), market)
        if difference:
            sys.exit(difference)
        for key, count in counts.items():
            totals[key] = totals.get(key, 0) + count
        done, seed = done + given.script, seed + 1
    kinds = {key: count for key, count in sorted(totals.items()) if count}
    sys.stdout.write(f"{done:,} messages in {time.monotonic() - began:.0f} s, no difference; of each kind: {kinds}\n")


if __name__ == "__main__":
    main()
