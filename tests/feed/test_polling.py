"""What no stream brings is asked for steadily: each in its turn, behind all else, and published once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from k2workers import wire
from k2workers.feed.polling import URGENCY, Polling
from k2workers.futures_events import FundingRate, OpenInterest
from k2workers.network.venue_answers import Answer
from k2workers.venues.binance.usdm import BinanceUsdm
from k2workers.venues.venue import Poll
from tests.support.venue import Answer as Told
from tests.support.venue import Venue
from tests.support.waiting import until

USDM = BinanceUsdm()
AT_MS = 1_800_000_000_000
KINDS = ["open_interest", "funding_rate"]


class Grants:
    """Permission for all, or for none."""

    def __init__(self, *, gives: bool = True) -> None:
        self.gives = gives
        self.asked: list[tuple[int, int]] = []
        self.done: list[tuple[int, Answer | None]] = []

    async def ask_weight(self, weight: int, urgency: int) -> int | None:
        self.asked.append((weight, urgency))
        return len(self.asked) if self.gives else None

    def weight_done(self, _grant_id: int, used: int, answer: Answer | None) -> None:
        self.done.append((used, answer))


def often(symbols: list[str]) -> list[Poll]:
    """The venue's polls, much more often."""
    found = USDM.polls(USDM.stream_specs([*KINDS, "depth"], symbols))
    return [Poll(poll.topic, poll.weight, 0.05) for poll in found]


@asynccontextmanager
async def polling(venue: Venue, grants: Grants, polls: list[Poll]) -> AsyncIterator[tuple[Polling, list[wire.Batch]]]:
    pushed: list[wire.Batch] = []
    async with USDM.history(venue.rest_url, None, 1_000) as history:
        running = Polling(history, grants, pushed.extend)
        running.add(polls)
        running.start()
        try:
            yield running, pushed
        finally:
            await running.stop()


def stand_in() -> Venue:
    venue = Venue(["AAAUSDT", "BBBUSDT"], rest_path="/fapi/v1/")
    changes = {"openInterest": iter(range(10**6))}

    def answer(path: str, query: dict[str, str]) -> Told:
        if path == "openInterest":
            at_ms = AT_MS + next(changes["openInterest"]) // 4
            return Told(200, {"openInterest": "10659.509", "symbol": query["symbol"], "time": at_ms})
        return Told(
            200, [{"symbol": query["symbol"], "fundingRate": "-0.0001", "fundingTime": AT_MS, "markPrice": "1.5"}]
        )

    venue.on_rest = answer
    return venue


async def test_each_is_asked_for_in_its_turn_and_published_when_it_is_new() -> None:
    grants = Grants()
    with stand_in() as venue:
        async with polling(venue, grants, often(["AAAUSDT", "BBBUSDT"])) as (running, pushed):
            await until(lambda: len(venue.requests) > 30, "several rounds")
        assert {asked.path for asked in venue.requests} == {"openInterest", "fundingRate"}
        assert {asked.query["symbol"] for asked in venue.requests} == {"AAAUSDT", "BBBUSDT"}
    events: dict[str, list[Any]] = {}
    for batch in pushed:
        events.setdefault(batch.topic, []).extend(wire.decode_batch(batch))
    assert sorted(events) == [
        f"binance_usdm.{kind}.{name}" for kind in sorted(KINDS) for name in ("AAAUSDT", "BBBUSDT")
    ]
    # Funding stays as it is, and is told once.
    assert events["binance_usdm.funding_rate.AAAUSDT"] == [
        FundingRate("-0.0001", "1.5", AT_MS * 10**6, events["binance_usdm.funding_rate.AAAUSDT"][0].received_ns)
    ]
    interests = events["binance_usdm.open_interest.BBBUSDT"]
    assert len(interests) > 1
    assert all(isinstance(event, OpenInterest) for event in interests)
    assert [event.last_id for event in interests] == sorted({event.last_id for event in interests})
    assert running.events["open_interest"] == sum(
        len(found) for topic, found in events.items() if "open_interest" in topic
    )
    assert running.requests.keys() == {"answered"}
    assert set(grants.asked) == {(1, URGENCY)}


async def test_what_is_refused_on_the_way_is_published_the_next_time() -> None:
    refused: list[wire.Batch] = []
    pushed: list[wire.Batch] = []

    def push(batches: list[wire.Batch]) -> wire.SendOutcome:
        if len(refused) < 3:
            refused.extend(batches)
            return wire.SendOutcome.REFUSED
        pushed.extend(batches)
        return wire.SendOutcome.SENT

    polls = [poll for poll in often(["AAAUSDT"]) if poll.topic.kind == "funding_rate"]
    with stand_in() as venue:
        async with USDM.history(venue.rest_url, None, 1_000) as history:
            running = Polling(history, Grants(), push)
            running.add(polls)
            running.start()
            await until(lambda: len(pushed) == 1 and len(venue.requests) > 8, "funding, though it stays as it is")
            await running.stop()
    assert (len(refused), len(pushed), running.events["funding_rate"]) == (3, 1, 1)


async def test_without_permission_nothing_is_asked() -> None:
    grants = Grants(gives=False)
    with stand_in() as venue:
        async with polling(venue, grants, often(["AAAUSDT"])) as (running, pushed):
            await until(lambda: running.requests["no_permission"] > 3, "asked for permission")
        assert (venue.requests, pushed) == ([], [])


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Told(418, {"code": -1003, "msg": "banned"}), "banned"),
        (Told(500, {}), "failed"),
        (Told(200, {"openInterest": "many"}), "failed"),
        (Told(200, {"openInterest": "1.5", "symbol": "AAAUSDT", "time": 3}), "failed"),
    ],
)
async def test_what_the_venue_refuses_or_garbles_is_counted_told_once_and_asked_for_again(
    answer: Told, outcome: str
) -> None:
    grants = Grants()
    with stand_in() as venue, capture_logs() as logged:
        usual, venue.on_rest = venue.on_rest, lambda _path, _query: answer
        polls = [poll for poll in often(["AAAUSDT"]) if poll.topic.kind == "open_interest"]
        async with polling(venue, grants, polls) as (running, pushed):
            await until(lambda: running.requests[outcome] > 3, "failures")
            assert pushed == []
            venue.on_rest = usual
            await until(lambda: pushed, "a value")
    assert sum(line["event"] == "poll_failed" for line in logged) == 1
    assert len(grants.done) == len(grants.asked)
    assert grants.done[0][1] is not None and grants.done[0][1].status == (answer.status if answer.status != 200 else 0)


async def test_one_that_takes_long_is_given_up_at_the_end_and_its_permission_given_back() -> None:
    grants = Grants()
    hanging, over = threading.Event(), threading.Event()

    async def held(*_: object) -> None:
        hanging.set()
        while not over.is_set():
            await asyncio.sleep(0.01)

    with stand_in() as venue:
        venue.on_rest_stream = held
        async with polling(venue, grants, often(["AAAUSDT"])):
            await until(hanging.is_set, "a request under way")
        assert grants.done == [(0, None)]
        over.set()
        await until(lambda: venue.requests, "the answer that nobody waits for")
