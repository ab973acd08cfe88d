"""Streams that bring nothing, with the real program: which are in order and which are not is the venue's to say."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support.listener import Listener
from tests.support.venue import Answer, Venue
from tests.support.waiting import wait_for
from tests.system.support import Program, feed, free_port

KINDS = ("trade", "aggTrade", "bookTicker", "depth@100ms")
SYMBOLS = ["AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT"]


def ready(program: Program) -> bool:
    return program.http("/readyz")[0] == 200


def streams_wrong(program: Program) -> list[str]:
    """What /readyz says against streams, whatever else."""
    code, text = program.http("/readyz")
    assert code in (200, 503)
    return [reason for reason in json.loads(text)["reasons"] if reason.startswith("streams_")]


def workers(program: Program, field: str) -> list[Any]:
    """What each worker reports."""
    return [worker.get(field) for worker in program.status()["workers"]]


def mute(venue: Venue, streams: set[str], lines: int) -> None:
    """Nothing comes of these streams on the first so many lines, from now on."""
    venue.on_event = lambda stream, _: [] if stream in streams and len(venue.handshakes) <= lines else None


def named_silent(program: Program) -> set[str]:
    return {topic for line in program.logged("streams_silent") for topic in line["topics"]}


def test_a_stream_of_any_kind_that_is_acknowledged_and_brings_nothing_is_found_and_replaced_and_quiet_ones_are_not() -> (
    None
):
    muted = {f"{symbol.lower()}@{kind}" for symbol, kind in zip(SYMBOLS, KINDS, strict=True)}
    with Venue([*SYMBOLS, "OLDUSDT", "NEWUSDT"]) as venue:
        venue.pings_every_s = 1.0
        venue.flows["OLDUSDT"].step(1_700_000_000_000_000)
        venue.halted = {symbol: venue.flows.pop(symbol) for symbol in ("OLDUSDT", "NEWUSDT")}
        mute(venue, muted, 1)
        with feed(venue, shards=1) as program:
            wait_for("the silent streams", lambda: len(named_silent(program)) == 4)
            assert named_silent(program) == {
                "binance.trade.AAAUSDT", "binance.agg_trade.BBBUSDT", "binance.book_ticker.CCCUSDT", "binance.depth.DDDUSDT",
            }  # fmt: skip
            assert streams_wrong(program)
            wait_for("another line, and all streams on it", lambda: not streams_wrong(program))
            assert workers(program, "streams_quiet") == [8]
            assert workers(program, "reconnects") == [0]
            assert program.metrics("k2_binance_connection_rotations_total")
            assert len(venue.handshakes) == 2


def test_a_book_ticker_and_a_depth_that_die_alone_are_replaced() -> None:
    with Venue(SYMBOLS) as venue, feed(venue, shards=1) as program:
        venue.pings_every_s = 1.0
        program.wait_ready()
        dead, topics = (
            {"aaausdt@bookTicker", "bbbusdt@depth@100ms"},
            {"binance.book_ticker.AAAUSDT", "binance.depth.BBBUSDT"},
        )
        mute(venue, dead, 1_000)
        wait_for("both are silent", lambda: named_silent(program) == topics)
        wait_for("not ready", lambda: streams_wrong(program))
        mute(venue, dead, len(venue.handshakes))  # the next line brings them
        wait_for("both are back", lambda: ready(program))
        assert workers(program, "rotations") >= [1]
        assert workers(program, "reconnects") == [0]


def test_the_first_trades_of_a_quiet_symbol_that_its_line_withheld_are_fetched() -> None:
    publish, replay = free_port(), free_port()
    with Venue(["AAAUSDT", "NEWUSDT"]) as venue, Listener(publish) as listener:
        venue.pings_every_s = 1.0
        venue.flows["NEWUSDT"].step(1_700_000_000_000_000)
        flow = venue.halted["NEWUSDT"] = venue.flows.pop("NEWUSDT")
        with feed(venue, "--streams", "trade", shards=1, publish=publish, replay=replay) as program:
            wait_for("a symbol that does not trade now is quiet", lambda: workers(program, "streams_quiet") == [1])
            mute(venue, {"newusdt@trade"}, len(venue.handshakes))
            first_id = flow.trade_id + 1
            venue.flows["NEWUSDT"] = flow
            first = wait_for("its first trade", lambda: listener.of("binance.trade.NEWUSDT"))[0]
            assert first[0] == first_id, "what was withheld came too"


class Behind:
    """A market of quiet symbols, which take turns, and a host whose looks at it are some seconds behind its streams."""

    def __init__(self, venue: Venue, behind_s: float) -> None:
        self.venue = venue
        self.turns = 0
        self._behind_s = behind_s
        self._all = dict(venue.flows)
        self._shown = {symbol: [(0.0, flow.trade_id, flow.top)] for symbol, flow in self._all.items()}
        """What each symbol showed since when."""
        venue.halted = dict(venue.flows)
        venue.on_event, venue.on_rest = self._next_turn, self._late

    def _next_turn(self, stream: str, _: dict[str, Any]) -> None:
        if "@depth" in stream:  # the last event of a step
            symbol = stream.partition("@")[0].upper()
            flow = self._all[symbol]
            self._shown[symbol].append((time.monotonic(), flow.trade_id, flow.top))
            self.turns += 1
            after = list(self._all)[self.turns % len(self._all)]
            self.venue.flows = {after: self._all[after]}

    def _late(self, path: str, query: dict[str, str]) -> Answer | None:
        if not path.startswith("ticker/"):
            return None
        latest_s, rows = time.monotonic() - self._behind_s, []
        for symbol in json.loads(query["symbols"]):
            _, last_id, (bid, ask) = [shown for shown in self._shown[symbol] if shown[0] <= latest_s][-1]
            of_trades = {"lastPrice": "100.0", "firstId": 0, "lastId": last_id, "count": 1}
            of_book = {"bidPrice": bid, "bidQty": "1.0", "askPrice": ask, "askQty": "2.0"}
            rows.append({"symbol": symbol, **(of_trades if path == "ticker/24hr" else of_book)})
        return Answer(200, rows)


@pytest.mark.long
def test_quiet_streams_of_a_venue_whose_looks_are_behind_its_streams_are_not_silent() -> None:
    symbols = [f"{letter * 3}USDT" for letter in "ABCDEFGH"]
    with Venue(symbols, every_s=1.37) as venue:
        venue.pings_every_s = 1.0
        market = Behind(venue, 2.5)
        with feed(venue, shards=1) as program:
            program.wait_ready()
            until = market.turns + 4 * len(symbols)

            def over() -> bool:
                assert streams_wrong(program) == []
                return market.turns >= until

            wait_for("each symbol had four more turns", over)
            assert program.logged("streams_silent") == []
            assert workers(program, "rotations") == [0]
            assert len(venue.handshakes) == 1


@pytest.mark.long
def test_a_delisted_symbol_is_quiet() -> None:
    with Venue(SYMBOLS) as venue, feed(venue, "--symbols", ",".join(SYMBOLS), shards=1) as program:
        venue.pings_every_s = 1.0
        program.wait_ready()
        wait_for("what streams used to do is known", lambda: workers(program, "streams_learned") == [16])
        venue.flows.pop("DDDUSDT")
        venue.rows = [entry for entry in venue.rows if entry["symbol"] != "DDDUSDT"]
        wait_for("they fall silent", lambda: len(named_silent(program)) == 4)
        wait_for("the venue was asked", lambda: workers(program, "streams_quiet") == [4])
        wait_for("nothing is wrong", lambda: ready(program))
        assert workers(program, "rotations") == [0]
        assert workers(program, "reconnects") == [0]


def test_when_the_whole_market_halts_all_lines_are_kept_and_bring_what_comes_at_once() -> None:
    with Venue(SYMBOLS) as venue, feed(venue) as program:
        venue.pings_every_s = 1.0
        program.wait_ready()
        wait_for("what lines used to bring is known", lambda: workers(program, "data_expected") == [True, True])
        halted = venue.halt()
        wait_for("all say so", lambda: workers(program, "market_quiet") == [True, True])
        looks = len(venue.asked("ticker/24hr"))
        wait_for("two more looks", lambda: len(venue.asked("ticker/24hr")) >= looks + 2)
        wait_for("ready all the same", lambda: ready(program))
        assert workers(program, "streams_quiet") == [8, 8]
        before = workers(program, "events_received")
        venue.flows.update(halted)
        wait_for("data on all shards", lambda: all(map(int.__lt__, before, workers(program, "events_received"))))
        assert len(program.logged("market_quiet")) == 2
        wait_for("it is over", lambda: workers(program, "market_quiet") == [False, False])
        assert workers(program, "reconnects") == [0, 0]
        assert len(venue.handshakes) == 2
