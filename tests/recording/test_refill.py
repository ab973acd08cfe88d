"""What a recording lacks and its venue still has comes over REST, once, into files behind those that lack it; and nobody is asked too often."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from k2workers import venues
from k2workers.events import AggTrade, Backfilled, Event, Gap, GivenUp, Kline, Trade, Void
from k2workers.recording import catalog, layout, refill
from k2workers.recording.compaction import compact
from k2workers.recording.conversion import convert
from k2workers.recording.row import Loss, Row
from k2workers.recording.verification import RestFetched, lines, verify
from k2workers.supervision.weight_budget import WeightPolicy
from tests.recording.recorded import played, rows
from tests.recording.support import BARS, DAY, NOON_NS, journal_in, names, put, trade
from tests.support.venue import Answer, Flow, Venue
from tests.system.support import ROOT

TRADE, AGG, OTHER = "binance.trade.AAAUSDT", "binance.agg_trade.AAAUSDT", "binance.trade.BBBUSDT"
BINANCE = venues.load("binance")
URL = "K2_TEST_REST_URL"
MINUTE_NS = 60 * 10**9
LONG_AGO_NS = NOON_NS - 24 * 60 * MINUTE_NS
FIRST = 1_001
"""The first id of AAAUSDT there."""


@pytest.fixture
def venue() -> Iterator[Venue]:
    """Its trades are from before, and no more come."""
    with Venue(every_s=3600) as venue:
        for flow in venue.halt().values():
            trades(flow, 3_000)
        yield venue


def trades(flow: Flow, count: int) -> None:
    for _ in range(count):
        flow.step(NOON_NS // 1_000)


def asked_of(url: str, policy: WeightPolicy = WeightPolicy()) -> refill.AskedVenue:  # noqa: B008 - frozen
    return refill.AskedVenue(BINANCE, BINANCE.history(url, None, 1_000), policy)


def fill(to: Path, venue: Venue) -> RestFetched:
    return refill.refill(to, lambda _: asked_of(venue.rest_url), lambda _: None)


def fill_as_told(to: Path) -> RestFetched:
    """For a process of its own."""
    return refill.refill(to, lambda _: asked_of(os.environ[URL]), lambda _: None)


def recorded(to: Path, *segments: Sequence[Event | Loss], topic: str = TRADE, **more: Any) -> Path:
    made = journal_in(to)
    for things in segments:
        put(made, topic, *things, **more)
        made.roll(b"")
    convert(to, made.number)
    made.close()
    return to


def some(first: int, last: int) -> list[Event]:
    return [there(number) for number in range(first, last + 1)]


def there(number: int, at_ns: int = NOON_NS) -> Trade:
    """As the venue has it (``Flow.step``)."""
    return Trade(number, f"{100 + number % 7}.00000000", "1.00000000", True, 5, 6, at_ns + number)


def loss(first: int, last: int, at_ns: int = NOON_NS) -> Loss:
    return Loss(7, 9, first, last, at_ns)


def ids(found: Sequence[Row]) -> list[int]:
    return [row.event.first_id for row in found if isinstance(row.event, Event) and type(row.event).__name__ == "Trade"]


def figures(to: Path, topic: str = TRADE) -> dict[str, int]:
    (found,) = [each for each in verify(to).topics if each.topic == topic]
    days = found.days.values()
    return {name: sum(getattr(day, name) for day in days) for name in ("present", "named", "missing", "twice", "void")}


def test_what_is_lost_or_missing_comes_once_behind_the_files_that_lack_it(tmp_path: Path, venue: Venue) -> None:
    gap = Gap(1_041, 1_045, "x", LONG_AGO_NS)
    parts: list[Sequence[Event | Loss]] = [[*some(1_001, 1_010), loss(1_011, 1_020), *some(1_021, 1_030)], some(1_035, 1_040), [gap, *some(1_046, 1_050)], some(1_051, 1_060)]  # fmt: skip
    to = recorded(tmp_path, *parts)
    assert figures(to) == {"present": 41, "named": 15, "missing": 4, "twice": 0, "void": 0}
    before = [run.at_ns for run in played(to) if not run.own]
    fetched = fill(to, venue)
    assert (fetched.rows, fetched.void, fetched.stopped) == (19, 0, [])
    assert verify(to).whole
    assert figures(to) == {"present": 60, "named": 0, "missing": 0, "twice": 0, "void": 0}
    assert [name.rpartition("/")[2] for name in names(to) if "+" in name] == [
        "AAAUSDT.00000001+1.parquet", "AAAUSDT.00000002+1.parquet", "AAAUSDT.00000003+1.parquet",
    ]  # fmt: skip
    found = rows(to)[TRADE]
    assert ids(found) == [*range(1_001, 1_011), *range(1_021, 1_031), *range(1_011, 1_021), *range(1_035, 1_041), *range(1_031, 1_035), *range(1_046, 1_051), *range(1_041, 1_046), *range(1_051, 1_061)]  # fmt: skip
    late = [row for row in found if row.fetched]
    assert all(isinstance(row.of, Backfilled) and row.publish_ns is None for row in late)
    # They take no other row out of its time.
    assert [run.at_ns for run in played(to) if not run.own] == before

    requests, files = len(venue.requests), names(to)
    assert fill(to, venue) == RestFetched()
    assert (len(venue.requests), names(to)) == (requests, files)
    compact(to, DAY)
    assert ids(rows(to)[TRADE]) == ids(found)
    assert verify(to).whole
    assert fill(to, venue).requests == 0


def test_a_hole_of_many_pages_is_filled_and_another_day_s_where_it_is(tmp_path: Path, venue: Venue) -> None:
    to = recorded(tmp_path, [*some(1_001, 1_002), loss(1_003, 3_500), *some(3_501, 3_502)])
    next_day_ns = NOON_NS + 12 * 60 * MINUTE_NS
    recorded(to, [loss(3_503, 3_504, next_day_ns), *some(3_505, 3_506)], publish_ns=next_day_ns)
    assert fill(to, venue).rows == 2_500
    assert len(venue.asked("historicalTrades")) == 1 + 4, "the first is for what was recorded"
    assert verify(to).whole
    assert figures(to)["present"] == 2_506
    assert [name for name in names(to) if "+" in name] == [
        "binance/trade/2026-11-27/AAAUSDT.00000001+1.parquet", "binance/trade/2026-11-28/AAAUSDT.00000002+1.parquet",
    ]  # fmt: skip


def test_what_was_merged_gets_them_behind_it_and_again(tmp_path: Path, venue: Venue) -> None:
    to = recorded(tmp_path, [*some(1_001, 1_002), loss(1_003, 1_004), *some(1_005, 1_006)], some(1_008, 1_009))
    compact(to, DAY)
    fill(to, venue)
    recorded(to, [*some(1_012, 1_013)])
    fill(to, venue)
    compact(to, DAY)
    assert figures(to) == {"present": 13, "named": 0, "missing": 0, "twice": 0, "void": 0}
    (place,) = catalog.look(to).named
    assert (place.first, place.segment, place.addition) == (1, 3, 1)
    assert verify(to).whole


@pytest.mark.parametrize("denied", [False, True])
def test_another_exchange_is_noticed_by_what_was_recorded_and_believed_in_nothing(
    tmp_path: Path, venue: Venue, denied: bool
) -> None:
    first = 9_000_000 if denied else 1_001
    other = [trade(number, NOON_NS + number) for number in range(first, first + 4)]
    to = recorded(tmp_path, [*other[:1], loss(first + 1, first + 2), *other[3:]])
    before, fetched = figures(to), fill(to, venue)
    assert (fetched.rows, fetched.void) == (0, 0)
    assert figures(to) == before
    assert fetched.stopped == [
        f"{TRADE}: binance has something else, or nothing, in the place of what was recorded: is another exchange asked?"
    ]


def test_ids_that_never_existed_are_written_as_void(tmp_path: Path, venue: Venue) -> None:
    flow = venue.halted["AAAUSDT"]
    last = flow.trade_id
    flow.skip(trades=3)
    trades(flow, 5)
    to = recorded(tmp_path, [*some(last - 1, last), loss(last + 1, last + 4), *some(last + 5, last + 6)])
    fetched = fill(to, venue)
    assert (fetched.rows, fetched.void) == (2, 1)
    assert figures(to) == {"present": 5, "named": 0, "missing": 0, "twice": 0, "void": 3}
    assert any(isinstance(row.of, Void) and row.fetched for row in rows(to)[TRADE])
    assert verify(to).whole
    assert fill(to, venue).requests == 0


def test_aggregates_and_final_bars_too(tmp_path: Path, venue: Venue) -> None:
    def agg(number: int) -> AggTrade:
        return AggTrade(number, number, number, there(number).price, "1.00000000", False, 5, 6, NOON_NS)

    def bar(minute: int) -> Kline:
        opens = LONG_AGO_NS + minute * MINUTE_NS
        return Kline(
            opens, opens + MINUTE_NS - 1_000, "1", "1", "1", "1", "1", "1", "1", "1", -1, -1, 0, True, 1, NOON_NS
        )

    def klines(path: str, query: dict[str, str]) -> Answer | None:
        if path != "klines":
            return None
        first = -(-int(query["startTime"]) * 1_000 // MINUTE_NS)
        last = int(query["endTime"]) * 1_000 // MINUTE_NS
        us = [
            (minute * MINUTE_NS // 1_000, ((minute + 1) * MINUTE_NS - 1_000) // 1_000)
            for minute in range(first, last + 1)
        ]
        return Answer(200, [[opens, "1", "1", "1", "1", "1", closes, "1", 3, "1", "1", "0"] for opens, closes in us])

    venue.on_rest = klines
    to = recorded(tmp_path, [agg(1_001), loss(1_002, 1_003), agg(1_004)], topic=AGG)
    recorded(to, [bar(0), bar(3)], topic="binance.kline_1m.AAAUSDT", continuity=BARS)
    assert fill(to, venue).rows == 4
    assert figures(to, AGG) == {"present": 4, "named": 0, "missing": 0, "twice": 0, "void": 0}
    assert figures(to, "binance.kline_1m.AAAUSDT") == {"present": 4, "named": 0, "missing": 0, "twice": 0, "void": 0}
    assert verify(to).whole


def test_what_the_feed_may_still_bring_is_left_to_it_and_what_it_gave_up_is_not(tmp_path: Path, venue: Venue) -> None:
    now_ns = time.time_ns()
    things = [there(1_001, now_ns), Gap(1_002, 1_003, "x", now_ns), Gap(1_004, 1_005, "x", now_ns), GivenUp(1_004, 1_005, "x", now_ns), there(1_006, now_ns)]  # fmt: skip
    to = recorded(tmp_path, things, publish_ns=now_ns)
    fill(to, venue)
    assert figures(to)["present"] == 4
    assert figures(to)["named"] == 2


def test_an_old_gap_is_left_while_what_came_of_it_may_wait_in_the_journal(tmp_path: Path, venue: Venue) -> None:
    gap = Gap(1_002, 1_003, "x", LONG_AGO_NS)
    to = recorded(tmp_path, [there(1_001), gap, there(1_004)])
    made = journal_in(to)
    put(made, TRADE, Backfilled(trade(1_002)), publish_ns=LONG_AGO_NS + 10**9)
    made.commit(b"p")
    made.close()
    assert fill(to, venue).requests == 0
    recorded(to)  # the segment ends
    made = journal_in(to)
    made.roll(b"")
    made.close()
    convert(to, made.number)
    fill(to, venue)
    assert figures(to) == {"present": 4, "named": 0, "missing": 0, "twice": 0, "void": 0}


def test_a_ban_ends_it_and_what_came_before_stays(tmp_path: Path, venue: Venue) -> None:
    to = recorded(tmp_path, [*some(1_001, 1_002), loss(1_003, 3_500), *some(3_501, 3_502)])
    recorded(to, [there(2_001), loss(2_002, 2_003)], topic=OTHER)

    def ban(path: str, query: dict[str, str]) -> Answer | None:
        return (
            Answer(418, {"code": -1003, "msg": "banned"}, {"Retry-After": "120"})
            if len(venue.asked(path)) > 1
            else None
        )

    venue.on_rest = ban
    fetched = fill(to, venue)
    (words,) = fetched.stopped
    assert words.startswith("binance: ")
    assert "418" in words
    assert (fetched.rows, fetched.requests, len(venue.requests)) == (1_000, 3, 3)
    assert figures(to)["named"] == 1_498
    found = verify(to)
    found.fetched = fetched
    assert any(line.startswith("stopped: binance: ") for line in lines(found))
    venue.on_rest = lambda _path, _query: None
    assert fill(to, venue).rows == 1_500
    assert figures(to)["present"] == 2_502
    assert figures(to)["twice"] == 0


def test_a_limit_that_is_reached_is_waited_for(tmp_path: Path, venue: Venue) -> None:
    to = recorded(tmp_path, [*some(1_001, 1_002), loss(1_003, 1_004), *some(1_005, 1_006)])

    def once(path: str, _query: dict[str, str]) -> Answer | None:
        return None if venue.asked(path) else Answer(429, {"code": -1003, "msg": "slow"}, {"Retry-After": "1"})

    venue.on_rest = once
    assert fill(to, venue).rows == 2
    first, second, _ = venue.asked("historicalTrades")
    assert second.at_s - first.at_s >= 0.9


def test_it_leaves_half_of_the_share_to_a_feed(tmp_path: Path, venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refill, "TELL_NS", 0)
    to = recorded(tmp_path, [*some(1_001, 1_002), loss(1_003, 3_500), *some(3_501, 3_502)])
    told = list[str]()
    policy = WeightPolicy(limit=100, window_ns=10**9)  # a page weighs 25
    assert refill.refill(to, lambda _: asked_of(venue.rest_url, policy), told.append).rows == 2_498
    at_s = [request.at_s for request in venue.requests]
    assert len(at_s) == 4
    assert at_s[2] - at_s[0] >= 0.9
    assert "binance: waiting; of the REST weight 50 of 100 is used, which a feed may need" in told


def test_a_symbol_that_is_gone_stays_named_and_the_others_are_asked_for(tmp_path: Path, venue: Venue) -> None:
    to = recorded(tmp_path, [*some(1_001, 1_002), loss(1_003, 1_004)], topic="binance.trade.AAGONE")
    recorded(to, [*some(1_001, 1_002), loss(1_003, 1_004)])
    recorded(to, [*some(1, 2), loss(3, 4)], topic="binance.from_tomorrow.AAAUSDT")
    recorded(to, [*some(1, 2), loss(3, 4)], topic="venue.trade.AAAUSDT")
    fetched = fill(to, venue)
    assert (fetched.rows, len(fetched.stopped)) == (2, 2)
    assert fetched.stopped[0] == "binance.from_tomorrow.AAAUSDT: binance is not asked for from_tomorrow"
    assert "Invalid symbol" in fetched.stopped[1]
    assert figures(to, "binance.trade.AAGONE")["named"] == 2


def test_a_venue_that_does_not_answer_ends_it(tmp_path: Path, venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refill, "FAILURES", 2)
    to = recorded(tmp_path, [*some(1_001, 1_002), loss(1_003, 1_004)])
    venue.on_rest = lambda _path, _query: Answer(500, {"code": 0, "msg": "ill"})
    fetched = fill(to, venue)
    assert (fetched.requests, fetched.rows, len(fetched.stopped)) == (2, 0, 1)


def test_killed_at_any_moment_nothing_is_there_twice_and_the_next_one_finishes_it(tmp_path: Path, venue: Venue) -> None:
    to, place = (
        recorded(tmp_path / "recording", [*some(1_001, 1_002), loss(1_003, 1_004), *some(1_006, 1_007)]),
        tmp_path / "copies",
    )
    command = [
        sys.executable,
        "-m",
        "tests.recording.dying",
        "tests.recording.test_refill:fill_as_told",
        str(to),
        str(place),
    ]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, URL: venue.rest_url})
    copies = [*place.iterdir()]
    assert len(copies) > 5
    for copy in copies:
        found = verify(copy)
        assert (found.damaged, sum(day.twice for day in found.topics[0].days.values())) == ({}, 0), copy
        fill(copy, venue)
        assert figures(copy) == {"present": 7, "named": 0, "missing": 0, "twice": 0, "void": 0}, copy
        assert [name for name in names(copy) if "+" in name] == [f"binance/trade/{DAY}/AAAUSDT.00000001+1.parquet"], copy  # fmt: skip


def test_a_file_that_cannot_be_read_leaves_its_ids_missing_and_they_come(tmp_path: Path, venue: Venue) -> None:
    to = recorded(tmp_path, some(1_001, 1_002), some(1_003, 1_004), some(1_005, 1_006))
    layout.file_of(to, TRADE, DAY, 2).write_bytes(b"")
    assert fill(to, venue).rows == 2
    assert figures(to) == {"present": 6, "named": 0, "missing": 0, "twice": 0, "void": 0}
    assert len(verify(to).damaged) == 1
