"""Messages of the futures markets to events: every kind as documented, as recorded, one by one and together."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k2workers import futures_events
from k2workers.event import Event
from k2workers.futures_events import FuturesTrade, LinkedDepthUpdate, TimedBookTicker
from k2workers.venues.binance.codec import BinanceCodec
from k2workers.venues.binance.futures_messages import FUTURES_MESSAGE_OF
from k2workers.venues.binance.futures_streams import ASKED, FUTURES_KINDS
from k2workers.venues.binance.usdm import BinanceUsdm
from k2workers.venues.venue import Outcome

USDM = BinanceUsdm()
AT = 1_800_000_000_000_000_000
MS = 1_723_161_256_298
NS = MS * 1_000_000
BAR = {
    "t": MS, "T": MS + 59_999, "s": "BTCUSDT", "i": "1m", "f": 10, "L": 12, "o": "1", "c": "2.5", "h": "3", "l": "0.5", "v": "9",
    "n": 3, "x": True, "q": "8", "V": "7", "Q": "6", "B": "0",
}  # fmt: skip
TICKER = {
    "e": "24hrTicker", "E": MS, "s": "BTCUSDT", "p": "-1.5", "P": "-0.1", "w": "7", "c": "6.0", "Q": "5", "o": "3", "h": "4", "l": "2",
    "v": "8", "q": "9", "O": MS, "C": MS, "F": 1, "L": 2, "n": 2,
}  # fmt: skip
MINI = {"e": "24hrMiniTicker", "E": MS, "s": "BTCUSDT", "c": "1", "o": "2", "h": "3", "l": "4", "v": "5", "q": "6"}
BEST = {
    "e": "bookTicker",
    "u": 7,
    "s": "BTCUSDT",
    "b": "61800.20",
    "B": "2",
    "a": "61800.30",
    "A": "2.510",
    "T": MS,
    "E": MS + 1,
}
DIFF = {
    "e": "depthUpdate", "E": MS + 1, "T": MS, "s": "BTCUSDT", "U": 16, "u": 20, "pu": 12, "b": [["1000.00", "606"], ["1001", "5"]],
    "a": [],
}  # fmt: skip
MARK = {
    "e": "markPriceUpdate", "E": MS, "s": "BTCUSDT", "p": "61.5", "ap": "61.4", "i": "61.3", "P": "61.2", "r": "-0.0001",
    "T": MS + 9_000,
}  # fmt: skip
ORDER = {
    "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9910", "ap": "9910", "X": "FILLED", "l": "0.014",
    "z": "0.014", "T": MS,
}  # fmt: skip
LIQUIDATION = {"e": "forceOrder", "E": MS + 5, "o": ORDER}
ASSET = {
    "e": "assetIndexUpdate", "E": MS, "s": "BTCUSDT", "i": "1", "b": "0.1", "a": "0.2", "B": "0.9", "A": "1.2", "q": "0.05",
    "g": "0.06", "Q": "0.95", "G": "1.1",
}  # fmt: skip
INDEX = {
    "e": "compositeIndex", "E": MS, "s": "BTCUSDT", "p": "554.41", "C": "baseAsset",
    "c": [{"b": "BAL", "q": "USDT", "w": "1.04", "W": "0.03", "i": "24.3"}],
}  # fmt: skip
CONTRACT = {
    "e": "contractInfo", "E": MS, "s": "BTCUSDT", "ps": "BTCUSDT", "ct": "PERPETUAL", "dt": MS + 1, "ot": MS, "cs": "TRADING",
    "bks": [{"bs": 1, "bnf": 0, "bnc": 5000, "mmr": 0.01, "cf": 0, "mi": 21, "ma": 50}],
}  # fmt: skip
AGG = {
    "e": "aggTrade", "E": MS, "a": 9, "s": "BTCUSDT", "p": "1.5", "q": "369", "nq": "300", "f": 4, "l": 5, "T": MS - 1, "m": False,
}  # fmt: skip
TRADE = {
    "e": "trade",
    "E": MS,
    "T": MS,
    "s": "BTCUSDT",
    "t": 5,
    "p": "61800.30",
    "q": "0.006",
    "X": "INSURANCE_FUND",
    "m": False,
}

MESSAGES: dict[str, tuple[str, Any]] = {
    "trade": ("btcusdt@trade", TRADE),
    "agg_trade": ("btcusdt@aggTrade", AGG),
    "book_ticker": ("btcusdt@bookTicker", BEST),
    "book_ticker_all": ("!bookTicker", BEST),
    "depth": ("btcusdt@depth@100ms", DIFF),
    "depth_250ms": ("btcusdt@depth", DIFF),
    "rpi_depth": ("btcusdt@rpiDepth@500ms", DIFF),
    "depth_0ms": ("btcusdt@depth@0ms", DIFF),
    "partial_depth_5": ("btcusdt@depth5@100ms", DIFF),
    "partial_depth_20_500ms": ("btcusdt@depth20@500ms", DIFF),
    "kline_1m": ("btcusdt@kline_1m", {"e": "kline", "E": MS, "s": "BTCUSDT", "k": BAR}),
    "continuous_kline_1M": (
        "btcusdt_perpetual@continuousKline_1M",
        {"e": "continuous_kline", "E": MS, "ps": "BTCUSDT", "ct": "PERPETUAL", "k": BAR},
    ),
    "mark_price": ("btcusdt@markPrice@1s", MARK),
    "mark_price_3s": ("btcusdt@markPrice", MARK),
    "mark_price_all": ("!markPrice@arr@1s", [MARK, {**MARK, "s": "ETHUSDT_261225", "r": "", "T": 0}]),
    "mini_ticker": ("btcusdt@miniTicker", MINI),
    "mini_ticker_all": ("!miniTicker@arr", [MINI]),
    "ticker": ("btcusdt@ticker", TICKER),
    "ticker_all": ("!ticker@arr", [TICKER]),
    "liquidation": ("btcusdt@forceOrder", LIQUIDATION),
    "liquidation_all": ("!forceOrder@arr", LIQUIDATION),
    "composite_index": ("btcusdt@compositeIndex", INDEX),
    "asset_index": ("btcusdt@assetIndex", ASSET),
    "asset_index_all": ("!assetIndex@arr", [ASSET]),
    "contract_info_all": ("!contractInfo", CONTRACT),
}
"""Kind → stream and data, in the order of keys of the documents or, where there is one, of a recording."""

UNREAD = {"kline": "B", "contract": "bks"}
"""What is in no event."""

Out = list[tuple[int, Event]]


def codec(*kinds: str) -> BinanceCodec:
    return USDM.codec(USDM.stream_specs(kinds, ["BTCUSDT"]))


def frame(stream: str, data: Any) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def decoded(reader: BinanceCodec, message: bytes) -> list[tuple[str, Event]]:
    out: Out = []
    assert reader.decode(message, AT, out) is Outcome.EVENTS, reader.malformed_cause
    return [(reader.topics[position].topic, event) for position, event in out]


def together(reader: BinanceCodec, messages: list[bytes]) -> list[tuple[str, Event]] | None:
    found = reader.decode_together(memoryview(b"[%b]" % b",".join(messages)), len(messages), AT)
    return None if found is None else [(reader.topics[at].topic, event) for at, run in found.items() for event in run]


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_kind_becomes_its_event_on_its_topic_alone_and_among_others(kind: str) -> None:
    reader, message = codec(kind), frame(*MESSAGES[kind])
    found = decoded(reader, message)
    assert found[0][0] == f"binance_usdm.{FUTURES_KINDS[kind].kind}.BTCUSDT"
    assert {type(event) for _, event in found} == {FUTURES_KINDS[kind].event_type}
    assert together(codec(kind), [message]) == found
    assert reader.odd_elements == 0


def test_there_is_a_message_of_every_type_of_events() -> None:
    assert {FUTURES_KINDS[kind].event_type for kind in MESSAGES} == set(FUTURES_MESSAGE_OF)
    of_streams = {kind.event_type for name, kind in FUTURES_KINDS.items() if name not in ASKED}
    assert of_streams == set(FUTURES_MESSAGE_OF)


def test_values_are_kept_exactly() -> None:
    def only(kind: str) -> Event:
        return decoded(codec(kind), frame(*MESSAGES[kind]))[0][1]

    assert only("trade") == FuturesTrade(5, "61800.30", "0.006", False, "INSURANCE_FUND", NS, NS, AT)
    assert only("agg_trade") == futures_events.FuturesAggTrade(
        9, 4, 5, "1.5", "369", "300", False, NS - 1_000_000, NS, AT
    )
    assert only("depth") == LinkedDepthUpdate(
        13, 20, 16, [("1000.00", "606"), ("1001", "5")], [], NS, NS + 1_000_000, AT
    )
    assert only("book_ticker") == TimedBookTicker(7, "61800.20", "2", "61800.30", "2.510", NS, NS + 1_000_000, AT)
    assert only("mark_price") == futures_events.MarkPrice(
        "61.5", "61.3", "61.2", "61.4", "-0.0001", NS + 9_000_000_000, NS, AT
    )
    assert only("liquidation_all") == futures_events.Liquidation(
        "SELL", "LIMIT", "IOC", "0.014", "9910", "9910", "FILLED", "0.014", "0.014", NS, NS + 5_000_000, AT
    )
    assert only("composite_index") == futures_events.CompositeIndex(
        "554.41", [("BAL", "USDT", "1.04", "0.03", "24.3")], NS, AT
    )
    assert only("contract_info_all") == futures_events.ContractInfo(
        "BTCUSDT", "PERPETUAL", "TRADING", NS, NS + 1_000_000, NS, AT
    )


@pytest.mark.parametrize("kind", [kind for kind in MESSAGES if kind.endswith("_all") and kind != "asset_index_all"])
def test_what_an_all_market_stream_brings_of_the_other_market_is_nobodys(kind: str) -> None:
    stream, data = MESSAGES[kind]
    for mark, count in ((1, 1), (2, 0)):
        marked = [[{**data[0], "st": mark}] if isinstance(data, list) else {**data, "st": mark}]
        if kind == "liquidation_all":
            marked.append({**data, "o": {**data["o"], "st": mark}})
        for message in (frame(stream, each) for each in marked):
            assert len(decoded(codec(kind), message)) == count
            assert len(together(codec(kind), [message]) or ()) == count


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_text_that_is_no_decimal_makes_its_message_odd_and_no_other(kind: str) -> None:
    unread = next((key for part, key in UNREAD.items() if part in kind), "")

    def spoiled(value: Any) -> Iterator[Any]:
        """The same with one decimal after the other spoiled."""
        if isinstance(value, dict):
            yield from ({**value, key: odd} for key in value if key != unread for odd in spoiled(value[key]))
        elif isinstance(value, list):
            yield from ([*value[:at], odd, *value[at + 1 :]] for at in range(len(value)) for odd in spoiled(value[at]))
        elif isinstance(value, str) and value and not value.strip("-.0123456789"):
            yield "1.2.3"

    stream, data = MESSAGES[kind]
    for changed in spoiled(data):
        reader, out = codec(kind), Out()
        told = reader.decode(frame(stream, changed), AT, out)
        assert told is Outcome.MALFORMED or reader.odd_elements == 1, changed
        assert together(codec(kind), [frame(stream, changed)]) is None


@pytest.mark.parametrize(("first", "last"), [(20, 20), (21, 20)])  # with a change
def test_a_difference_that_contradicts_itself_is_malformed(first: int, last: int) -> None:
    reader = codec("depth")
    assert reader.decode(frame("btcusdt@depth@100ms", {**DIFF, "pu": first, "u": last}), AT, []) is Outcome.MALFORMED
    assert reader.malformed_kind == "depth"


def test_a_difference_without_a_change_is_read_and_is_no_event() -> None:
    reader, out = codec("depth"), Out()
    empty = frame("btcusdt@depth@100ms", {**DIFF, "U": 20, "pu": 20, "b": []})
    assert reader.decode(empty, AT, out) is Outcome.EVENTS
    assert (out, together(reader, [empty])) == ([], [])
    assert together(reader, [empty, frame("btcusdt@depth@100ms", DIFF)]) == decoded(
        reader, frame("btcusdt@depth@100ms", DIFF)
    )


@pytest.mark.parametrize("kind", [kind for kind in MESSAGES if not kind.endswith("_all")])
def test_a_message_of_another_symbol_than_its_streams_is_malformed(kind: str) -> None:
    stream, data = MESSAGES[kind]
    key = "ps" if "ps" in data else "s"
    other = {**data, "o": {**ORDER, "s": "ETHUSDT"}} if kind == "liquidation" else {**data, key: "ETHUSDT"}
    reader, out = codec(kind), Out()
    assert reader.decode(frame(stream, other), AT, out) is Outcome.MALFORMED
    assert (reader.malformed_kind, out) == (FUTURES_KINDS[kind].kind, [])
    assert together(reader, [frame(stream, other)]) is None


@pytest.mark.parametrize("kind", ["book_ticker_all", "liquidation_all", "contract_info_all"])
def test_what_an_all_market_stream_brings_one_by_one_may_come_as_a_list(kind: str) -> None:
    stream, one = MESSAGES[kind]
    alone = decoded(codec(kind), frame(stream, one))
    reader = codec(kind)
    assert decoded(reader, frame(stream, [one, {**one, "E": "odd"}, one])) == alone * 2
    assert reader.odd_elements == 1


def test_a_contract_without_an_end_is_delivered_when_the_venue_says() -> None:
    found = decoded(codec("contract_info_all"), frame("!contractInfo", {**CONTRACT, "dt": 4_133_404_800_000}))
    assert isinstance(found[0][1], futures_events.ContractInfo)
    assert found[0][1].delivery_time_ns == 4_133_404_800_000_000_000


def test_a_quantity_without_price_improvement_may_be_empty_or_missing() -> None:
    for told in ({**AGG, "nq": ""}, {key: value for key, value in AGG.items() if key != "nq"}):
        (topic, event), *_ = decoded(codec("agg_trade"), frame("btcusdt@aggTrade", told))
        assert isinstance(event, futures_events.FuturesAggTrade) and event.quantity_without_rpi == ""
        assert together(codec("agg_trade"), [frame("btcusdt@aggTrade", told)]) == [(topic, event)]


def _recorded(file: Path) -> Iterator[bytes]:
    with gzip.open(file) as lines:
        for line in lines:
            at = line.find(b'{"stream":')
            if at >= 0:
                yield line[at:].strip()


@pytest.mark.parametrize(
    ("name", "symbols", "kinds", "messages"),
    [
        ("usdm/btcusdt_20240808.gz", ["BTCUSDT"], ["trade", "book_ticker", "depth_0ms"], 93_953),
        (
            "multi/BINANCE_FUTURES-1125a2.0.gz",
            ["SANDUSDT", "CHRUSDT", "NEOUSDT", "CTKUSDT", "BATUSDT"],
            ["agg_trade", "book_ticker", "depth"],
            8_421,
        ),
    ],
)
def test_every_recorded_message_is_read_and_chains(
    recordings: Path, name: str, symbols: list[str], kinds: list[str], messages: int
) -> None:
    reader = USDM.codec(USDM.stream_specs(kinds, symbols))
    found = list(_recorded(recordings / name))
    assert len(found) == messages
    out: Out = []
    assert {reader.decode(message, AT, out) for message in found} == {Outcome.EVENTS}
    assert len(out) == messages
    for position, topic in enumerate(reader.topics):
        of_topic = [event for at, event in out if at == position]
        if topic.continuity.chained:
            assert all(later.first_id == earlier.last_id + 1 for earlier, later in itertools.pairwise(of_topic))
    for at in range(0, messages, 64):
        assert together(reader, found[at : at + 64]) is not None


def test_no_struct_of_a_message_is_tracked_by_the_garbage_collector() -> None:
    assert not any(shape.__struct_config__.gc for shape in FUTURES_MESSAGE_OF.values())
    assert all(issubclass(shape, msgspec.Struct) for shape in FUTURES_MESSAGE_OF.values())
