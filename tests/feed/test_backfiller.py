"""Repairs of a shard over real REST: what the lanes lack comes, or is shown never to have existed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from k2workers import every, wire
from k2workers.backoff import Backoff
from k2workers.events import AggTrade, Backfilled, BookSnapshot, DepthUpdate, Event, Gap, Trade, Void
from k2workers.feed.backfiller import LINK_LINES, SAMPLE_EVERY_NS, Backfiller
from k2workers.feed.intake import Intake
from k2workers.feed.message_block import MessageBlock
from k2workers.sequencing.backfill_planner import BackfillPolicy, Urgency
from k2workers.sequencing.chain_lane import BrokenLink
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.wire import SendOutcome
from tests.fakes import OpenHanded
from tests.simulator.support import Client, collect, running
from tests.support.venue import Venue
from tests.support.waiting import WAIT_S, until

SPOT = BinanceSpot()
POLICY = BackfillPolicy(backoff=Backoff(10_000_000, 50_000_000), patience_ns=(20_000_000, 60_000_000))
AT_US = 1_700_000_000_000_000


class Shard:
    """An intake with its backfill; messages are handed in by the test, as a line would."""

    def __init__(self, client: Client, kinds: list[str], hold_ns: int = 10**10) -> None:
        self.client = client
        self.pushed: list[Event] = []
        self.outcome = SendOutcome.SENT
        self.grants = OpenHanded()
        self.intake = Intake(
            SPOT.codec(SPOT.stream_specs(kinds, ["BTCUSDT"])), hold_ns=hold_ns, push=self._push,
            on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
        )  # fmt: skip

    def _push(self, batches: list[wire.Batch]) -> SendOutcome:
        for batch in batches if self.outcome is SendOutcome.SENT else []:
            self.pushed += wire.decode_batch(batch)
        return self.outcome

    @contextlib.asynccontextmanager
    async def repaired(self) -> AsyncIterator[Backfiller]:
        async with SPOT.history(f"http://127.0.0.1:{self.client.port}", None, 100) as history:
            backfiller = Backfiller(self.intake, history, self.grants, POLICY)
            backfiller.start()
            yield backfiller
            await backfiller.stop()

    async def messages(self, name: str, count: int) -> list[bytes]:
        socket = await self.client.connect(f"/stream?streams=btcusdt@{name}&timeUnit=MICROSECOND")
        found: list[bytes] = []
        async with asyncio.timeout(WAIT_S):
            while len(found) < count:
                found.append((await socket.receive_str()).encode())
        await socket.close()
        return found


async def test_a_hole_is_filled_before_later_events_go_on() -> None:
    async with running() as client:
        shard = Shard(client, ["trade"])
        messages = await shard.messages("trade", 40)
        async with shard.repaired() as backfiller:
            shard.intake.on_messages(1, MessageBlock.of(messages[:10]), 1)
            shard.intake.on_messages(1, MessageBlock.of(messages[25:]), 1)
            await until(lambda: len(shard.pushed) == 40)
            await until(lambda: not shard.intake.incomplete)
            assert backfiller.requests["answered"] == 1
        ids = [event.first_id for event in shard.pushed]
        assert ids == list(range(ids[0], ids[0] + 40))
        assert all(isinstance(event, Trade) for event in shard.pushed)
        assert shard.grants.asked == [(25, 0)]


async def test_nothing_is_fetched_while_nobody_would_take_it() -> None:
    async with running() as client:
        shard = Shard(client, ["trade"])
        messages = await shard.messages("trade", 30)
        async with shard.repaired() as backfiller:
            shard.intake.on_messages(1, MessageBlock.of(messages[:10]), 1)
            shard.outcome = SendOutcome.REFUSED
            shard.intake.on_messages(1, MessageBlock.of(messages[10:20]), 1)
            backfiller._look()
            assert not backfiller._tasks
            shard.outcome = SendOutcome.SENT
            shard.intake.on_messages(1, MessageBlock.of(messages[20:]), 1)
            await until(lambda: len(shard.pushed) == 31)
        first = shard.pushed[0].first_id
        assert [type(event) for event in shard.pushed] == [Trade] * 10 + [Gap] + [Trade] * 10 + [Backfilled] * 10
        assert sorted(event.first_id for event in shard.pushed if not isinstance(event, Gap)) == list(
            range(first, first + 30)
        )


@pytest.mark.parametrize(
    "defect", [KeyError("a defect"), asyncio.CancelledError()], ids=["error", "stray cancellation"]
)
async def test_a_defect_in_a_request_is_counted_and_the_hole_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, defect: BaseException
) -> None:
    failed_before = every.failures["backfill"]
    async with running() as client:
        shard = Shard(client, ["trade"])
        messages = await shard.messages("trade", 6)
        async with shard.repaired() as backfiller:
            fetch = backfiller._history.fetch

            async def breaks_at_first(*_: Any, **__: Any) -> Any:
                monkeypatch.setattr(backfiller._history, "fetch", fetch)
                raise defect

            monkeypatch.setattr(backfiller._history, "fetch", breaks_at_first)
            shard.intake.on_messages(1, MessageBlock.of(messages[:2]), 1)
            shard.intake.on_messages(1, MessageBlock.of(messages[4:]), 1)
            await until(lambda: len(shard.pushed) == 6)
            assert (backfiller.requests["failed"], backfiller.requests["answered"]) == (1, 1)
    assert every.failures["backfill"] == failed_before + isinstance(defect, KeyError)


class ManyTopics:
    """Trades of many symbols, and the books of others, against a bendable venue."""

    def __init__(self, venue: Venue, books: int = 0) -> None:
        self.venue = venue
        self.pushed: list[Event] = []
        self.grants = OpenHanded()
        symbols = list(venue.flows)
        specs = [*SPOT.stream_specs(["trade"], symbols), *SPOT.stream_specs(["depth"], symbols[:books])]
        self.intake = Intake(
            SPOT.codec(specs), hold_ns=0, push=self._push, on_reply=lambda *_: None, on_notice=lambda _: None,
            observe_latency=lambda _: None,
        )  # fmt: skip
        self.intake.resume({})

    def _push(self, batches: list[wire.Batch]) -> SendOutcome:
        for batch in batches:
            self.pushed += wire.decode_batch(batch)
        return SendOutcome.SENT

    def hole(self, topic_index: int) -> None:
        """One trade comes, five do not, and the next comes."""
        flow = self.venue.flows[self.intake.topics[topic_index].symbol]
        for us in range(7):
            flow.step(AT_US + us)
        for row in (flow.trades[-7], flow.trades[-1]):
            at_ns = 1_000 * row["time"]
            self.intake.add(topic_index, [Trade(row["id"], "1", "1", True, at_ns, at_ns, at_ns)], 0)

    @contextlib.asynccontextmanager
    async def repaired(self) -> AsyncIterator[Backfiller]:
        async with SPOT.history(self.venue.rest_url, None, 1_000) as history:
            backfiller = Backfiller(self.intake, history, self.grants, POLICY)
            backfiller.start()
            yield backfiller
            await backfiller.stop()


async def test_what_is_more_urgent_takes_the_place_of_what_waits_for_permission() -> None:
    with Venue([f"A{number}USDT" for number in range(8)], every_s=1000) as venue:
        topics = ManyTopics(venue)
        topics.grants.waits_from = Urgency.OPEN
        async with topics.repaired() as backfiller:
            for topic_index in range(4):
                topics.hole(topic_index)
            await until(lambda: topics.grants.waiting == 3)
            topics.intake.hold_ns = 10**12
            for topic_index in (4, 5, 6, 7):
                topics.hole(topic_index)
            await until(lambda: not any(lane.deadline_ns for lane in topics.intake.lanes))
            assert not any(isinstance(event, Backfilled) for event in topics.pushed)
            assert topics.grants.withdrawn > 0
            topics.grants.plenty.set()
            await until(lambda: topics.intake.repaired == 20)
            assert not backfiller.requests["failed"] + backfiller.requests["no_permission"]
        assert len(venue.asked("trades")) == 8


async def test_books_that_wait_leave_room_for_every_hole_however_many_they_are() -> None:
    with Venue([f"A{number}USDT" for number in range(6)], every_s=1000) as venue:
        topics = ManyTopics(venue, books=6)
        topics.grants.waits_from = Urgency.FIRST_BOOK
        async with topics.repaired() as backfiller:
            for topic_index in range(6, 12):
                topics.intake.add(topic_index, [DepthUpdate(1, 1, [], [], 0, 0)], 0)
            await until(lambda: topics.grants.waiting == 2)
            assert backfiller.weight_wanted == 6 * 5
            for topic_index in range(6):
                topics.hole(topic_index)
            await until(lambda: topics.intake.repaired == 30)
            assert len(venue.asked("depth")) == 0
            topics.grants.plenty.set()
            await until(lambda: not topics.intake.books_missing(()) or len(venue.asked("depth")) >= 6)
            assert backfiller.weight_wanted <= 6 * 5


async def test_ids_that_never_existed_are_shown_as_void() -> None:
    async with running() as client:
        shard = Shard(client, ["trade"])
        async with client.session.post(
            f"http://127.0.0.1:{client.port}/_exchange/fault", json={"kind": "skip_ids", "ids": 3, "after_s": 0.2}
        ):
            messages = await shard.messages("trade", 300)
        async with shard.repaired():
            shard.intake.on_messages(1, MessageBlock.of(messages), 1)
            await until(lambda: any(isinstance(event, Void) for event in shard.pushed))
        assert not any(isinstance(event, Gap) for event in shard.pushed)
        assert all(b.first_id == a.last_id + 1 for a, b in itertools.pairwise(shard.pushed))
        assert shard.intake.voids == 3


async def test_an_announced_gap_is_filled_late_when_the_venue_answers_again() -> None:
    async with running(faults=("rest_5xx",)) as client:
        shard = Shard(client, ["trade"], hold_ns=0)
        messages = await shard.messages("trade", 20)
        async with shard.repaired() as backfiller:
            shard.intake.on_messages(1, MessageBlock.of(messages[:5] + messages[9:]), 1)
            await until(lambda: backfiller.requests["failed"] > 2)
            assert shard.intake.gaps_open == 1
            await client.post("/_exchange/clear_faults")
            await until(lambda: shard.intake.repaired == 4)
        assert [type(event).__name__ for event in shard.pushed[-4:]] == ["Backfilled"] * 4


async def test_a_refusal_is_reported_to_whoever_gives_grants() -> None:
    async with running(faults=("rest_429:retry_after_s=7,count=1",)) as client:
        shard = Shard(client, ["trade"])
        messages = await shard.messages("trade", 20)
        async with shard.repaired() as backfiller:
            shard.intake.on_messages(1, MessageBlock.of(messages[:5] + messages[9:]), 1)
            await until(lambda: len(shard.pushed) == 20)
            assert backfiller.requests["rate_limited"] == 1
        assert shard.grants.refusals == [7.0]


async def test_a_new_book_topic_gets_a_snapshot_that_its_diffs_continue() -> None:
    async with running() as client:
        shard = Shard(client, ["depth"])
        socket = await client.connect("/stream?streams=btcusdt@depth@100ms&timeUnit=MICROSECOND")
        async with shard.repaired(), asyncio.timeout(WAIT_S):
            while not any(isinstance(event, BookSnapshot) for event in shard.pushed):
                shard.intake.on_messages(1, MessageBlock.of([(await socket.receive_str()).encode()]), 1)
        place = next(i for i, event in enumerate(shard.pushed) if isinstance(event, BookSnapshot))
        before = shard.pushed[place - 1]
        assert isinstance(before, DepthUpdate)
        assert shard.pushed[place].last_id == before.last_update_id
        assert shard.grants.asked[0] == (5, 3)


async def test_after_an_outage_a_topic_that_stays_silent_is_asked_for() -> None:
    async with running() as client:
        shard = Shard(client, ["trade"])
        messages = await shard.messages("trade", 60)
        async with shard.repaired() as backfiller:
            shard.intake.on_messages(1, MessageBlock.of(messages[:20]), 1)
            confirmed: list[tuple[int, bool]] = []
            backfiller.repairs.on_confirmed = lambda stream, newer: confirmed.append((stream, newer))
            backfiller.probe([0])
            await until(lambda: confirmed)
        assert confirmed == [(0, True)]
        ids = [event.first_id for event in shard.pushed]
        assert len(ids) >= 60
        assert ids == list(range(ids[0], ids[0] + len(ids)))


async def test_a_topic_without_ids_to_ask_for_is_never_probed() -> None:
    async with running() as client:
        shard = Shard(client, ["book_ticker", "trade"])
        async with shard.repaired() as backfiller:
            for name in ("bookTicker", "trade"):
                shard.intake.on_messages(1, MessageBlock.of(await shard.messages(name, 1)), 1)
            confirmed: list[int] = []
            backfiller.repairs.on_confirmed = lambda topic_index, _: confirmed.append(topic_index)
            backfiller.probe([0, 1])
            await until(lambda: confirmed)
            assert (confirmed, shard.grants.asked) == ([1], [(25, 2)])


async def test_without_a_grant_nothing_is_asked_of_the_venue() -> None:
    async with running() as client:
        shard = Shard(client, ["trade"], hold_ns=0)
        shard.grants.closed = True
        messages = await shard.messages("trade", 20)
        async with shard.repaired() as backfiller:
            shard.intake.on_messages(1, MessageBlock.of(messages[:5] + messages[9:]), 1)
            await until(lambda: backfiller.requests["no_permission"] > 1)
        assert (await client.get("/_exchange/status"))["rest"]["requests"] == 0
        assert await collect(await client.connect("/ws/btcusdt@trade"), lambda events: len(events) > 1)


async def test_broken_links_without_end_are_named_in_few_lines_with_their_count() -> None:
    async with running() as client:
        shard = Shard(client, ["agg_trade"])
        links = [
            BrokenLink(AggTrade(n, n, n, "1", "1", True, 0, 0, 0), AggTrade(n + 1, 9, 9, "1", "1", True, 0, 0, 0))
            for n in range(300)
        ]
        async with shard.repaired() as backfiller:
            with capture_logs() as logs:
                for link in links:
                    backfiller.repairs.inquiries.on_link(0, link, "broken too")
        lines = [line for line in logs if line["event"] == "agg_link_broken"]
        assert [line["earlier_id"] for line in lines] == list(range(LINK_LINES[0]))
        assert {line["total"] for line in lines} == {0}


async def test_ids_that_are_given_up_are_logged_together_once_in_a_while_and_all_are_counted() -> None:
    async with running() as client:
        shard = Shard(client, ["trade"])
        shard.intake.resume({})
        with capture_logs() as logs:
            async with SPOT.history("http://127.0.0.1:9", None, 100) as history:
                backfiller = Backfiller(shard.intake, history, shard.grants, POLICY)
                for first in (10, 20, 30):
                    backfiller.repairs.planner.given_up += [(0, (first, first + 1)), (0, (first + 5, first + 5))]
                    backfiller._look()
                backfiller._tell_given_up(time.monotonic_ns() + SAMPLE_EVERY_NS)
                await backfiller.stop()
        told = [line for line in logs if line["event"] == "ids_given_up"]
        assert [(line["ranges"], line["count"]) for line in told] == [(2, 3), (4, 6)]
        assert told[1]["some"][0] == (shard.intake.topics[0].topic, (20, 21))
