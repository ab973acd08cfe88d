"""The sums of a book: whoever applies what is sent comes to the same ones, at every id, in every market."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest

from k2workers.errors import ConfigError
from k2workers.simulator.binance.book_sums import ASK, BEST, BID, number_of, sum_of
from k2workers.simulator.binance.settings import SimulatorSettings
from tests.simulator.support import inject, running
from tests.support.waiting import WAIT_S


class Copy:
    """One book made of a REST reply and of messages, all of it summed anew each time."""

    def __init__(self, reply: dict[str, Any]) -> None:
        self.id = reply["lastUpdateId"]
        self.sides = {BID: dict(reply["bids"]), ASK: dict(reply["asks"])}

    def take(self, message: dict[str, Any]) -> None:
        self.id = message["u"]
        for name, side in self.sides.items():
            for price, quantity in message[name]:
                side[price] = quantity
                if not float(quantity):
                    del side[price]

    def line(self, symbol: str) -> str:
        ways = {BID: -1, ASK: 1}
        ordered = {
            name: sorted(side.items(), key=lambda level, way=ways[name]: way * float(level[0]))  # type: ignore[misc]
            for name, side in self.sides.items()
        }
        sums = [
            sum_of(number_of(name, *level) for name, side in ordered.items() for level in side[:count])
            for count in (None, 1, BEST)
        ]
        words = [symbol, str(self.id), *(f"{one:x}" for one in sums), *(str(len(side)) for side in ordered.values())]
        return " ".join(words)


@pytest.mark.parametrize(("venue", "at", "symbol"), [
    ("binance", "/stream", "BTCUSDT"), ("binance_usdm", "/public/stream", "BTCUSDT"), ("binance_coinm", "/public/stream", "BTCUSD_PERP"),
])  # fmt: skip
async def test_who_applies_the_changes_comes_to_the_sums_of_the_log(
    venue: str, at: str, symbol: str, tmp_path: Path
) -> None:
    path = tmp_path / "books"
    async with running(venue, book_log=str(path), rate=4000.0) as client:
        socket = await client.connect(f"{at}?streams={symbol.lower()}@depth@100ms")

        async def follow(below: float) -> int:
            """Some changes on a book that was asked for between two of them; the id that they came to."""
            await client.post("/_exchange/stop_market")
            copy = Copy((await client.get("/_exchange/books"))[symbol])
            begun_id, checked = copy.id, 0
            await client.post("/_exchange/start_market")
            while checked < 8:
                message = json.loads(await socket.receive_str(timeout=WAIT_S))["data"]
                if begun_id < message["u"] < below:
                    copy.take(message)
                    assert copy.line(symbol) in path.read_text(encoding="utf-8").splitlines()
                    checked += 1
            return int(copy.id)

        first_id = await follow(math.inf)
        await inject(client, kind="new_ids", symbol=symbol, first=500)
        assert await follow(first_id) < first_id


async def test_a_log_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"simulator book_log = '/nowhere/books': cannot be written \(No such"):
        async with running(book_log="/nowhere/books"):
            pass
    recorded = tmp_path / "one.gz"
    trade = '{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"1.0","q":"1.0","T":1,"m":true,"M":true}}'
    recorded.write_bytes(gzip.compress(f"1000000000 {trade}\n".encode()))
    assert SimulatorSettings().book_log == ""
    with pytest.raises(ConfigError, match=r"book_log = .*: allowed only with a generated market, not with replay"):
        async with running(replay=(str(recorded),), book_log=str(tmp_path / "books")):
            pass
