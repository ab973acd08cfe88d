"""A recording published again: a subscriber gets what the feed had published, and a recorder the same rows."""

from __future__ import annotations

import gzip
import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest

from k2workers import BookSnapshot, Lost, Subscriber
from k2workers.events import Backfilled, Event, Gap, GivenUp, Reset, Void, learned_ns
from k2workers.recording.conversion import convert
from k2workers.recording.row import Loss, Restart
from k2workers.recording.verification import verify
from tests.recording.recorded import events, reached, recorder
from tests.recording.support import BOOK, CHANGES, NOON_NS, change, journal_in, put, trade
from tests.support.waiting import wait_for
from tests.system.support import Program, demo, free_port

TRADE, OTHER = "binance.trade.ABC", "binance_usdm.trade.ABC"
SECOND_NS = 10**9
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def at(second: float) -> int:
    return NOON_NS + int(second * SECOND_NS)


def recording(to: Path) -> Path:
    """Every kind of row, of two venues, some seconds long."""
    made = journal_in(to)
    things: list[Event | Loss | Restart] = [
        trade(1, at(0)), trade(2, at(0.4)), Gap(3, 5, "x", at(0.5)), trade(6, at(0.6)), Void(3, 3, at(0.7)), Backfilled(trade(4, at(0.8))),
        GivenUp(5, 5, "denied", at(0.9)), Restart("feed", at(1)), Loss(9, 9, 7, 8, at(1.1)), trade(9, at(1.2)), Reset(9, 1, at(1.3)), trade(1, at(1.4)),
    ]  # fmt: skip
    put(made, TRADE, *things)
    put(made, OTHER, *(trade(number, at(number / 10)) for number in range(1, 16)))
    put(made, BOOK, BookSnapshot(9, [("1.00", "5")], [], at(0.1)), change(10, 10, ("1.10", "2")), continuity=CHANGES)
    made.roll(b"")
    put(made, BOOK, change(11, 11, ("1.00", "0")), continuity=CHANGES)
    put(made, TRADE, trade(2, at(1.6)), sequence=20)
    made.roll(b"")
    convert(to, made.number)
    assert verify(to).whole
    return to


def replay(directory: Path, publish: int, *args: str) -> Program:
    return Program("replay", str(directory), "--endpoint", f"tcp://127.0.0.1:{publish}", "--log-format", "json", *args)


def heard(publish: int, *topics: str) -> list[Any]:
    """Everything that a subscriber gets of a replay, until its end."""
    found: list[Any] = []
    with Subscriber([*topics, "status."], f"tcp://127.0.0.1:{publish}") as subscriber:
        for item in subscriber:
            if not isinstance(item, Lost) and item.topic == "status.replay":
                if item.event.data["ended"]:  # type: ignore[attr-defined]
                    return found
            else:
                found.append(item)
    return found


def as_published(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {topic: things for topic, things in found.items() if things}


def test_what_was_recorded_comes_in_one_order_of_time_and_the_losses_as_gaps(tmp_path: Path) -> None:
    directory, publish = recording(tmp_path), free_port()
    with replay(directory, publish, "--speed", "max") as program:
        found = heard(publish, "binance.", "binance_usdm.", "venue.")
        program.join()
        assert program.process.returncode == 0, "".join(program.raw)
    by_topic: dict[str, list[Any]] = {}
    for item in found:
        by_topic.setdefault(item.topic, []).append(item.event)
    expected = events(directory)
    expected[TRADE].insert(expected[TRADE].index(trade(9, at(1.2))), Gap(7, 8, "lost by the recorder", at(1.1)))
    assert by_topic == expected


def test_recorded_again_it_gives_the_same_rows(tmp_path: Path) -> None:
    directory, again, publish = recording(tmp_path / "first"), tmp_path / "again", free_port()
    with recorder(again, publish, "binance.", "binance_usdm.", "venue.", "status.") as taking:
        with replay(directory, publish, "--speed", "max") as program:
            program.join()
        wait_for("the feed's silence", lambda: taking.logged("feed_silent"))
        taking.stop()
        assert taking.process.returncode == 0
    first, second = events(directory), events(again)
    first[TRADE].insert(first[TRADE].index(trade(9, at(1.2))), Gap(7, 8, "lost by the recorder", at(1.1)))
    assert second == first
    assert verify(again).whole


@pytest.mark.parametrize(("together", "ms"), [("0", 0), ("300", 300)])
def test_topics_come_in_the_order_of_their_times_as_exactly_as_is_asked(tmp_path: Path, together: str, ms: int) -> None:
    directory, publish = recording(tmp_path), free_port()
    with replay(directory, publish, "--speed", "max", "--together-ms", together):
        found = heard(publish, "binance.trade.", "binance_usdm.")
    times = [learned_ns(event.event if isinstance(event := item.event, Backfilled) else event) for item in found]
    backwards = max(before - after for before, after in itertools.pairwise(times))
    assert backwards <= ms * 10**6
    assert (backwards > 0) == (ms > 0)


def test_it_keeps_the_recorded_pace_or_a_faster_one(tmp_path: Path) -> None:
    directory, publish = recording(tmp_path), free_port()
    # However much might come together: nothing comes before it is due.
    with replay(directory, publish, "--speed", "0.8", "--together-ms", "60000", OTHER):
        begun_ns = time.time_ns()
        found = heard(publish, "binance_usdm.")
    assert [item.event.trade_id for item in found] == list(range(1, 16))
    for item in found:
        assert item.publish_ns - begun_ns > (item.event.received_ns - at(0.1)) / 0.8


def test_from_a_time_on_it_begins_with_a_whole_book(tmp_path: Path) -> None:
    directory, publish = recording(tmp_path), free_port()
    with replay(directory, publish, "--speed", "max", "--from", "2026-11-27T12:00:01.000001"):
        found = heard(publish, "binance_usdm.", "binance.")
    assert [item.event.trade_id for item in found if item.topic == OTHER] == list(range(11, 16))
    trades = [item.event for item in found if item.topic == TRADE]
    assert trades == [
        Gap(7, 8, "lost by the recorder", at(1.1)),
        trade(9, at(1.2)),
        Reset(9, 1, at(1.3)),
        trade(1, at(1.4)),
        trade(2, at(1.6)),
    ]


def test_what_a_book_stands_for_after_a_loss_is_named(tmp_path: Path) -> None:
    made, publish = journal_in(tmp_path), free_port()
    book, later = BookSnapshot(9, [("1.00", "5")], [], at(0)), BookSnapshot(20, [("1.00", "6")], [], at(0.3))
    things = (change(10, 10), Loss(3, 4, 11, 12, at(0.2)), later, change(21, 21))
    put(made, BOOK, book, *things, continuity=CHANGES)
    made.roll(b"")
    convert(tmp_path, made.number)
    with replay(tmp_path, publish, "--speed", "max"):
        found = heard(publish, "venue.")
    named = (Gap(11, 12, "lost by the recorder", at(0.2)), Gap(13, 20, "lost by the recorder", at(0.3)))
    assert [item.event for item in found] == [book, change(10, 10), *named, later, change(21, 21)]


def test_what_stood_in_a_file_that_is_gone_is_named_and_changes_go_on_from_the_next_files_book(tmp_path: Path) -> None:
    made, publish = journal_in(tmp_path), free_port()
    book = BookSnapshot(9, [("1.00", "5")], [], at(0.1))
    put(made, BOOK, book, change(10, 10, ("1.10", "2")), continuity=CHANGES)
    put(made, TRADE, trade(1, at(0)), trade(2, at(0.2)))
    for number in (3, 4):
        made.roll(b"")
        put(made, BOOK, change(number + 8, number + 8, ("1.00", "0")), continuity=CHANGES)
        put(made, TRADE, trade(number, at(number)), sequence=10 * number)
    made.roll(b"")
    convert(tmp_path, made.number)
    gone = list(tmp_path.rglob("*.00000002.parquet"))
    assert len(gone) == 2
    for path in gone:
        path.unlink()
    with replay(tmp_path, publish, "--speed", "max"):
        found = heard(publish, "venue.", TRADE)
    trades = [item.event for item in found if item.topic == TRADE]
    assert trades == [trade(1, at(0)), trade(2, at(0.2)), Gap(3, 3, "not in the recording", at(4)), trade(4, at(4))]
    *_, missing, head, last = [item.event for item in found if item.topic == BOOK]
    assert (missing.first_missing_id, missing.last_missing_id, missing.cause) == (11, 11, "not in the recording")
    assert (head.last_update_id, head.bids, last) == (11, [("1.10", "2")], change(12, 12, ("1.00", "0")))


def test_a_joiner_is_given_a_book_and_the_replay_says_that_it_is_one(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    book = BookSnapshot(9, [("1.00", "5")], [], at(0))
    slow = [change(number, number, ("1.00", str(number))) for number in range(10, 60)]
    put(made, BOOK, book, continuity=CHANGES)
    for each in slow:
        spaced = type(each)(
            each.first_update_id, each.last_update_id, each.bids, each.asks, 6, at(each.first_update_id / 10)
        )
        put(made, BOOK, spaced, continuity=CHANGES)
    made.roll(b"")
    convert(tmp_path, made.number)
    publish = free_port()
    with replay(tmp_path, publish, "--speed", "1") as program:
        with Subscriber(["venue.", "status."], f"tcp://127.0.0.1:{publish}") as first:
            for item in first:
                if not isinstance(item, Lost) and item.topic == BOOK and item.event.last_id > 12:
                    break
            with Subscriber(["venue."], f"tcp://127.0.0.1:{publish}") as joiner:
                item = next(iter(joiner))
                assert not isinstance(item, Lost)
                assert isinstance(item.event, BookSnapshot)
                assert item.event.bids == [("1.00", str(item.event.last_update_id))]
        program.stop()
        assert program.process.returncode == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--speed", "0"], "speed = '0': allowed: 0.001 to 1000000, or max"),
        (["--speed", "1e300"], "speed = '1e300': allowed: 0.001 to 1000000, or max"),
        (["--from", "9999-12-31"], "from = '9999-12-31': allowed: a time such as 2026-11-27T12:00"),
        (["--speed", "fast", "--from", "noon"], "from = 'noon': allowed: a time such as 2026-11-27T12:00"),
        (["--endpoint", "nowhere"], "endpoint = 'nowhere'"),
        (["--together-ms", "-1"], "together_ms = -1: allowed: ≥ 0 and ≤ 60000 (flag --together-ms)"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, args: list[str], words: str) -> None:
    with Program("replay", str(tmp_path), *args) as program:
        program.join()
        assert program.process.returncode == 2
        assert words in "".join(program.raw)


RECORDINGS = {
    "spot": ("binance", "btcusdt_20240808.gz", "trade,book_ticker,depth"),
    "usdm": ("binance_usdm", "btcusdt_20240808.gz", "trade,book_ticker,depth_0ms"),
}


@pytest.mark.parametrize("market", RECORDINGS)
def test_real_market_data_go_through_record_verify_replay_and_record(tmp_path: Path, market: str) -> None:
    venue, name, streams = RECORDINGS[market]
    file = DATA / market / name
    if not file.exists():
        pytest.skip(f"no recorded market data at {file}")
    last = last_ids(file)
    publish, first, second = free_port(), tmp_path / "first", tmp_path / "second"
    with recorder(first, publish, f"{venue}.") as taking:
        args = ("--venue", venue, "--replay", str(file), "--replay-speed", "30", "--symbols", "*", "--streams", streams)
        with demo(*args, shards=1, publish=publish, replay=publish + 1, books=publish + 2) as feed:
            wait_for("the end of the recording", lambda: has_all(first, venue, last))
            feed.stop()
        taking.stop()
        assert taking.process.returncode == 0, "".join(taking.raw)
    found = verify(first)
    assert found.whole, [
        topic for topic in found.topics if any(day.missing or day.twice for day in topic.days.values())
    ]
    with recorder(second, publish, f"{venue}.") as taking:
        with replay(first, publish, "--speed", "max") as program:
            program.join()
        wait_for("the feed's silence", lambda: taking.logged("feed_silent"))
        taking.stop()
    assert verify(second).whole
    one, other = as_published(events(first)), as_published(events(second))
    assert {topic: len(things) for topic, things in one.items()} == {
        topic: len(things) for topic, things in other.items()
    }
    assert one == other
    assert sum(map(len, one.values())) > 30_000


def last_ids(file: Path) -> dict[str, int]:
    """The last id of each kind that is played."""
    found: dict[str, int] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line.partition(" ")[2])
            if "stream" in message:
                stream, data = message["stream"], message["data"]
                found[stream.partition("@")[2]] = data["t"] if stream.endswith("@trade") else data["u"]
    return found


def has_all(to: Path, venue: str, last: dict[str, int]) -> bool:
    """Whether the recorder has the last event of each stream on the disk."""
    kinds = {"trade": "trade", "bookTicker": "book_ticker", "depth@100ms": "depth", "depth@0ms": "depth_0ms"}
    topics = reached(to).topics
    return all(
        (at := topics.get(f"{venue}.{kinds[name]}.BTCUSDT")) and at.last_id >= number for name, number in last.items()
    )
