"""Binance messages to events: every kind, both time units, and any bytes."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.events import (
    AggTrade,
    AveragePrice,
    BookTicker,
    DepthUpdate,
    Event,
    Kline,
    MiniTicker,
    PartialDepth,
    Ticker,
    Trade,
)
from k2workers.feed.message_block import MessageBlock
from k2workers.venues.binance.codec import BinanceCodec
from k2workers.venues.binance.messages import MESSAGE_OF
from k2workers.venues.binance.stream_dialect import SPOT_STREAMS
from k2workers.venues.binance.stream_shapes import plain_shapes
from k2workers.venues.binance.streams import KINDS, stream_specs
from k2workers.venues.binance.values import UNITS_NS
from k2workers.venues.venue import Outcome
from tests.support.batches import batch_of

AT = 1_700_000_000_000_000_000
US = 1_723_161_601_438_007
TRADE = {"e": "trade", "E": US, "s": "BTCUSDT", "t": 5, "p": "61685.99", "q": "0.1", "T": US, "m": True, "M": True}
BAR = {
    "t": US, "T": US + 59_999_999, "s": "BTCUSDT", "i": "1m", "f": -1, "L": -1, "o": "1.0", "c": "2.0", "h": "3.0", "l": "0.0",
    "v": "9.0", "n": 0, "x": True, "q": "8.0", "V": "7.0", "Q": "6.0", "B": "0.0",
}  # fmt: skip
WINDOW = {
    "E": US, "s": "BTCUSDT", "p": "1.0", "P": "2.0", "o": "3.0", "h": "4.0", "l": "5.0", "c": "6.0", "w": "7.0", "v": "8.0", "q": "9.0",
    "O": US, "C": US, "F": 1, "L": 2, "n": 2,
}  # fmt: skip
MINI = {
    "e": "24hrMiniTicker",
    "E": US,
    "s": "BTCUSDT",
    "c": "1.0",
    "o": "2.0",
    "h": "3.0",
    "l": "4.0",
    "v": "5.0",
    "q": "6.0",
}
BOOK = {"u": 7, "s": "BTCUSDT", "b": "1.0", "B": "2.0", "a": "3.0", "A": "4.0"}
DIFF = {"e": "depthUpdate", "E": US, "s": "BTCUSDT", "U": 3, "u": 5, "b": [["1.0", "2.0"]], "a": []}
AGG = {"e": "aggTrade", "E": US, "s": "BTCUSDT", "a": 9, "p": "1.0", "q": "2.0", "f": 4, "l": 5, "T": US, "m": False}

MESSAGES: dict[str, tuple[str, Any]] = {
    "trade": ("btcusdt@trade", TRADE),
    "agg_trade": ("btcusdt@aggTrade", AGG),
    "block_trade": ("btcusdt@blockTrade", {**TRADE, "e": "blockTrade"}),
    "book_ticker": ("btcusdt@bookTicker", BOOK),
    "depth": ("btcusdt@depth@100ms", DIFF),
    "depth_1s": ("btcusdt@depth", DIFF),
    "partial_depth_5": ("btcusdt@depth5@100ms", {"lastUpdateId": 160, "bids": [["1.0", "2.0"]], "asks": []}),
    "partial_depth_20_1s": ("btcusdt@depth20", {"lastUpdateId": 160, "bids": [["1.0", "2.0"]], "asks": []}),
    "kline_1m": ("btcusdt@kline_1m", {"e": "kline", "E": US, "s": "BTCUSDT", "k": BAR}),
    "kline_1M_utc8": ("btcusdt@kline_1M@+08:00", {"e": "kline", "E": US, "s": "BTCUSDT", "k": BAR}),
    "mini_ticker": ("btcusdt@miniTicker", MINI),
    "mini_ticker_all": ("!miniTicker@arr", [MINI, {**MINI, "s": "币安人生USDT"}]),
    "ticker": ("btcusdt@ticker", {**WINDOW, "x": "1.0", "Q": "2.0", "b": "3.0", "B": "4.0", "a": "5.0", "A": "6.0"}),
    "ticker_4h": ("btcusdt@ticker_4h", {**WINDOW, "e": "4hTicker"}),
    "ticker_1d_all": ("!ticker_1d@arr", [{**WINDOW, "e": "1dTicker"}]),
    "avg_price": ("btcusdt@avgPrice", {"e": "avgPrice", "E": US, "s": "BTCUSDT", "i": "5m", "w": "1.0", "T": US}),
    "reference_price": ("btcusdt@referencePrice", {"e": "referencePrice", "s": "BTCUSDT", "r": "1.0", "t": US}),
}


def codec(*kinds: str) -> BinanceCodec:
    return BinanceCodec("binance", stream_specs(kinds, ["BTCUSDT"]))


def frame(stream: str, data: Any) -> bytes:
    return json.dumps({"stream": stream, "data": data}, ensure_ascii=False, separators=(",", ":")).encode()


Out = list[tuple[int, Event]]
"""What a codec gives: places of topics, and events."""


def decoded(kind: str, stream: str, data: Any) -> list[tuple[str, Event]]:
    reader = codec(kind)
    out: Out = []
    assert reader.decode(frame(stream, data), AT, out) is Outcome.EVENTS, reader.malformed_cause
    return [(reader.topics[position].topic, event) for position, event in out]


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_kind_becomes_its_event_on_its_topic(kind: str) -> None:
    stream, data = MESSAGES[kind]
    events = decoded(kind, stream, data)
    topic_kind = KINDS[kind].kind
    assert events[0][0] == f"binance.{topic_kind}.BTCUSDT"
    assert all(type(event) is KINDS[kind].event_type for _, event in events)
    assert all(event.received_ns == AT for _, event in events)  # type: ignore[attr-defined]
    assert len(events) == (len(data) if isinstance(data, list) else 1)


def test_values_are_kept_exactly_and_times_become_nanoseconds() -> None:
    ((_, trade),) = decoded("trade", "btcusdt@trade", {**TRADE, "E": US + 7})
    assert trade == Trade(5, "61685.99", "0.1", True, US * 1_000, (US + 7) * 1_000, AT)
    ((_, book),) = decoded("book_ticker", "btcusdt@bookTicker", BOOK)
    assert book == BookTicker(7, "1.0", "2.0", "3.0", "4.0", AT)
    ((_, diff),) = decoded("depth", "btcusdt@depth@100ms", DIFF)
    assert diff == DepthUpdate(3, 5, [("1.0", "2.0")], [], US * 1_000, AT)
    assert (diff.first_id, diff.last_id) == (3, 5)
    ((_, bar),) = decoded("kline_1m", *MESSAGES["kline_1m"])
    assert isinstance(bar, Kline)
    assert (bar.final, bar.first_trade_id, bar.close_time_ns) == (True, -1, (US + 59_999_999) * 1_000)
    ((_, agg),) = decoded("agg_trade", "btcusdt@aggTrade", AGG)
    assert isinstance(agg, AggTrade)
    assert (agg.agg_trade_id, agg.first_trade_id, agg.last_trade_id) == (9, 4, 5)
    ((_, window),) = decoded("ticker_4h", *MESSAGES["ticker_4h"])
    assert isinstance(window, Ticker)
    assert window.bid_price == ""
    ((_, partial),) = decoded("partial_depth_5", *MESSAGES["partial_depth_5"])
    assert isinstance(partial, PartialDepth)


def test_a_non_ascii_symbol_of_the_whole_market_gets_its_own_topic() -> None:
    (_, (topic, event)) = decoded("mini_ticker_all", *MESSAGES["mini_ticker_all"])
    assert topic == "binance.mini_ticker.币安人生USDT"
    assert isinstance(event, MiniTicker)


ODD_ELEMENTS: list[Any] = [
    None, 7, [], {}, {**MINI, "c": None}, {**MINI, "E": -1}, {**MINI, "s": ""}, {**MINI, "s": "A B"}, {**MINI, "s": "a@b"}, {**MINI, "s": "X" * 5_000}, {**MINI, "s": 5},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_ELEMENTS)
def test_one_odd_element_of_the_whole_market_silences_no_other(odd: Any) -> None:
    reader = codec("mini_ticker_all")
    out: Out = []
    message = frame("!miniTicker@arr", [MINI, odd, {**MINI, "s": "ETHUSDT"}])
    assert together(reader, [message]) is None
    assert reader.decode(message, AT, out) is Outcome.EVENTS
    assert [reader.topics[at].symbol for at, _ in out] == ["BTCUSDT", "ETHUSDT"]
    assert reader.odd_elements == 1
    assert reader.malformed_cause
    assert reader.decode(frame("!miniTicker@arr", [MINI]), AT, out) is Outcome.EVENTS
    assert reader.odd_elements == 0


def test_a_message_of_the_whole_market_that_is_no_list_is_malformed() -> None:
    reader = codec("mini_ticker_all")
    for data in (MINI, None, "x"):
        assert reader.decode(frame("!miniTicker@arr", data), AT, []) is Outcome.MALFORMED


def test_streams_that_are_added_are_read_and_topics_keep_their_places() -> None:
    venue_kinds = ["trade", "depth", "mini_ticker_all"]
    reader = codec(*venue_kinds)
    reader.decode(frame("!miniTicker@arr", [MINI, {**MINI, "s": "NEWUSDT"}]), AT, [])
    before = list(reader.topics)
    reader.add(stream_specs(["trade", "depth"], ["NEWUSDT"]))
    assert reader.topics[: len(before)] == before
    assert [topic.topic for topic in reader.topics[len(before) :]] == ["binance.trade.NEWUSDT", "binance.depth.NEWUSDT"]
    messages = [
        frame("newusdt@trade", {**TRADE, "s": "NEWUSDT"}), frame("btcusdt@trade", TRADE),
        frame("newusdt@depth@100ms", {**DIFF, "s": "NEWUSDT"}), frame("!miniTicker@arr", [MINI]),
    ]  # fmt: skip
    runs = together(reader, messages)
    assert runs is not None
    assert (True, runs) == one_by_one(reader, messages)
    assert {reader.topics[at].topic for at in runs} == {
        "binance.trade.NEWUSDT", "binance.trade.BTCUSDT", "binance.depth.NEWUSDT", "binance.mini_ticker.BTCUSDT",
    }  # fmt: skip
    # A symbol on another's stream is still no event.
    assert reader.decode(frame("newusdt@trade", TRADE), AT, []) is Outcome.MALFORMED


def test_an_invalidated_aggregate_is_no_event() -> None:
    assert decoded("agg_trade", "btcusdt@aggTrade", {**AGG, "f": -1, "l": -1}) == []


def test_key_order_and_escapes_do_not_matter() -> None:
    reader = codec("trade")
    out: Out = []
    swapped = json.dumps({"data": TRADE, "stream": "btcusdt@trade"}).encode()
    escaped = json.dumps({"stream": "btcusdt@trade", "data": TRADE}).replace("btcusdt", "\\u0062tcusdt").encode()
    assert [reader.decode(each, AT, out) for each in (swapped, escaped)] == [Outcome.EVENTS, Outcome.EVENTS]
    assert len(out) == 2


@pytest.mark.parametrize(
    ("text", "ok", "code", "request_id"),
    [
        ('{"result":null,"id":3}', True, 0, 3),
        ('{"result":["a"],"id":4}', True, 0, 4),
        ('{"result":["a",null,{"b":1}],"id":5}', True, 0, 5),
        ('{"error":{"code":2,"msg":"Invalid request"},"id":2}', False, 2, 2),
        ('{"code":2,"msg":"Invalid request"}', False, 2, None),
    ],
)
def test_both_forms_of_a_reply_are_read(text: str, ok: bool, code: int, request_id: int | None) -> None:
    reader = codec("trade")
    assert reader.decode(text.encode(), AT, []) is Outcome.REPLY
    assert (reader.last_reply.ok, reader.last_reply.code, reader.last_reply.id) == (ok, code, request_id)


@pytest.mark.parametrize(
    "text",
    ['{"e":"serverShutdown","E":1}', '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}'],
)
def test_both_forms_of_the_shutdown_notice_are_read(text: str) -> None:
    assert codec("trade").decode(text.encode(), AT, []) is Outcome.SHUTDOWN_NOTICE


def test_a_stream_that_was_not_asked_for_is_said() -> None:
    assert codec("trade").decode(frame("ethusdt@trade", TRADE), AT, []) is Outcome.UNKNOWN_STREAM
    assert codec("trade").decode(frame("!new@arr", []), AT, []) is Outcome.UNKNOWN_STREAM
    assert codec("trade").decode(frame("spot:ethusdt.trade", TRADE), AT, []) is Outcome.MALFORMED, "no stream's name"


@pytest.mark.parametrize("text", ["{}", '{"e":"maintenance","in":600}', '{"stream":null}', '{"id":7}'])
def test_what_names_no_symbol_and_holds_no_book_is_a_notice_of_an_unknown_sort(text: str) -> None:
    reader = codec("trade")
    assert reader.decode(text.encode(), AT, []) is Outcome.UNKNOWN_NOTICE
    assert reader.malformed_cause


@pytest.mark.parametrize(
    "data", [TRADE, {"u": 1, "s": "BTCUSDT"}, {"lastUpdateId": 1, "bids": [], "asks": []}, [TRADE]]
)
def test_data_without_its_wrapper_is_malformed(data: Any) -> None:
    assert codec("trade").decode(json.dumps(data).encode(), AT, []) is Outcome.MALFORMED


@pytest.mark.parametrize(
    "bad",
    [
        b"", b"\xff\xfe", b"[1]", b'{"stream":"btcusdt@trade', frame("btcusdt@trade", {**TRADE, "t": -1}),
        frame("btcusdt@trade", {**TRADE, "t": 2**70}), frame("btcusdt@trade", {**TRADE, "s": "ETHUSDT"}),
        frame("btcusdt@trade", {}), b"[" * 100_000, frame("btcusdt@trade", {**TRADE, "E": 10**18}),
    ],
)  # fmt: skip
def test_a_bad_message_is_malformed_with_a_cause(bad: bytes) -> None:
    reader = codec("trade")
    out: Out = []
    assert reader.decode(bad, AT, out) is Outcome.MALFORMED
    assert reader.malformed_cause
    assert out == []


ODD_TEXTS = ["abc", "", ".", "NaN", "-1", "1e5", " 1", "1.2.3", "9" * 60, 5, 5.5, None, [], "1,5"]


def with_one_odd(kind: str, data: Any, odd: Any) -> Iterator[Any]:
    """Copies of this message in each of which one of the decimals is odd."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        signed = kind.startswith("ticker") and key in ("p", "P") and odd == "-1"
        unread = kind.startswith("kline") and key in ("i", "B")
        if isinstance(value, dict | list):
            changed = list(with_one_odd(kind, value, odd))
        else:
            changed = [odd] if re.fullmatch("[0-9.]+", str(value)) and isinstance(value, str) else []
        for part in [] if signed or unread else changed:
            copy = data.copy()
            copy[key] = part
            yield copy


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("odd", ODD_TEXTS, ids=repr)
def test_no_event_holds_a_price_or_quantity_that_is_no_decimal(kind: str, odd: Any) -> None:
    stream, data = MESSAGES[kind]
    messages = [frame(stream, bad) for bad in with_one_odd(kind, data, odd)]
    if (kind, odd) == ("reference_price", None):
        messages = [frame(stream, {**data, "r": False})]  # None says that there is none
    for message in messages:
        reader = codec(kind)
        out: Out = []
        assert together(reader, [message]) is None
        outcome = reader.decode(message, AT, out)
        assert (outcome is Outcome.MALFORMED, reader.odd_elements) == (
            (True, 0) if isinstance(data, dict) else (False, 1)
        )
        assert reader.malformed_kind == KINDS[kind].kind
        assert len(out) == (len(data) - 1 if isinstance(data, list) else 0)
    assert len(messages) >= 1


def test_a_change_of_the_price_may_be_negative() -> None:
    for kind in ("ticker", "ticker_4h"):
        stream, data = MESSAGES[kind]
        ((_, event),) = decoded(kind, stream, {**data, "p": "-1.5", "P": "-0.100"})
        assert isinstance(event, Ticker)
        assert (event.price_change, event.price_change_percent) == ("-1.5", "-0.100")


def test_a_decimal_needs_no_point() -> None:
    messages = [
        frame("btcusdt@trade", {**TRADE, "q": "10"}),
        frame("btcusdt@depth@100ms", {**DIFF, "b": [["11", "10"]]}),
    ]
    reader = codec("trade", "depth")
    runs = together(reader, messages)
    assert runs is not None
    assert (True, runs) == one_by_one(reader, messages)


@pytest.mark.parametrize("kind", ["depth", "depth_1s", "partial_depth_5"])
@pytest.mark.parametrize("more", [[[]], ["0"], [None, 7]])
def test_what_follows_the_pair_of_a_level_is_left_out(kind: str, more: list[Any]) -> None:
    stream, data = MESSAGES[kind]
    long = {
        key: [[*level, *more] for level in value] if isinstance(value, list) else value for key, value in data.items()
    }
    assert long != data
    assert decoded(kind, stream, long) == decoded(kind, stream, data)


def in_unit(data: Any, unit_ns: int) -> Any:
    """The same message with its times in this unit."""
    if isinstance(data, dict):
        return {key: in_unit(value, unit_ns) for key, value in data.items()}
    if isinstance(data, list):
        return [in_unit(value, unit_ns) for value in data]
    return data * 1_000 // unit_ns if isinstance(data, int) and data > 10**15 else data


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("unit_ns", UNITS_NS)
def test_the_unit_of_the_times_is_seen_in_the_values(kind: str, unit_ns: int) -> None:
    stream, data = MESSAGES[kind]
    reader = codec(kind)
    message = frame(stream, in_unit(data, unit_ns))
    _, runs = one_by_one(reader, [message])
    expected = one_by_one(codec(kind), [frame(stream, data)])[1]
    for event, same in zip(itertools.chain(*runs.values()), itertools.chain(*expected.values()), strict=True):
        for name in event.__struct_fields__:
            value, right = getattr(event, name), getattr(same, name)
            assert value == (
                right // 1_000_000 * 1_000_000 if unit_ns == 1_000_000 and name.endswith("e_ns") else right
            )
    # From then on it is read as fast as any other, and so is the one before.
    assert together(reader, [message]) == runs
    assert together(reader, [frame(stream, data)]) == expected


@pytest.mark.parametrize("unit_ns", UNITS_NS)
def test_a_bar_ends_where_the_next_one_opens_in_every_unit(unit_ns: int) -> None:
    opens, closes = 1_723_161_600_000_000_000, 1_723_161_660_000_000_000
    bar = {**BAR, "t": opens // unit_ns, "T": closes // unit_ns - 1}
    ((_, event),) = decoded("kline_1m", "btcusdt@kline_1m", {"E": closes // unit_ns, "s": "BTCUSDT", "k": bar})
    assert isinstance(event, Kline)
    assert (event.open_time_ns, event.next_open_ns) == (opens, closes)


@pytest.mark.parametrize(
    "kind", ["trade", "agg_trade", "block_trade", "depth", "kline_1m", "mini_ticker_all", "ticker", "avg_price"]
)
@pytest.mark.parametrize("time", [0, 5, US // 1_000_000, 10**14, 7_300_000_000_000_000])
def test_what_cannot_be_a_time_is_malformed(kind: str, time: int) -> None:
    stream, data = MESSAGES[kind]
    bad = [{**data[0], "E": time}] if isinstance(data, list) else {**data, "E": time}
    reader = codec(kind)
    out: Out = []
    assert together(reader, [frame(stream, bad)]) is None
    outcome = reader.decode(frame(stream, bad), AT, out)
    assert (outcome, reader.odd_elements, out) == (
        (Outcome.EVENTS, 1, []) if isinstance(bad, list) else (Outcome.MALFORMED, 0, [])
    )


def test_times_of_one_message_are_in_one_unit() -> None:
    for bad in ({**TRADE, "T": US // 1_000}, {**TRADE, "T": 0}):
        assert codec("trade").decode(frame("btcusdt@trade", bad), AT, []) is Outcome.MALFORMED


def test_times_that_the_venue_does_not_know_stay_none() -> None:
    stream, data = MESSAGES["avg_price"]
    ((_, event),) = decoded("avg_price", stream, {**data, "T": 0})
    assert isinstance(event, AveragePrice)
    assert (event.last_trade_time_ns, event.venue_time_ns) == (0, US * 1_000)


def test_a_codec_without_streams_reads_what_is_not_data() -> None:
    reader = BinanceCodec("binance", [])
    assert reader.decode(b'{"result":null,"id":3}', AT, []) is Outcome.REPLY
    for message in (frame("btcusdt@trade", TRADE), frame("", 0), frame("", None), b'{"stream":""}'):
        assert together(reader, [message]) is None
        assert reader.decode(message, AT, []) is not Outcome.EVENTS


@given(st.binary(max_size=400))
def test_any_bytes_are_an_outcome(data: bytes) -> None:
    codec("trade", "mini_ticker_all").decode(data, AT, [])


@given(st.sampled_from(sorted(MESSAGES)), st.data())
def test_a_damaged_message_is_an_outcome_and_its_events_encode(kind: str, data: st.DataObject) -> None:

    damaged = bytearray(frame(*MESSAGES[kind]))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    reader = codec(kind)
    out: Out = []
    reader.decode(bytes(damaged), AT, out)
    for position, event in out:
        batch_of(reader.topics[position].topic, [event])


TOGETHER = sorted(kind for kind in MESSAGES if kind != "mini_ticker")
"""Kinds that one connection can carry."""


def one_by_one(reader: BinanceCodec, messages: list[bytes]) -> tuple[bool, dict[int, list[Event]]]:
    """What a read gives if every message is decoded on its own: whether all were events, and the events by topic."""
    plain, runs = True, dict[int, list[Event]]()
    for message in messages:
        out: list[tuple[int, Event]] = []
        plain = reader.decode(message, AT, out) is Outcome.EVENTS and plain
        for position, event in out:
            runs.setdefault(position, []).append(event)
    return plain, runs


def together(reader: BinanceCodec, messages: list[bytes]) -> dict[int, list[Event]] | None:
    """What a read gives if its messages are decoded in one call."""
    lying = MessageBlock.of(messages)
    return reader.decode_together(lying.together, len(lying), AT)


@given(st.lists(st.sampled_from(TOGETHER), min_size=1, max_size=8))
def test_a_read_of_plain_messages_is_decoded_at_once_to_the_same_events(kinds: list[str]) -> None:
    messages = [frame(*MESSAGES[kind]) for kind in kinds]
    runs = together(codec(*TOGETHER), messages)
    assert runs is not None
    assert (True, runs) == one_by_one(codec(*TOGETHER), messages)


@given(st.lists(st.sampled_from(TOGETHER), min_size=1, max_size=5), st.data())
def test_a_read_with_anything_else_in_it_is_left_alone(kinds: list[str], data: st.DataObject) -> None:
    messages = [frame(*MESSAGES[kind]) for kind in kinds]
    victim = data.draw(st.integers(0, len(messages) - 1))
    damaged = bytearray(messages[victim])
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    messages[victim] = data.draw(
        st.sampled_from([bytes(damaged), bytes(damaged[: len(damaged) // 2]), b'{"result":null,"id":1}', b"", b"{},{}"])
    )
    runs = together(codec(*TOGETHER), messages)
    if runs is not None:
        assert (True, runs) == one_by_one(codec(*TOGETHER), messages)


@pytest.mark.parametrize("kind", MESSAGES)
def test_fields_stand_in_the_venues_order_whatever_symbols_are_asked_for(kind: str) -> None:
    shapes = plain_shapes(stream_specs([kind], ["BTCUSDT"]), 1_000, SPOT_STREAMS)
    (shape,) = shapes.values()
    assert shape.__struct_fields__ == MESSAGE_OF[KINDS[kind].event_type].__struct_fields__


@pytest.mark.parametrize("kind", MESSAGES)
def test_an_event_keeps_no_view_of_the_buffer(kind: str) -> None:
    message = frame(*MESSAGES[kind])
    buffer, reader = bytearray(b"[%b]" % message), codec(kind)
    runs = reader.decode_together(memoryview(buffer), 1, AT)
    buffer[:] = b"x" * len(buffer)
    assert (True, runs) == one_by_one(codec(kind), [message])


def test_every_recorded_message_is_read_and_chains(recordings: Path) -> None:
    reader = codec("trade", "book_ticker", "depth")
    out: Out = []
    for day in (8, 9):
        with gzip.open(recordings / "spot" / f"btcusdt_2024080{day}.gz") as lines:
            for line in lines:
                body = line.partition(b" ")[2].strip()
                if body.startswith(b'{"stream"'):
                    assert reader.decode(body, AT, out) is Outcome.EVENTS
    trades = [event for _, event in out if isinstance(event, Trade)]
    diffs = [event for _, event in out if isinstance(event, DepthUpdate)]
    assert [trade.trade_id for trade in trades] == list(range(3735683259, 3735683259 + 19_904))
    assert all(later.first_id == earlier.last_id + 1 for earlier, later in itertools.pairwise(diffs))
    assert len(diffs) == 6_495


def test_nothing_that_ten_symbols_have_sent_is_rejected(recordings: Path) -> None:
    with gzip.open(recordings / "multi" / "BINANCE-b38f7c.0.gz") as lines:
        messages = [line.partition(b": ")[2].strip() for line in lines if b': {"stream":' in line]
    names = {json.loads(message)["stream"].partition("@")[0].upper() for message in messages}
    reader = BinanceCodec("binance", stream_specs(["agg_trade", "book_ticker", "depth"], sorted(names)))
    assert [reader.decode(message, AT, []) for message in messages] == [Outcome.EVENTS] * 11_357
    # Its times are in milliseconds: known by now, so each read is decoded at once.
    assert all(together(reader, messages[at : at + 50]) for at in range(0, len(messages), 50))


def test_every_kind_of_stream_has_a_shape_for_its_messages_and_the_shape_says_what_it_makes() -> None:
    assert set(MESSAGE_OF) == {kind.event_type for kind in KINDS.values()}
