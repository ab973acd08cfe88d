"""Recorded files as a market: ids and texts as recorded, paced, REST from what was replayed."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from k2workers.errors import ConfigError
from k2workers.simulator import Exchange, SimulatorSettings
from k2workers.simulator.binance import first_look, payloads
from k2workers.simulator.binance.bars import Bar
from k2workers.simulator.binance.recorded_events import retimed
from tests.simulator.support import Client, collect, running
from tests.support.waiting import WAIT_S, until

START = 1_700_000_000_000_000_000


def trade(number: int) -> dict[str, Any]:
    return {"e": "trade", "E": 1700000000100 + number, "s": "AAAUSDT", "t": number, "p": "1.50000000",
            "q": "2.00000000", "T": 1700000000099 + number, "m": True, "M": True}  # fmt: skip


def depth(first: int, last: int, qty: str) -> dict[str, Any]:
    return {"e": "depthUpdate", "E": 1700000000100, "s": "AAAUSDT", "U": first, "u": last,
            "b": [["1.50000000", qty]], "a": []}  # fmt: skip


def write(path: Path, messages: list[dict[str, Any]], start_ns: int) -> str:
    lines = [f"{start_ns + n * 1_000_000} {json.dumps(m)}\n" for n, m in enumerate(messages)]
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return str(path)


def stream(suffix: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"stream": f"aaausdt@{suffix}", "data": data}


def small_files(folder: Path) -> tuple[str, str]:
    snapshot = {
        "lastUpdateId": 12,
        "bids": [["1.40000000", "1.00000000"]],
        "asks": [["1.60000000", "3.00000000"]],
    }
    first = [
        stream("trade", trade(5)),
        stream("depth@100ms", depth(10, 11, "9.00000000")),
        snapshot,
        stream("depth@100ms", depth(12, 14, "7.00000000")),
    ]
    second = [stream("trade", trade(6)), stream("depth@100ms", depth(15, 15, "8.00000000"))]
    return write(folder / "a.gz", first, START), write(folder / "b.gz", second, START + 10_000_000)


async def test_files_are_one_market_with_recorded_ids(tmp_path: Path) -> None:
    async with running(replay=small_files(tmp_path), replay_settle_s=0.01) as client:
        assert (await client.get("/_exchange/status"))["finished"] is False
        socket = await client.connect("/stream?streams=aaausdt@trade/aaausdt@depth@100ms&timeUnit=MICROSECOND")
        events = [event["data"] for event in await collect(socket, lambda events: len(events) == 5)]
        assert [e["t"] for e in events if e["e"] == "trade"] == [5, 6]
        assert [(e["U"], e["u"]) for e in events if e["e"] != "trade"] == [(10, 11), (12, 14), (15, 15)]
        assert events[0]["E"] == 1700000000105000
        book = await client.get("/api/v3/depth?symbol=AAAUSDT")
        bids = [["1.50000000", "8.00000000"], ["1.40000000", "1.00000000"]]
        assert (book["lastUpdateId"], book["bids"]) == (15, bids)
        trades = await client.get("/api/v3/historicalTrades?symbol=AAAUSDT&fromId=6")
        assert [row["id"] for row in trades] == [6]
        truth = (await client.get("/_exchange/truth"))["topics"]
        assert truth["aaausdt@depth@100ms"]["ranges"] == [[10, 15]]
        await until(lambda: has_finished(client))
        assert not socket.closed


async def has_finished(client: Client) -> bool:
    return bool((await client.get("/_exchange/status"))["finished"])


GOOD = f"{START} {json.dumps(stream('trade', trade(1)))}\n".encode()


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"not gzip", r"bad\.gz': cannot be read"),
        (gzip.compress(b""), "no message of a spot stream"),
        (gzip.compress(b"1 {}\n"), "no message of a spot stream"),
        (gzip.compress(b"x {}\n"), "line 1: not"),
        (gzip.compress(b"1 {\n"), "line 1: not"),
        (gzip.compress(2 * GOOD + b"1 {\n"), "line 3: not"),
        (gzip.compress(GOOD + b"\n\n" + b"soon " + GOOD), "line 4: not"),
        (gzip.compress(5 * GOOD)[:-8], "behind line 5: cannot be read"),
        (gzip.compress(GOOD) + b"\x1f\x8b\x08 no more", "behind line 1: cannot be read"),
    ],
    ids=itertools.count(),  # the bytes hold the time
)
def test_what_is_no_recording_is_told_with_its_line(tmp_path: Path, content: bytes, place: str) -> None:
    path = tmp_path / "bad.gz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"replay.*{place}"):
        Exchange(SimulatorSettings(replay=(str(path),)))


def test_a_missing_recording_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.gz"):
        Exchange(SimulatorSettings(replay=("nowhere.gz",)))


AT = 1_790_000_000_000_000
"""A time in µs, to the millisecond."""
BAR = Bar(AT, AT + 60_000_000, 10**8)
BEST = (10**8, 5), (2 * 10**8, 5)
PAYLOADS = {
    "aaausdt@trade": lambda unit: payloads.trade("AAAUSDT", AT, 1, 1, AT, AT + 5_000, True, unit),
    "aaausdt@aggTrade": lambda unit: payloads.agg_trade("AAAUSDT", (AT, 1, 1, AT, AT, AT, True), AT + 5_000, unit),
    "aaausdt@blockTrade": lambda unit: payloads.block_trade("AAAUSDT", AT, 1, 1, AT, True, unit),
    "aaausdt@bookTicker": lambda unit: payloads.book_ticker("AAAUSDT", AT, *BEST, unit),
    "aaausdt@depth@100ms": lambda unit: payloads.depth_update("AAAUSDT", AT, AT, [BEST[0]], [BEST[1]], AT, unit),
    "aaausdt@depth5": lambda unit: payloads.partial_depth(AT, [BEST[0]], [BEST[1]], unit),
    "aaausdt@kline_1m": lambda unit: payloads.kline("AAAUSDT", "1m", BAR, True, AT + 5_000, unit),
    "aaausdt@kline_1d@+08:00": lambda unit: payloads.kline("AAAUSDT", "1d", BAR, True, AT + 5_000, unit),
    "aaausdt@miniTicker": lambda unit: payloads.mini_ticker("AAAUSDT", BAR, AT, unit),
    "aaausdt@ticker": lambda unit: payloads.ticker("AAAUSDT", BAR, 1, *BEST, AT, unit),
    "aaausdt@ticker_1h": lambda unit: payloads.window_ticker("AAAUSDT", "1h", BAR, AT, unit),
    "aaausdt@avgPrice": lambda unit: payloads.average_price("AAAUSDT", 10**8, AT - 5_000, AT, unit),
    "aaausdt@referencePrice": lambda unit: payloads.reference_price("AAAUSDT", 10**8, AT, unit),
    "!ticker_1h@arr": lambda unit: f"[{payloads.window_ticker('AAAUSDT', '1h', BAR, AT, unit)}]",
}
"""Every kind, as the exchange itself writes it in a unit: 1 for µs, 1,000 for ms. Ids are such as could be taken for times."""
PAYLOADS["!miniTicker@arr"] = lambda unit: (
    f"[{PAYLOADS['aaausdt@miniTicker'](unit)},{PAYLOADS['aaausdt@miniTicker'](unit)}]"
)


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.parametrize("recorded", [1, 1000])
@pytest.mark.parametrize("asked", [1, 1000])
def test_every_time_of_every_kind_comes_in_the_unit_asked_for_and_nothing_else_changes(
    name: str, recorded: int, asked: int
) -> None:
    assert retimed(PAYLOADS[name](recorded), name, asked) == PAYLOADS[name](asked)


def test_spaces_in_a_recorded_text_are_kept() -> None:
    assert retimed('{"E": 1790000000123 , "T" :1}', "a@trade", 1) == '{"E": 1790000000123000 , "T" :1}'


def line(name: str, text: str, stamp_ns: int = START) -> str:
    return f'{stamp_ns} {{"stream":"{name}","data":{text}}}\n'


def recording(path: Path, *lines: str) -> tuple[str]:
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return (str(path),)


REST = (
    "exchangeInfo", "depth?symbol=AAAUSDT", "trades?symbol=AAAUSDT", "historicalTrades?symbol=AAAUSDT",
    "aggTrades?symbol=AAAUSDT", "klines?symbol=AAAUSDT&interval=1m", "ticker/bookTicker", "ticker/24hr?symbol=AAAUSDT",
    "ticker/price", "ticker?symbol=AAAUSDT", "ticker/tradingDay?symbol=AAAUSDT", "avgPrice?symbol=AAAUSDT",
    "uiKlines?symbol=AAAUSDT&interval=1m",
)  # fmt: skip


@pytest.mark.parametrize("name", PAYLOADS)
async def test_a_recording_of_one_kind_alone_plays_and_rest_answers(tmp_path: Path, name: str) -> None:
    file = recording(tmp_path / "a.gz", line(name, PAYLOADS[name](1000)))
    async with running(replay=file, replay_speed=0.0, replay_settle_s=0.0) as client:
        socket = await client.connect(f"/stream?streams={name.replace('+', '%2B')}&timeUnit=MICROSECOND")
        (message,) = await collect(socket, lambda events: len(events) == 1)
        assert message == {"stream": name, "data": json.loads(PAYLOADS[name](1))}
        for path in REST:
            async with client.session.get(f"http://127.0.0.1:{client.port}/api/v3/{path}") as reply:
                assert reply.status == 200, f"{path}: {await reply.text()}"
        truth = (await client.get("/_exchange/truth"))["topics"]
        assert (truth[name]["emitted"], truth[name]["first_id"]) == (1, AT)
        assert (await client.get("/_exchange/status"))["left_out"] == {}


async def test_the_book_is_made_from_the_best_prices_where_no_diffs_were_recorded(tmp_path: Path) -> None:
    file = recording(
        tmp_path / "a.gz",
        *[line("aaausdt@bookTicker", payloads.book_ticker("AAAUSDT", n, (n, 5), (n + 1, 6), 1)) for n in (7, 8)],
    )
    async with running(replay=file, replay_speed=0.0, replay_settle_s=0.0) as client:
        await collect(await client.connect("/stream?streams=aaausdt@bookTicker"), lambda events: len(events) == 2)
        assert await client.get("/api/v3/depth?symbol=AAAUSDT") == {
            "lastUpdateId": 8, "bids": [["0.00000008", "0.00000005"]], "asks": [["0.00000009", "0.00000006"]],
        }  # fmt: skip


def agg_line(number: int, first: int, last: int) -> str:
    row = (number, 10**8, 10**8, first, last, AT, True)
    return line("aaausdt@aggTrade", payloads.agg_trade("AAAUSDT", row, AT, 1000))


async def test_the_days_figures_tell_the_last_trade_also_where_only_aggregates_were_recorded(tmp_path: Path) -> None:
    file = recording(tmp_path / "a.gz", agg_line(1, 10, 12), agg_line(2, 13, 13), trade_line("BBBUSDT", 7))
    async with running(replay=file, replay_speed=0.0, replay_settle_s=0.0) as client:
        names = '["AAAUSDT","BBBUSDT"]'
        before = await client.get(f"/api/v3/ticker/24hr?type=MINI&symbols={names}")
        assert [(row["firstId"], row["lastId"], row["count"]) for row in before] == [(-1, -1, 0)] * 2
        used = client.exchange.rest_log.used_weight
        await collect(await client.connect("/stream?streams=aaausdt@aggTrade"), lambda events: len(events) == 2)
        await until(lambda: has_finished(client))
        rows = await client.get(f"/api/v3/ticker/24hr?type=MINI&symbols={names}")
        assert [(row["symbol"], row["firstId"], row["lastId"]) for row in rows] == [
            ("AAAUSDT", 10, 13),
            ("BBBUSDT", 7, 7),
        ]
        tops = await client.get(f"/api/v3/ticker/bookTicker?symbols={names}")
        assert [row["bidPrice"] for row in tops] == ["0.00000000"] * 2
        refused = await client.get('/api/v3/ticker/bookTicker?symbols=["AAAUSDT","NOSUCH"]')
        assert refused == {"code": -1121, "msg": "Invalid symbol."}
        assert client.exchange.rest_log.used_weight - used == 2 + 4 + 4


def trade_line(symbol: str, number: int, price: int = 10**8) -> str:
    text = payloads.trade(symbol, number, price, 10**8, AT + 1000 * number, AT + 1000 * number, True, 1000)
    return line(f"{symbol.lower()}@trade", text)


async def listed(client: Client) -> dict[str, Any]:
    return {row["symbol"]: row for row in (await client.get("/api/v3/exchangeInfo"))["symbols"]}


async def test_a_symbol_that_comes_late_in_the_file_is_listed_and_played(tmp_path: Path) -> None:
    lines = [trade_line("AAAUSDT", number) for number in range(1, 20_001)] + [trade_line("BBBBTC", 7)]
    async with running(replay=recording(tmp_path / "a.gz", *lines), replay_speed=0.0, replay_settle_s=0.0) as client:
        symbols = await listed(client)
        assert {name: (row["baseAsset"], row["quoteAsset"]) for name, row in symbols.items()} == {
            "AAAUSDT": ("AAA", "USDT"), "BBBBTC": ("BBB", "BTC"),
        }  # fmt: skip
        socket = await client.connect("/stream?streams=bbbbtc@trade")
        assert [event["data"]["t"] for event in await collect(socket, bool)] == [7]


async def test_a_symbol_behind_the_first_look_is_opened_when_it_comes_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(first_look, "LINES", 3)
    monkeypatch.setattr(first_look, "MIN_LINES", 3)
    lines = [
        *[trade_line("AAAUSDT", number) for number in (1, 2, 3)],
        "no message\n",
        *[trade_line(name, number) for number in (4, 5) for name in ("BBBUSDT", "CCCUSDT")],
        line("dddusdt@depth@0ms", "{}"), line("bbbusdt@trade", "{}"), f'{START} {{"result":null,"id":1}}\n', trade_line("AAAUSDT", 4),
    ]  # fmt: skip
    cut = tmp_path / "b.gz"
    cut.write_bytes(gzip.compress("".join(trade_line("AAAUSDT", number) for number in (5, 6, 7, 8)).encode())[:-8])
    files = (*recording(tmp_path / "a.gz", *lines), str(cut))
    async with running(replay=files, replay_speed=0.0, replay_settle_s=0.0) as client:
        assert set(await listed(client)) == {"AAAUSDT"}
        socket = await client.connect("/stream?streams=aaausdt@trade/bbbusdt@trade")
        events = await collect(socket, lambda events: len(events) == 10)
        assert [event["data"]["t"] for event in events if event["stream"] == "bbbusdt@trade"] == [4, 5]
        await until(lambda: has_finished(client))
        assert set(await listed(client)) == {"AAAUSDT", "BBBUSDT", "CCCUSDT"}
        assert [row["id"] for row in await client.get("/api/v3/historicalTrades?symbol=CCCUSDT&fromId=4")] == [4, 5]
        left_out = (await client.get("/_exchange/status"))["left_out"]
        assert left_out == {
            f"lines that are no messages: {files[0]}": 1, "cccusdt@trade": 2, "dddusdt@depth@0ms": 1,
            "unreadable messages of bbbusdt@trade": 1, "messages of no stream": 1, f"rest of a file: {files[1]}": 1,
        }  # fmt: skip
    told = "\n".join(record.message for record in caplog.records)
    assert f"BBBUSDT comes for the first time in line 5 of {files[0]}" in told
    assert all(name in told for name in left_out)


async def test_a_snapshot_goes_to_the_symbol_whose_update_ids_are_near(tmp_path: Path) -> None:
    def diff(symbol: str, number: int) -> str:
        return line(
            f"{symbol.lower()}@depth@100ms", payloads.depth_update(symbol, number, number, [], [(9, 9)], AT, 1000)
        )

    book = '{"lastUpdateId":%d,"bids":[["0.5","%d"]],"asks":[]}'
    lines = [
        diff("AAAUSDT", 10), diff("BBBUSDT", 900), f"{START} {book % (12, 1)}\n", diff("AAAUSDT", 13), f"{START} {book % (901, 2)}\n",
        diff("BBBUSDT", 902), diff("AAAUSDT", 14), f"{START} {book % (950, 3)}\n", diff("AAAUSDT", 15),
    ]  # fmt: skip
    async with running(replay=recording(tmp_path / "a.gz", *lines), replay_speed=0.0, replay_settle_s=0.0) as client:
        bids = {
            name: (await client.get(f"/api/v3/depth?symbol={name}"))["bids"][0][1] for name in ("AAAUSDT", "BBBUSDT")
        }
        assert bids == {"AAAUSDT": "1.00000000", "BBBUSDT": "2.00000000"}
        await collect(await client.connect("/stream?streams=aaausdt@depth@100ms"), lambda events: len(events) == 4)
        books = {name: await client.get(f"/api/v3/depth?symbol={name}") for name in ("AAAUSDT", "BBBUSDT")}
        assert (books["AAAUSDT"]["lastUpdateId"], books["AAAUSDT"]["bids"][0][1]) == (15, "1.00000000")
        assert (books["BBBUSDT"]["lastUpdateId"], books["BBBUSDT"]["bids"][0][1]) == (950, "3.00000000")


async def test_trades_of_the_day_before_are_forgotten(tmp_path: Path) -> None:
    hour = 3_600_000
    file = recording(tmp_path / "a.gz", *[trade_line("AAAUSDT", hours * hour) for hours in (1, 20, 30, 31)])
    async with running(replay=file, replay_speed=0.0, replay_settle_s=0.0) as client:
        await collect(await client.connect("/stream?streams=aaausdt@trade"), lambda events: len(events) == 4)
        trades = await client.get("/api/v3/historicalTrades?symbol=AAAUSDT&fromId=0")
        assert [row["id"] // hour for row in trades] == [20, 30, 31]


async def test_steps_of_price_and_quantity_are_those_of_what_was_recorded(tmp_path: Path) -> None:
    file = recording(tmp_path / "a.gz", trade_line("SHIBUSDT", 1, 1_402), trade_line("AAAUSDT", 1))
    async with running(replay=file) as client:
        steps = {
            name: [row["tickSize"] for row in symbol["filters"] if row["filterType"] == "PRICE_FILTER"]
            for name, symbol in (await listed(client)).items()
        }
        assert steps == {"SHIBUSDT": ["0.00000001"], "AAAUSDT": ["0.01000000"]}


async def test_the_recordings_come_whole_and_in_order_at_full_speed(recordings: Path) -> None:
    files = tuple(str(recordings / "spot" / f"btcusdt_2024080{day}.gz") for day in (8, 9))
    async with running(replay=files, replay_speed=0.0, replay_settle_s=0.0) as client:
        socket = await client.connect("/stream?streams=btcusdt@trade/btcusdt@depth@100ms")
        trades: list[int] = []
        diffs: list[tuple[int, int]] = []
        while len(trades) < 19_904 or len(diffs) < 6_495:
            event = json.loads(await socket.receive_str(timeout=WAIT_S))["data"]
            if event["e"] == "trade":
                trades.append(event["t"])
            else:
                diffs.append((event["U"], event["u"]))
        assert trades == list(range(3735683259, 3735703162 + 1))
        assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(diffs))
        assert len(diffs) == 6_495
        assert (await client.get("/api/v3/depth?symbol=BTCUSDT&limit=5"))["lastUpdateId"] == diffs[-1][1]
