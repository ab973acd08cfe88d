"""The real program against a venue whose messages hold what no message should."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support.listener import Listener
from tests.support.venue import Answer, Venue
from tests.support.waiting import wait_for
from tests.system.support import Program, feed, free_port

YEAR_NS = 365 * 86_400_000_000_000


def wrapped(stream: str, data: Any) -> str:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":"))


def is_trade(stream: str) -> bool:
    return stream.endswith("@trade")


def bad_trades(venue: Venue, change: dict[str, Any]) -> None:
    """From now on every trade has these fields."""
    venue.on_event = lambda stream, data: [wrapped(stream, {**data, **change})] if is_trade(stream) else None


def unreadable(program: Program) -> list[str]:
    return list(program.status()["workers"][0].get("kinds_unreadable", ()))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"p": 5}, id="type"),
        *(
            pytest.param(odd, id=name, marks=pytest.mark.long)
            for name, odd in (("price", {"q": "abc"}), ("time", {"T": 5}), ("id", {"t": "x"}))
        ),
    ],
)
def test_a_kind_of_which_every_message_is_malformed_is_named_until_one_is_read(change: dict[str, Any]) -> None:
    with Venue(["AAAUSDT"]) as venue, feed(venue, "--streams", "trade,book_ticker", shards=1) as program:
        program.wait_ready()
        assert unreadable(program) == []
        bad_trades(venue, change)
        wait_for("the kind being named", lambda: unreadable(program) == ["trade"])
        assert program.http("/readyz")[0] == 503
        assert [line["kind"] for line in program.logged("kind_unreadable")] == ["trade"]
        counted = [key for key, count in program.metrics("k2_messages_unreadable_total").items() if count]
        assert [key.partition("kind=")[2][:7] for key in counted] == ['"trade"']
        venue.on_event = lambda _stream, _data: None
        wait_for("the kind being read again", lambda: unreadable(program) == [])
        wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200)
        assert [line["kind"] for line in program.logged("kind_readable_again")] == ["trade"]
        program.stop()


@pytest.mark.parametrize("bare", ["bare", "renamed"])
def test_frames_that_tell_no_stream_of_ours_make_every_kind_unreadable(bare: str) -> None:
    with Venue(["AAAUSDT"]) as venue, feed(venue, "--streams", "trade,book_ticker", shards=1) as program:
        program.wait_ready()
        venue.on_event = lambda stream, data: [
            json.dumps(data) if bare == "bare" else wrapped(f"spot:{stream.replace('@', '.')}", data)
        ]
        wait_for("the kinds being named", lambda: unreadable(program) == ["book_ticker", "trade"])
        venue.on_event = lambda _stream, _data: None
        wait_for("the kinds being read again", lambda: unreadable(program) == [])
        program.stop()


@pytest.mark.parametrize(
    "odd", ["abc", *(pytest.param(odd, marks=pytest.mark.long) for odd in ("", "NaN", "-1", "1e5", " 1"))]
)
def test_a_price_that_is_no_decimal_is_never_published(odd: str) -> None:
    port = free_port()
    streams = "trade,agg_trade,book_ticker,depth"
    counts = {"trade": 0, "bookTicker": 0, "depth@100ms": 0, "aggTrade": 0}

    def every_other(stream: str, data: dict[str, Any]) -> list[str] | None:
        kind = stream.partition("@")[2]
        counts[kind] += 1
        if counts[kind] % 2:
            return None
        change: dict[str, Any] = {"b": [[odd, "1.00000000"]]} if kind.startswith("depth") else {"b": odd}
        return [wrapped(stream, {**data, **(change if "b" in data else {"p": odd})})]

    with Venue(["AAAUSDT"]) as venue, Listener(port) as listener:
        venue.on_event = every_other
        # What is missing then is asked for over REST, whose rows are no better.
        venue.on_rest = lambda path, _query: (
            Answer(200, [{**entry, "price": odd} for entry in venue.flows["AAAUSDT"].trades])
            if path in ("trades", "historicalTrades")
            else None
        )
        with feed(venue, "--streams", streams, shards=1, publish=port) as program:
            wait_for("events of every kind", lambda: len({topic for topic, _ in listener.events}) == 4)
            before = program.metrics("k2_messages_dropped_total")
            wait_for(
                "more dropped",
                lambda: sum(program.metrics("k2_messages_dropped_total").values()) > sum(before.values()) + 20,
            )
            program.stop()
        texts = json.dumps(listener.events)
        assert f'"{odd}"' not in texts
        assert '"100.00000000"' in texts


@pytest.mark.parametrize(
    "unit_ns", [pytest.param(1_000_000, id="ms"), pytest.param(1, id="ns", marks=pytest.mark.long)]
)
def test_times_are_right_whatever_unit_the_venue_chooses(unit_ns: int) -> None:
    port = free_port()
    changed = False

    def in_another_unit(stream: str, data: dict[str, Any]) -> list[str] | None:
        times = {key: value * 1_000 // unit_ns for key, value in data.items() if key in ("E", "T")}
        return [wrapped(stream, {**data, **times})] if changed else None

    with Venue(["AAAUSDT"]) as venue, Listener(port) as listener:
        venue.on_event = in_another_unit
        with feed(venue, "--streams", "trade", shards=1, publish=port) as program:
            wait_for("trades in the unit that was asked for", lambda: len(listener.events) > 10)
            changed = True
            venue.reset_all()  # as at a reconnect to another server
            count = len(listener.events)
            wait_for("trades in the other unit", lambda: len(listener.events) > count + 50)
            program.stop()
        now_ns = time.time_ns()
        trades = listener.of("binance.trade.AAAUSDT")
        assert all(now_ns - YEAR_NS < at_ns < now_ns for trade in trades for at_ns in trade[4:7] if len(trade) == 7)


def test_rest_rows_are_right_whatever_unit_the_venue_chooses() -> None:
    port = free_port()

    def with_holes(_stream: str, data: dict[str, Any]) -> list[str] | None:
        return [] if data.get("t", 1) % 5 == 0 else None

    with Venue(["AAAUSDT"]) as venue, Listener(port) as listener:
        venue.on_event = with_holes
        venue.on_rest = lambda path, _query: (
            Answer(200, [{**entry, "time": entry["time"] // 1_000} for entry in venue.flows["AAAUSDT"].trades])
            if path == "trades"
            else None
        )
        with feed(venue, "--streams", "trade", shards=1, publish=port) as program:
            wait_for("repairs", lambda: sum(trade[0] % 5 == 0 for trade in listener.of("binance.trade.AAAUSDT")) > 5)
            program.stop()
        now_ns = time.time_ns()
        repaired = [trade for trade in listener.of("binance.trade.AAAUSDT") if trade[0] % 5 == 0 and len(trade) == 7]
        assert all(now_ns - YEAR_NS < at_ns < now_ns for trade in repaired for at_ns in trade[4:7])


def test_a_clock_of_the_venue_that_is_ahead_is_shown() -> None:
    with Venue(["AAAUSDT"]) as venue, feed(venue, "--streams", "trade", shards=1) as program:
        program.wait_ready()
        assert program.status()["workers"][0]["clock_ahead_s"] == 0.0
        venue.on_event = lambda stream, data: (
            [wrapped(stream, {**data, "E": data["E"] + 30_000_000})] if is_trade(stream) else None
        )
        wait_for("the skew", lambda: 29.0 < program.status()["workers"][0]["clock_ahead_s"] <= 30.0)
        wait_for("the gauge", lambda: 29.0 < max(program.metrics("k2_venue_clock_ahead_seconds").values()) <= 30.0)
        program.stop()
