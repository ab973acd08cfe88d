"""Recorded files as a market: ids and texts as recorded, paced, REST from what was replayed."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from k2workers.errors import ConfigError
from k2workers.simulator import Exchange, SimulatorSettings
from k2workers.simulator.replay import read_lines, retimed
from tests.simulator.support import collect, running
from tests.support.waiting import WAIT_S

DATA = Path(os.environ.get("K2_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
RECORDINGS = [DATA / "spot" / f"btcusdt_2024080{day}.gz" for day in (8, 9)]
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
        while not (await client.get("/_exchange/status"))["finished"]:
            pass
        assert not socket.closed


@pytest.mark.parametrize(
    "content", [b"not gzip", gzip.compress(b"x {}\n"), gzip.compress(b"1 {\n"), gzip.compress(b"")]
)
def test_what_is_no_recording_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.gz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="replay"):
        Exchange(SimulatorSettings(replay=(str(path),)))


def test_a_missing_recording_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.gz"):
        next(read_lines(("nowhere.gz",)))


def test_times_recorded_in_either_unit_come_out_in_the_one_asked_for() -> None:
    for recorded in ('{"E":1700000000123,"T":1700000000122}', '{"E":1700000000123000,"T":1700000000122000}'):
        assert retimed(recorded, 1000) == '{"E":1700000000123,"T":1700000000122}'
        assert retimed(recorded, 1) == '{"E":1700000000123000,"T":1700000000122000}'


@pytest.mark.skipif(not all(path.exists() for path in RECORDINGS), reason="the recordings are not here")
async def test_the_recordings_come_whole_and_in_order_at_full_speed() -> None:
    files = tuple(str(path) for path in RECORDINGS)
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
