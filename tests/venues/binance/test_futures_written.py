"""How futures messages are written: as the documents, and as the stand-in, which has texts of its own, writes them with and without marks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from k2workers import native
from k2workers.events import BookSnapshot
from k2workers.simulator.binance.contracts import COINM, USDM, Contracts
from k2workers.simulator.binance.futures_market import FuturesMarket
from k2workers.simulator.binance.talk import message
from k2workers.venues.binance.coinm import BinanceCoinm
from k2workers.venues.binance.futures import BinanceFutures
from k2workers.venues.binance.futures_messages import FUTURES_MESSAGE_OF
from k2workers.venues.binance.futures_written import FUTURES_TEXTS, with_market, with_pair
from k2workers.venues.binance.stream_shapes import MOST_CHANGES
from k2workers.venues.binance.usdm import BinanceUsdm
from k2workers.venues.binance.written import shape_of
from k2workers.venues.message_shape import RECEIVED, Item
from k2workers.venues.venue import Outcome
from tests.native.differential import Way, frame
from tests.venues.binance.test_futures_messages import AGG, MESSAGES, codec
from tests.venues.binance.test_futures_messages import frame as text_of

START_NS = 1_790_000_000_500_000_000
KINDS = ("agg_trade", "book_ticker", "depth", "partial_depth_5")


def test_every_text_is_written_as_its_message() -> None:
    for message_type, text in FUTURES_TEXTS.items():
        shape = shape_of(message_type, 1_000_000, FUTURES_TEXTS)
        assert shape is not None and shape.event_type is message_type.made
        assert [name for name, slot in shape.slots.items() if slot == RECEIVED] == ["received_ns"]
        stream, data = next(
            found for kind, found in MESSAGES.items() if BinanceUsdm.kinds[kind].event_type is message_type.made
        )
        written = text_of(stream, data).decode()
        for part in shape.parts:
            if part.item is Item.LITERAL:
                _, found, written = written.partition(part.literal.decode())
                assert found, (text, part)
    assert all(FUTURES_MESSAGE_OF[message_type.made] is message_type for message_type in FUTURES_TEXTS)


def test_a_mark_of_the_pair_and_of_the_market_is_all_that_differs() -> None:
    for message_type, text in FUTURES_TEXTS.items():
        paired = with_pair(FUTURES_TEXTS)[message_type]
        assert paired.replace(',"ps":"<pair>"', "") == text
        assert with_market(FUTURES_TEXTS, 2)[message_type] == paired[:-1] + ',"st":2}'


def emitted(contracts: Contracts, symbol: str, kinds: list[str], *, tagged: bool) -> Iterator[bytes]:
    market = FuturesMarket(contracts, 5, 2_000.0, 1, START_NS, set(kinds), unseen=0.0, tagged=tagged)
    for tick in range(400):
        for emission in market.advance(START_NS + tick * 5_000_000):
            if symbol.lower() in emission.stream:
                yield message(emission, (1_000, True))


@pytest.mark.skipif(native.extension is None, reason=f"no native lane: {native.why_not}")
@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize(
    ("venue", "contracts", "symbol"), [(BinanceUsdm(), USDM, "BTCUSDT"), (BinanceCoinm(), COINM, "BTCUSD_PERP")]
)
def test_what_the_market_writes_is_read_natively_whatever_marks_it_has(
    venue: BinanceFutures, contracts: Contracts, symbol: str, tagged: bool
) -> None:
    names = [spec.name for spec in venue.stream_specs(KINDS, [symbol])]
    way = Way(native=True, kinds=KINDS, symbols=(symbol,), venue=venue)
    depth = KINDS.index("depth")
    for text in emitted(contracts, symbol, names, tagged=tagged):
        way.read(1, frame(text), START_NS + 10**9)
        lane = way.intake.lanes[depth]
        if lane.last_id is not None and not lane.only_next:  # it waits for its book
            way.intake.take_book(depth, BookSnapshot(lane.last_id, [], [], START_NS))
    assert way.intake.plain is not None
    counts = way.intake.plain.counts()
    for kind in KINDS:
        assert counts[kind, "shape"] <= 1 < counts[kind, ""], (kind, counts)


def test_a_venue_that_writes_now_so_and_now_so_is_followed_no_longer() -> None:
    reader, told = codec("agg_trade"), []
    for number in range(3 * MOST_CHANGES):
        marked = {**AGG, "a": number, "st": 1} if number % 2 == 0 else {**AGG, "a": number}
        assert reader.decode(text_of("btcusdt@aggTrade", marked), 1, []) is Outcome.EVENTS
        told.append(reader.written)
    assert len({id(written) for written in told}) == MOST_CHANGES
