"""The native lane beside Python: equal events, equal bytes, equal places, whatever the messages are and wherever the reads end."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from k2workers import native
from k2workers.events import BookSnapshot
from tests.native.differential import MARKETS, Market, Way, clock, compare, frame

pytestmark = pytest.mark.skipif(native.extension is None, reason=f"no native lane: {native.why_not}")

TEN = ("BTCAUD", "MANAUSDT", "ETHBRL", "DENTUSDT", "ZILUSDT", "RENBTCETH", "BTCSTUSDT", "QTUMETH", "AXSBNB", "NEOUSDC")
A_READ = 20
FIRST = 2_000
"""Messages before the share is counted: every topic has begun by then."""


@pytest.mark.parametrize("market", MARKETS.values(), ids=MARKETS)
@pytest.mark.parametrize("damage", [0.0, 0.01, 0.1, 0.5])
def test_damaged_messages_come_to_the_same_natively_and_in_python(damage: float, market: type[Market]) -> None:
    for seed in range(4):
        difference, _ = compare(random.Random(f"{damage} {seed}").randrange(2**32), 1_000, damage, market)
        assert not difference


def recorded(path: Path, count: int) -> list[bytes]:
    """The first stream messages of a recording, whatever stands before each on its line."""
    found: list[bytes] = []
    with gzip.open(path) as lines:
        for line in lines:
            if (begin := line.find(b'{"stream"')) >= 0:
                found.append(line[begin:].strip())
            if len(found) == count:
                break
    return found


def take(way: Way, messages: Sequence[bytes], received_ns: int) -> list[int]:
    """Give a recording to a way in reads, and each book a snapshot as soon as there is a diff; how the reads were divided."""
    segments: list[int] = []
    for begin in range(0, len(messages), A_READ):
        way.read(1, b"".join(map(frame, messages[begin : begin + A_READ])), received_ns)
        segments += way.segments
        for index, lane in enumerate(way.intake.lanes):
            if way.intake.topics[index].kind == "depth" and lane.last_id is not None and not lane.only_next:
                way.intake.take_book(index, BookSnapshot(lane.last_id, [("1.0", "1.0")], [], 1))
    return segments


@pytest.mark.parametrize(
    ("file", "kinds", "symbols"),
    [
        ("spot/btcusdt_20240809.gz", ("trade", "book_ticker", "depth"), ("BTCUSDT",)),
        ("multi/BINANCE-b38f7c.0.gz", ("agg_trade", "book_ticker", "depth"), TEN),
    ],
)
def test_recorded_markets_are_read_natively(
    file: str, kinds: tuple[str, ...], symbols: tuple[str, ...], recordings: Path
) -> None:
    """At least 99 of 100 messages, with the events that Python makes of them."""
    messages = recorded(recordings / file, 10_000)
    received_ns = int(max(re.findall(rb'"E":([0-9]+)', b"".join(messages)))) * 1_000_000
    with clock():
        ways = [Way(native=is_native, kinds=kinds, symbols=symbols) for is_native in (True, False)]
        for way in ways:
            take(way, messages[:FIRST], received_ns)
        before = ways[0].intake.taken_natively()
        for way in ways:
            take(way, messages[FIRST:], received_ns)
        native_way, python_way = ways
        took = sum(native_way.intake.taken_natively().values()) - sum(before.values())
        assert took >= 0.99 * (len(messages) - FIRST), native_way.intake.left_to_python()
        assert native_way.bytes_of() == python_way.bytes_of()
        assert native_way.state() == python_way.state()
