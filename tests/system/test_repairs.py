"""What REST can and cannot bring, against a venue that is bent as real ones were: the running program, and what it asks for."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.venue import Answer, Venue
from tests.support.waiting import wait_for
from tests.system.support import Program, feed

TRADES = ("--streams", "trade", "--symbols", "AAAUSDT")


def total(program: Program, name: str) -> float:
    return sum(program.metrics(name).values())


def shown(program: Program, key: str) -> int:
    return sum(worker.get(key, 0) for worker in program.status()["workers"])


def is_ready(program: Program) -> bool:
    return program.http("/readyz")[0] == 200


def flowing(program: Program) -> None:
    """Wait until it is ready and events come."""
    program.wait_ready()
    published = program.status()["published"]
    wait_for("events", lambda: program.status()["published"] > published + 20)


class Withheld:
    """Trades that exist and do not come on a line; REST hides them too while ``hidden``."""

    def __init__(self, venue: Venue, symbol: str = "AAAUSDT") -> None:
        self.ids: set[int] = set()
        self.hidden = True
        self._left = 0
        self._stream = f"{symbol.lower()}@trade"
        venue.on_event = self._event

    def next(self, count: int) -> None:
        self._left = count

    def _event(self, stream: str, data: dict[str, Any]) -> list[str] | None:
        if stream != self._stream or not self._left:
            return None
        self._left -= 1
        self.ids.add(data["t"])
        return []

    def rest(self, answer: Callable[[str, dict[str, str]], Answer]) -> Callable[[str, dict[str, str]], Answer | None]:
        """A hook for REST that leaves them out of what the venue would answer."""

        def hook(path: str, query: dict[str, str]) -> Answer | None:
            if not self.hidden or path not in {"trades", "historicalTrades", "aggTrades"}:
                return None
            whole = answer(path, query)
            key = "f" if path == "aggTrades" else "id"
            return Answer(200, [row for row in whole.body if row[key] not in self.ids])

        return hook


def micro(venue: Venue) -> Callable[[str, dict[str, str]], Answer]:
    """The venue's own answers, in µs."""

    class Request:
        headers = {"X-MBX-TIME-UNIT": "MICROSECOND"}

    return lambda path, query: venue._rest(path, query, Request())  # type: ignore[arg-type]


@pytest.mark.parametrize("ids", [400_000, 3_960_000])
def test_a_jump_of_ids_that_never_existed_costs_a_few_requests_and_is_proven_by_aggregates(ids: int) -> None:
    with Venue(["AAAUSDT"]) as venue, feed(venue, *TRADES, shards=1) as program:
        flowing(program)
        before = len(venue.requests)
        venue.flows["AAAUSDT"].skip(trades=ids)
        wait_for("the void", lambda: total(program, "k2_void_ids_total") == ids)
        wait_for("ready", lambda: is_ready(program))
        assert shown(program, "gaps_doubted") == 0
        asked = Counter(each.path for each in venue.requests[before:])
        assert sum(asked.values()) <= 5, asked


def test_a_jump_of_aggregate_ids_is_proven_by_its_neighbours_in_one_request() -> None:
    with (
        Venue(["AAAUSDT"]) as venue,
        feed(venue, "--streams", "agg_trade", "--symbols", "AAAUSDT", shards=1) as program,
    ):
        flowing(program)
        before = len(venue.requests)
        venue.flows["AAAUSDT"].skip(aggregates=400_000)
        wait_for("the void", lambda: total(program, "k2_void_ids_total") == 400_000)
        assert len(venue.requests[before:]) <= 2


def test_trades_that_rest_lacks_for_seconds_are_doubted_and_never_void_and_come_in_the_end() -> None:
    with Venue(["AAAUSDT"]) as venue:
        withheld = Withheld(venue)
        venue.on_rest = withheld.rest(micro(venue))
        with feed(venue, *TRADES, shards=1) as program:
            flowing(program)
            withheld.next(5)
            wait_for("a doubted gap", lambda: shown(program, "gaps_doubted") == 1)
            assert (shown(program, "gaps_open"), is_ready(program)) == (0, True), "shown, and not unready"
            looks = len(venue.asked("historicalTrades"))
            wait_for("two more looks, seconds apart", lambda: len(venue.asked("historicalTrades")) >= looks + 2)
            assert total(program, "k2_void_ids_total") == 0
            withheld.hidden = False
            wait_for("the trades", lambda: total(program, "k2_repaired_ids_total") == 5)
            wait_for("no gap", lambda: not shown(program, "gaps_doubted") + shown(program, "gaps_open"))
            assert total(program, "k2_void_ids_total") == 0


def test_aggregates_that_show_that_trades_exist_keep_their_gap_open() -> None:
    with Venue(["AAAUSDT"]) as venue:
        withheld = Withheld(venue)
        hides = withheld.rest(micro(venue))
        venue.on_rest = lambda path, query: None if path == "aggTrades" else hides(path, query)
        with feed(venue, *TRADES, shards=1) as program:
            flowing(program)
            withheld.next(5)
            wait_for("a look at the aggregates", lambda: len(venue.asked("aggTrades")) >= 1)
            wait_for("an open gap", lambda: shown(program, "gaps_open") == 1)
            assert not is_ready(program)
            withheld.hidden = False
            wait_for("the trades", lambda: total(program, "k2_repaired_ids_total") == 5)


@pytest.mark.parametrize("status", [404, 403])
def test_a_host_without_historical_trades_gives_what_its_memory_has_and_the_rest_is_given_up(status: int) -> None:
    kept = 400
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        withheld = Withheld(venue)
        answer = micro(venue)

        def hook(path: str, query: dict[str, str]) -> Answer | None:
            if path == "historicalTrades":
                return Answer(status, {"code": 0, "msg": "Not here."})
            return Answer(200, answer(path, query).body[-kept:]) if path == "trades" else None

        venue.on_rest = hook
        with feed(venue, *TRADES, shards=1) as program:
            flowing(program)
            withheld.next(600)
            wait_for("the rest given up", lambda: total(program, "k2_gaps_given_up_total") >= 1)
            wait_for("ready", lambda: is_ready(program))
            lost = total(program, "k2_missing_ids_total") - total(program, "k2_repaired_ids_total")
            assert 0 < lost <= 600
            assert lost < 600 - kept // 2 or status == 403, (
                "the memory had the newer ones, unless all were made to wait"
            )
            asked = len(venue.asked("historicalTrades"))
            assert asked <= 12
            had = shown(program, "events_received")
            withheld.next(20)
            wait_for("them and more", lambda: shown(program, "events_received") > had + 100)
            wait_for("no gap", lambda: not shown(program, "gaps_doubted") + shown(program, "gaps_open"))
            assert total(program, "k2_missing_ids_total") - total(program, "k2_repaired_ids_total") == lost
            assert len(venue.asked("historicalTrades")) == asked


def test_bars_that_never_existed_are_void_after_seconds() -> None:
    minute_us = 60_000_000
    opens_us = 1_700_000_000_000_000 // minute_us * minute_us
    with Venue(["AAAUSDT"]) as venue:
        venue.on_rest = lambda path, _query: Answer(200, []) if path == "klines" else None
        with feed(venue, "--streams", "kline_1m", "--symbols", "AAAUSDT", shards=1) as program:
            wait_for("a subscription", lambda: any(connection.names for connection in venue.connections))

            def bar(number: int) -> str:
                begin = opens_us + number * minute_us
                prices = '"o":"1","c":"1","h":"1","l":"1","v":"1","q":"1","V":"1","Q":"1"'
                return (
                    f'{{"stream":"aaausdt@kline_1m","data":{{"e":"kline","E":{begin + 1},"s":"AAAUSDT","k":{{"t":{begin},'
                    f'"T":{begin + minute_us - 1},"s":"AAAUSDT","i":"1m","f":1,"L":1,{prices},"n":1,"x":true}}}}}}'
                )

            venue.send(bar(0))
            wait_for("the first bar", lambda: program.status()["published"] >= 1)
            venue.send(bar(21))
            wait_for("the void", lambda: total(program, "k2_void_ids_total") > 0)
            assert len(venue.asked("klines")) <= 6
            wait_for("no gap", lambda: not shown(program, "gaps_doubted") + shown(program, "gaps_open"))


class SlowBooks:
    """A venue that holds every answer about a book until it is let go."""

    def __init__(self, venue: Venue) -> None:
        self.let_go = threading.Event()
        venue.on_rest_stream = self._hold
        self.held = 0

    async def _hold(self, _request: Any, path: str) -> None:
        import asyncio

        if path == "depth":
            self.held += 1
            while not self.let_go.is_set():
                await asyncio.sleep(0.02)


def test_trade_holes_are_filled_at_once_while_hundreds_of_slow_books_are_asked_for() -> None:
    symbols = [f"A{number:03}USDT" for number in range(200)]
    with Venue(symbols, every_s=0.5) as venue:
        books, withheld = SlowBooks(venue), Withheld(venue, "A000USDT")
        withheld.hidden = False
        with feed(venue, "--streams", "trade,depth", shards=2) as program:
            wait_for("slow books", lambda: books.held >= 2)
            published = program.status()["published"]
            wait_for("events", lambda: program.status()["published"] > published + 2_000)
            for _ in range(5):
                withheld.next(1)
                wait_for("a hole filled", lambda: filled(venue, withheld), 30)
            assert books.held <= 8
            books.let_go.set()


def test_trade_holes_are_filled_at_once_while_the_weight_forbids_books() -> None:
    symbols = [f"A{number:03}USDT" for number in range(200)]
    with Venue(symbols, every_s=0.5) as venue:
        withheld = Withheld(venue, "A000USDT")
        withheld.hidden = False

        def hook(path: str, query: dict[str, str]) -> Answer | None:
            if path != "depth":
                return None
            # Somebody else behind this address uses most of what we allow ourselves.
            return Answer(200, venue.flows[query["symbol"]].book(), {"X-MBX-USED-WEIGHT-1M": "4300"})

        venue.on_rest = hook
        with feed(venue, "--streams", "trade,depth", shards=2) as program:
            wait_for("books", lambda: venue.asked("depth"))
            published = program.status()["published"]
            wait_for("events", lambda: program.status()["published"] > published + 2_000)
            assert shown(program, "books_missing") > 100
            weight = program.status()["rest_weight"]
            assert (weight["wanted"] > 500, weight["wait_s"] > 5) == (True, True)
            for _ in range(5):
                withheld.next(1)
                wait_for("a hole filled", lambda: filled(venue, withheld), 30)


def filled(venue: Venue, withheld: Withheld) -> bool:
    """Whether the last withheld trade was fetched; nothing is announced if it comes within the hold."""
    if not withheld.ids or venue.flows["A000USDT"].trade_id <= max(withheld.ids):
        return False
    asked = [each for each in venue.asked("trades") + venue.asked("historicalTrades") if each.status == 200]
    return len(asked) >= len(withheld.ids)


def test_three_hundred_books_are_there_within_a_minute_and_deeper_ones_follow_without_hurry() -> None:
    symbols = [f"A{number:03}USDT" for number in range(300)]
    levels = [[f"{price}.0", "1.0"] for price in range(1_000, 0, -1)]
    with Venue(symbols, every_s=1.0) as venue:

        def hook(path: str, query: dict[str, str]) -> Answer | None:
            if path != "depth":
                return None
            limit = int(query["limit"])
            return Answer(200, {**venue.flows[query["symbol"]].book(), "bids": levels[:limit], "asks": []})

        venue.on_rest = hook
        with feed(venue, "--streams", "depth", shards=4) as program:
            wait_for("all books", lambda: len(venue.asked("depth")) >= 300 and not shown(program, "books_missing"))
            cheap_s = [asked.at_s for asked in venue.asked("depth") if asked.query["limit"] == "100"]
            assert len(cheap_s) == 300
            assert cheap_s[-1] - cheap_s[0] < 60
            wait_for("deeper ones", lambda: any(asked.query["limit"] == "1000" for asked in venue.asked("depth")))
            weight = program.status()["rest_weight"]
            assert weight["used"] <= weight["limit"]
            assert weight["wait_s"] == 0, "nobody lacks anything"


def test_the_book_of_a_quiet_symbol_that_changed_while_no_line_was_there_is_fetched_after_it() -> None:
    with Venue(every_s=0.05) as venue, feed(venue, "--streams", "depth", shards=1) as program:
        program.wait_ready()
        wait_for("deep books", lambda: not shown(program, "repairs_waiting") and len(venue.asked("depth")) >= 2)
        quiet = venue.halted["BBBUSDT"] = venue.flows.pop("BBBUSDT")
        venue.on_handshake = lambda: Answer(503)
        venue.reset_all()
        wait_for("no line", lambda: not venue.connections)
        quiet.step(time.time_ns() // 1_000)
        asked = len(venue.asked("depth"))
        venue.on_handshake = lambda: None
        wait_for("the book", lambda: "BBBUSDT" in [ask.query["symbol"] for ask in venue.asked("depth")[asked:]])
        first = next(ask for ask in venue.asked("depth")[asked:] if ask.query["symbol"] == "BBBUSDT")
        assert first.query["limit"] == "100", "the cheapest tells whether anything has changed"
        wait_for("the gap", lambda: shown(program, "gaps_open") == 0 and total(program, "k2_gaps_total") > 0)
