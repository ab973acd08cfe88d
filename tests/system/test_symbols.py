"""Symbols as the venue really lists them: what is odd, resting, missing or new never stops the rest."""

from __future__ import annotations

import json
import time
from typing import Any

import psutil

from tests.support.venue import Answer, Venue, row
from tests.system.support import Program, feed, free_port, run_briefly, wait_for

KINDS = 4
"""Streams of each symbol, by default."""

PATIENCE_S = 60.0

REFUSED = Answer(400, {"code": -1121, "msg": "Invalid symbol."})


def seen(program: Program) -> int:
    """How many streams have brought something."""
    return sum(int(worker.get("streams_seen", 0)) for worker in program.status()["workers"])


def counts(program: Program) -> dict[str, int]:
    found: dict[str, int] = program.status()["symbol_states"]["count"]
    return found


def test_what_can_be_served_is_served_and_the_rest_is_named_and_taken_up_when_it_comes() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=0.02) as venue:
        venue.list("RESTUSDT", "BREAK", trades=False)
        venue.list("NEWAUSDT", "BREAK", trades=False)
        odd: list[Any] = [
            None, 7, {"status": "TRADING"}, {"symbol": 5, "status": "TRADING"}, {"symbol": "NOSTATUSUSDT"},
            row("A BUSDT"), row("A@BUSDT"), row("İUSDT"),
        ]  # fmt: skip
        venue.rows += odd
        names = "AAAUSDT,BBBUSDT,RESTUSDT,LATEUSDT,NOSTATUSUSDT,A BUSDT,A@BUSDT,İUSDT,NEW*"
        with feed(venue, "--symbols", names, K2_SYMBOL_CHECK_S="1") as program:
            wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200, PATIENCE_S)
            pids = [worker["pid"] for worker in program.status()["workers"]]
            assert counts(program) == {
                "trading": 2, "quiet": 1, "vanished": 0, "awaited": 1, "unknown": 1, "left_out": 4, "no_room": 0,
            }  # fmt: skip
            states = program.status()["symbol_states"]
            assert states["not_trading"] == {"RESTUSDT": "BREAK"}
            assert set(states["unknown_nearest"]) == {"LATEUSDT"}
            assert set(states["left_out"]) == {"NOSTATUSUSDT", "A BUSDT", "A@BUSDT", "İUSDT"}
            assert program.metrics("k2_symbols")
            assert {line["symbol"] for line in program.logged("symbol_left_out")} == set(states["left_out"])
            (rows,) = program.logged("rest_rows_dropped")[:1]
            assert rows["count"] == 4
            assert any("restusdt@trade" in names for names in venue.subscribed)

            venue.list("LATEUSDT")
            venue.list("NEWBUSDT")
            wait_for("new symbols served", lambda: seen(program) == 4 * KINDS, PATIENCE_S)
            trading = {"RESTUSDT": "TRADING", "NEWAUSDT": "TRADING"}
            for listed in venue.rows:
                if isinstance(listed, dict) and listed.get("symbol") in trading:
                    listed["status"] = "TRADING"
            venue.start("RESTUSDT")
            venue.start("NEWAUSDT")
            wait_for("symbols that began to trade served", lambda: seen(program) == 6 * KINDS, PATIENCE_S)
            (change,) = program.logged("symbols_changed")
            assert (change["before"], change["now"], change["symbols"]) == ("BREAK", "TRADING", ["RESTUSDT"])
            assert sorted(worker["symbols"] for worker in program.status()["workers"]) == [3, 3]
            assert [worker["pid"] for worker in program.status()["workers"]] == pids

            # What came later is part of every new line, and of a worker that begins anew.
            for worker in program.status()["workers"]:
                psutil.Process(worker["pid"]).kill()
            wait_for("all restarted", lambda: all(w["restarts"] for w in program.status()["workers"]), PATIENCE_S)
            wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200, PATIENCE_S)
            wait_for("all symbols served again", lambda: seen(program) == 6 * KINDS, PATIENCE_S)

            venue.rows = [listed for listed in venue.rows if listed is None or listed != row("AAAUSDT")]
            wait_for("a vanished symbol named", lambda: counts(program)["vanished"] == 1, PATIENCE_S)
            assert counts(program)["trading"] == 5
            program.stop()
            assert program.process.returncode == 0, "".join(program.raw)


def test_a_list_that_is_empty_or_refused_is_asked_for_again_until_it_comes() -> None:
    # What else is no list: tests/venues/binance/test_rest.py.
    answers = [Answer(200, {"symbols": []}), Answer(500, "no"), Answer(200, "<html>")]
    with Venue() as venue:
        venue.on_rest = lambda path, _query: answers.pop(0) if path == "exchangeInfo" and answers else None
        with feed(venue, "--symbols", "*USDT") as program:
            wait_for("the empty list told", lambda: program.logged("venue_unreachable"), PATIENCE_S)
            assert program.status()["waiting_for"] == "symbols"
            wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200, PATIENCE_S)
            assert "lists no symbols" in program.logged("venue_unreachable")[0]["error"]
            program.stop()


def test_a_pattern_of_which_nothing_trades_yet_waits_for_it() -> None:
    with Venue(["AAAUSDT"]) as venue:
        venue.list("NEWUSDT", "BREAK")
        with feed(venue, "--symbols", "NEW*") as program:
            wait_for("told that nothing trades", lambda: program.logged("no_symbol_yet"), PATIENCE_S)
            assert counts(program)["awaited"] == 1
            venue.rows[-1] = row("NEWUSDT")
            wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200, PATIENCE_S)
            program.stop()


def arguments(venue: Venue, symbols: str) -> list[str]:
    return [
        "--shards", "1", "--http-port", "0", "--symbols", symbols, "--binance-websocket-url", venue.ws_url,
        "--publish-endpoint", f"tcp://127.0.0.1:{free_port()}", "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}",
        "--binance-rest-url", venue.rest_url,
    ]  # fmt: skip


def test_names_of_which_the_venue_knows_none_are_the_users_mistake() -> None:
    with Venue() as venue:
        run = run_briefly(*arguments(venue, "AAAUDST,ZZZ*"))
        assert run.returncode == 2
        assert "did you mean AAAUSDT?" in run.stderr
        assert "ZZZ*" in run.stderr
        assert "Traceback" not in run.stderr


def test_named_symbols_are_asked_for_alone() -> None:
    with (
        Venue(["AAAUSDT", "BBBUSDT", "CCCUSDT"]) as venue,
        feed(venue, "--symbols", "bbbusdt,AAAUSDT", K2_SYMBOL_CHECK_S="1") as program,
    ):
        wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200, PATIENCE_S)
        wait_for("two looks at the symbols", lambda: len(venue.asked("exchangeInfo")) > 1, PATIENCE_S)
        assert [json.loads(asked.query["symbols"]) for asked in venue.asked("exchangeInfo")[:2]] == [
            ["BBBUSDT", "AAAUSDT"]
        ] * 2
        # One name that the venue does not know (any longer) refuses the others with it.
        venue.rows.pop(0)
        wait_for("a vanished symbol named", lambda: counts(program)["vanished"] == 1, PATIENCE_S)
        # Also if nothing else is named any longer.
        venue.rows.pop(0)
        wait_for("all vanished symbols named", lambda: counts(program)["vanished"] == 2, PATIENCE_S)
        looks = len(venue.asked("exchangeInfo"))
        wait_for("two more looks", lambda: len(venue.asked("exchangeInfo")) >= looks + 2, PATIENCE_S)
        assert sum("symbols" not in asked.query for asked in venue.asked("exchangeInfo")) == 2
        assert not program.logged("symbols_not_checked")
        program.stop()


def test_a_row_that_becomes_odd_does_not_end_the_looks() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"]) as venue, feed(venue, K2_SYMBOL_CHECK_S="1") as program:
        program.wait_ready()
        venue.rows[0]["status"] = ["TRADING"]
        wait_for("the change told", lambda: program.logged("symbols_changed"))
        venue.list("CCCUSDT")
        wait_for("a new symbol taken up", lambda: program.logged("symbols_taken_up"))
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)


def test_one_odd_row_of_the_whole_market_silences_no_symbol() -> None:
    element = {"e": "24hrMiniTicker", "s": "AAAUSDT", "c": "1", "o": "2", "h": "3", "l": "4", "v": "5", "q": "6"}
    with Venue() as venue, feed(venue, "--streams", "mini_ticker_all") as program:
        wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200, PATIENCE_S)
        at_us = time.time_ns() // 1_000
        rows = [{**element, "E": at_us}, None, {**element, "E": None}, {**element, "E": at_us, "s": "BBBUSDT"}]
        venue.send(json.dumps({"stream": "!miniTicker@arr", "data": rows}))
        wait_for("the sound rows published", lambda: program.status()["published"] == 2, PATIENCE_S)
        wait_for(
            "the odd rows counted",
            lambda: sum(n for k, n in program.metrics("k2_messages_dropped_total").items() if "odd_element" in k) == 2,
            PATIENCE_S,
        )
        program.stop()


def test_a_symbol_that_is_delisted_with_gaps_that_nothing_can_fill_does_not_keep_the_feed_unready() -> None:
    symbols = ["AAAUSDT", "DDDUSDT"]
    chosen = ",".join(symbols)
    with Venue(symbols) as venue, feed(venue, "--symbols", chosen, shards=1, K2_SYMBOL_CHECK_S="5") as program:
        program.wait_ready()
        wait_for("events of each", lambda: seen(program) == KINDS * len(symbols))
        venue.on_rest = lambda _path, query: REFUSED if query.get("symbol") == "DDDUSDT" else None
        before = sum(program.metrics("k2_gaps_total").values())
        venue.flows["DDDUSDT"].skip(trades=5, aggregates=5)
        venue.flows["DDDUSDT"].update_id += 10
        wait_for("gaps of all three", lambda: sum(program.metrics("k2_gaps_total").values()) >= before + 3)
        del venue.flows["DDDUSDT"]
        venue.rows = [entry for entry in venue.rows if entry["symbol"] != "DDDUSDT"]
        wait_for("unready", lambda: program.http("/readyz")[0] == 503)
        wait_for("ready again", lambda: program.http("/readyz")[0] == 200)
        assert sum(program.metrics("k2_gaps_open").values()) >= 3
