"""What of recordings can be played: names and shapes of futures, and the recordings themselves, each message once, with their books."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from k2workers.errors import ConfigError
from k2workers.simulator.binance import futures_names
from k2workers.simulator.binance.contracts import USDM
from k2workers.simulator.binance.futures_market import FuturesMarket
from k2workers.simulator.binance.recordable import FUTURES, SPOT, assets
from tests.simulator.support import Client, running
from tests.support.waiting import WAIT_S, until

START = 1_700_000_000_000_000_000
AT = 1_790_000_000_000
DEPTH = {
    "e": "depthUpdate",
    "E": AT,
    "T": AT,
    "s": "AAAUSDT",
    "U": 12,
    "u": 14,
    "pu": 9,
    "b": [["1.5", "2"]],
    "a": [["1.6", "3"]],
}
BAR = {"t": AT, "T": AT + 59_999, "c": "1.5"}
MESSAGES: dict[str, Any] = {
    "aaausdt@trade": {"e": "trade", "E": AT, "T": AT, "s": "AAAUSDT", "t": 5, "p": "1.50", "q": "2", "X": "MARKET", "m": True},
    "aaausdt@aggTrade": {"e": "aggTrade", "E": AT, "a": 3, "s": "AAAUSDT", "p": "1.5", "q": "2", "nq": "2", "f": 5, "l": 6, "T": AT, "m": True},
    "aaausdt@bookTicker": {"e": "bookTicker", "u": 7, "s": "AAAUSDT", "b": "1.5", "B": "2", "a": "1.6", "A": "3", "T": AT, "E": AT},
    "aaausdt@depth@0ms": DEPTH,
    "aaausdt@depth": DEPTH,
    "aaausdt@depth5@100ms": DEPTH,
    "aaausdt@markPrice@1s": {"e": "markPriceUpdate", "E": AT, "s": "AAAUSDT", "p": "1.50000000"},
    "aaausdt@kline_1m": {"e": "kline", "E": AT, "s": "AAAUSDT", "k": BAR},
    "aaausdt_perpetual@continuousKline_1m": {"e": "continuous_kline", "E": AT, "ps": "AAAUSDT", "ct": "PERPETUAL", "k": BAR},
    "aaausd@assetIndex": {"e": "assetIndexUpdate", "E": AT, "s": "AAAUSD", "i": "1.50000000"},
    "aaausdt@forceOrder": {"e": "forceOrder", "E": AT, "o": {"s": "AAAUSDT", "q": "2", "p": "1.5", "T": AT}},
    "!markPrice@arr": [{"e": "markPriceUpdate", "E": AT, "s": "AAAUSDT", "p": "1.50000000"}],
}  # fmt: skip


def written(path: Path, lines: Iterator[tuple[int, str]]) -> tuple[str]:
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        file.writelines(f"{stamp_ns} {text}\n" for stamp_ns, text in lines)
    return (str(path),)


def message(name: str, data: Any) -> str:
    return json.dumps({"stream": name, "data": data}, separators=(",", ":"))


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_recording_of_one_kind_alone_comes_as_it_was_recorded(tmp_path: Path, name: str) -> None:
    files = written(tmp_path / "a.gz", iter([(START, message(name, MESSAGES[name]))]))
    async with running("binance_usdm", replay=files, replay_speed=0.0, replay_settle_s=0.0) as client:
        socket = await client.connect(f"/{futures_names.route_of(name)}/stream?streams={name}")
        assert await socket.receive_str(timeout=WAIT_S) == message(name, MESSAGES[name])
        await finished(client)
        assert (await client.get("/_exchange/status"))["left_out"] == {}
        assert [row["symbol"] for row in (await client.get("/fapi/v1/exchangeInfo"))["symbols"]] == ["AAAUSDT"]


def test_streams_of_one_market_are_none_of_the_other() -> None:
    assert FUTURES.decoder_of("a@depth@0ms") and not SPOT.decoder_of("a@depth@0ms")
    assert SPOT.decoder_of("a@avgPrice") and not FUTURES.decoder_of("a@avgPrice")
    assert not FUTURES.decoder_of("!bookTicker") and FUTURES.decoder_of("!ticker@arr")
    assert assets("ETHBTC") == ("ETH", "BTC")


async def test_a_spot_recording_is_none_of_futures(tmp_path: Path) -> None:
    files = written(tmp_path / "a.gz", iter([(START, message("aaausdt@avgPrice", {"E": AT, "w": "1.5"}))]))
    with pytest.raises(ConfigError, match="no message of a futures stream"):
        async with running("binance_usdm", replay=files):
            pass


async def finished(client: Client) -> None:
    async def is_finished() -> bool:
        return bool((await client.get("/_exchange/status"))["finished"])

    await until(is_finished)


RECORDED: dict[tuple[str, str], set[str]] = {
    ("btcusdt@trade", "usdm/btcusdt_20240808.gz"): set(),
    ("btcusdt@bookTicker", "usdm/btcusdt_20240808.gz"): set(),
    ("btcusdt@depth@0ms", "usdm/btcusdt_20240808.gz"): set(),
    ("btcusdt@depth@100ms", "multi/BINANCE_FUTURES-1125a2.0.gz"): set(),
    ("btcusdt@aggTrade", "multi/BINANCE_FUTURES-1125a2.0.gz"): {"nq"},
}
"""Streams, and where the like was recorded → keys that came later."""

Book = dict[str, dict[str, str]]


def apply(book: Book, event: Any) -> None:
    """One change on a book, by prices as written."""
    for side, rows in (("bids", event["b"]), ("asks", event["a"])):
        for price, qty in rows:
            if float(qty):
                book[side][price] = qty
            else:
                book[side].pop(price, None)


def best(book: Book) -> tuple[float, float]:
    return max(map(float, book["bids"])), min(map(float, book["asks"]))


async def taken(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[Any]:
    """So many messages."""
    return [json.loads(await socket.receive_str(timeout=WAIT_S)) for _ in range(count)]


async def played(client: Client, counts: Mapping[str, int]) -> dict[str, list[Any]]:
    """So many messages of these streams, each on its route, by stream."""
    await client.post("/_exchange/stop_market")  # until all have subscribed
    wanted = []
    for route in futures_names.ROUTES:
        own = [name for name in counts if futures_names.route_of(name) == route]
        if own:
            socket = await client.connect(f"/{route}/stream?streams={'/'.join(own)}")
            wanted.append(taken(socket, sum(counts[name] for name in own)))
    await client.post("/_exchange/start_market")
    found: dict[str, list[Any]] = {name: [] for name in counts}
    for message in itertools.chain.from_iterable(await asyncio.gather(*wanted)):
        found[message["stream"]].append(message["data"])
    await finished(client)
    return found


def assert_book(client_book: Any, book: Book) -> None:
    """What REST says is what the changes make of the first book."""
    for side, sign in (("bids", -1), ("asks", 1)):
        prices = sorted(map(float, book[side]), key=lambda price: sign * price)
        shown = {float(price): float(qty) for price, qty in client_book[side]}
        assert list(shown) == prices[: len(shown)] and len(shown) > 100
        assert shown == {float(price): float(qty) for price, qty in book[side].items() if float(price) in shown}


async def assert_books(client: Client, found: Mapping[str, list[Any]], first: Mapping[str, Any], tail: str) -> None:
    """Of every symbol: the changes are one chain, and lead from its first book to the one that REST has at the end."""
    for symbol, snapshot in first.items():
        changes = found[f"{symbol.lower()}@{tail}"]
        assert all(later["pu"] == earlier["u"] for earlier, later in itertools.pairwise(changes))
        book: Book = {side: dict(snapshot[side]) for side in ("bids", "asks")}
        for event in changes:
            if event["u"] >= snapshot["lastUpdateId"]:
                apply(book, event)
        bid, ask = best(book)
        assert bid < ask
        shown = await client.get(f"/fapi/v1/depth?symbol={symbol}&limit=1000")
        assert shown["lastUpdateId"] == changes[-1]["u"]
        assert_book(shown, book)


def test_messages_are_written_key_by_key_as_they_were_recorded(recordings: Path) -> None:
    market = FuturesMarket(USDM, 1, 500.0, 1, START, {name for name, _ in RECORDED}, unseen=0.0, tagged=False)
    emissions = [each for tick in range(200) for each in market.advance(START + tick * 5_000_000)]
    for (name, file), more in RECORDED.items():
        with gzip.open(recordings / file, "rt", encoding="utf-8") as lines:
            suffix = f'{name.partition("@")[2]}","data":'
            text = next(line for line in lines if suffix in line)
        recorded = json.loads(text[text.index("{") :])["data"]
        made = json.loads(next(each for each in emissions if each.stream == name).render(1_000))
        assert [key for key in made if key not in more] == list(recorded)
        assert {key: type(value) for key, value in recorded.items()} == {key: type(made[key]) for key in recorded}


async def test_the_recording_of_2024_comes_whole(recordings: Path) -> None:
    files = (str(recordings / "usdm" / "btcusdt_20240808.gz"),)
    counts = {"btcusdt@trade": 21_313, "btcusdt@depth@0ms": 6_551, "btcusdt@bookTicker": 66_089}
    async with running("binance_usdm", replay=files, replay_speed=0.0, replay_settle_s=0.0) as client:
        first = await client.get("/_exchange/books")
        found = await played(client, counts)
        assert {name: len(events) for name, events in found.items()} == counts
        ids = [event["t"] for event in found["btcusdt@trade"]]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        await assert_books(client, found, first, "depth@0ms")
        truth = (await client.get("/_exchange/truth"))["topics"]["btcusdt@depth@0ms"]
        assert (len(truth["ranges"]), truth["emitted"]) == (1, 6_551)
        assert (await client.get("/_exchange/status"))["left_out"] == {}


_HTTP = re.compile(r"https?://\S+ -> (?P<at>[\d.]+): (?P<body>.*)")
_FRAME = re.compile(r"(?P<at>[\d.]+): (?P<body>\{.*)")


def converted(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of another recorder, whose times are seconds and whose replies have their addresses, as ours has them."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            found = _HTTP.match(line) or _FRAME.match(line)
            if found is not None:
                yield int(float(found["at"]) * 10**9), found["body"].strip()


async def test_the_recording_of_2021_comes_whole_with_a_book_for_each_of_its_symbols(
    recordings: Path, tmp_path: Path
) -> None:
    lines = list(converted(recordings / "multi" / "BINANCE_FUTURES-1125a2.0.gz"))
    names = (json.loads(text).get("stream") for _, text in lines)
    counts = Counter(name for name in names if name)
    assert sum(counts.values()) == 4_423 + 3_424 + 574
    files = written(tmp_path / "a.gz", iter(lines))
    async with running("binance_usdm", replay=files, replay_speed=0.0, replay_settle_s=0.0) as client:
        first = await client.get("/_exchange/books")
        assert set(first) == {"SANDUSDT", "CHRUSDT", "NEOUSDT", "CTKUSDT", "BATUSDT"}
        assert all(len(book["bids"]) > 100 for book in first.values())
        found = await played(client, counts)
        assert {name: len(events) for name, events in found.items()} == counts
        for name, events in found.items():
            if name.endswith("@aggTrade"):
                assert all(later["a"] == earlier["a"] + 1 for earlier, later in itertools.pairwise(events))
        await assert_books(client, found, first, "depth@100ms")
