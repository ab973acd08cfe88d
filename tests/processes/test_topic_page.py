"""What ``/topics`` answers, with a real replay port behind it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest
import zmq

from k2workers import wire
from k2workers.book_events import STALE, BookTop
from k2workers.continuity import RECORDS
from k2workers.events import BookSnapshot, Event, Gap, Heartbeat
from k2workers.metrics.http_answers import HttpQuestion
from k2workers.processes.topic_page import EVENT_CHARACTERS, FLOWS_S, MOST_BYTES, FeedKnows, TopicPage
from k2workers.transport.replay_server import ReplayServer
from k2workers.transport.ring import ReplayRing

S = 1_000_000_000


class Feed:
    """A replay port with topics, and what the processes would tell of them."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.ring = ReplayRing(10**8, 10**15)
        self.server = ReplayServer(context, "tcp://127.0.0.1:*", self.ring, 7)
        self.asked: Sequence[str] = ()
        self.unserved: dict[str, str] = {}
        self.missing: dict[str, int] = {}
        self.page = TopicPage(["v.", "status."], lambda: FeedKnows(lambda: self.asked, self.unserved, self.missing))
        self.page.listening(self.server.endpoint)

    def publish(self, topic: str, event: Event, *, sequence: int = 1, age_s: float = 0.0) -> None:
        batch = wire.batch_of(topic, [event], RECORDS.number)
        published_ns = time.time_ns() - int(age_s * S)
        frame = wire.publication(batch, epoch=7, sequence=sequence, publish_ns=published_ns)
        self.ring.put(topic, sequence, frame, time.monotonic_ns())

    async def find(self, query: str = "") -> dict[str, Any]:
        answer = await asyncio.to_thread(self.page.answer, HttpQuestion("topics", query, "", ""))
        assert answer.status == HTTPStatus.OK
        found: dict[str, Any] = json.loads(answer.body)
        return found

    async def state_of(self, topic: str) -> str:
        (shown,) = (await self.find(f"search={topic}"))["shown"]
        return str(shown["state"])


@asynccontextmanager
async def fed() -> AsyncIterator[Feed]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    feed = Feed(context)
    feed.server.start()
    try:
        yield feed
    finally:
        await asyncio.to_thread(feed.page.close)
        feed.server.close()
        await asyncio.to_thread(context.term)
        await feed.server.port.settle()


async def test_a_topic_is_shown_with_its_last_event() -> None:
    async with fed() as feed:
        feed.publish("v.trade.BTCUSDT", Heartbeat(5), sequence=9)
        feed.publish("other.trade.BTCUSDT", Heartbeat(5))
        found = await feed.find("search=btc")
        assert (found["topics"], found["found"]) == (1, 1)
        (shown,) = found["shown"]
        assert shown.pop("age_s") < 60
        assert shown == {
            "topic": "v.trade.BTCUSDT", "state": "flowing", "sequence": 9, "last_id": Heartbeat(5).last_id,
            "guarantee": RECORDS.guarantee.value, "type": "Heartbeat", "event": '{"at_ns":5}',
        }  # fmt: skip


async def test_all_words_must_be_in_the_name_in_whatever_case_and_only_so_many_are_shown() -> None:
    async with fed() as feed:
        feed.asked = [
            f"v.{kind}.{symbol}" for kind in ("trade", "depth") for symbol in ("BTCUSDT", "ETHUSDT", "\u5e01")
        ]
        assert [one["topic"] for one in (await feed.find("search=Btc+TRADE"))["shown"]] == ["v.trade.BTCUSDT"]
        assert [one["topic"] for one in (await feed.find("search=%E5%B8%81&limit=1"))["shown"]] == ["v.depth.\u5e01"]
        every = await feed.find("limit=2")
        assert (every["topics"], every["found"], len(every["shown"])) == (6, 6, 2)
        assert (await feed.find("search=nothing"))["found"] == 0


async def test_the_state_says_what_is_known() -> None:
    gap = Gap(1, 3, "lost", 0)
    stale = BookTop(1, "", "", "", "", STALE, 0, 0, 0)
    async with fed() as feed:
        feed.asked = ["v.unseen.X", "v.silent_unseen.X"]
        for topic, event, age_s in (
            ("v.flowing.X", Heartbeat(1), FLOWS_S / 2), ("v.quiet.X", Heartbeat(1), 2 * FLOWS_S), ("v.gap.X", gap, 0.0),
            ("v.stale.X", stale, 0.0), ("v.silent.X", Heartbeat(1), 0.0), ("v.missing.X", Heartbeat(1), 0.0),
        ):  # fmt: skip
            feed.publish(topic, event, age_s=age_s)
        feed.unserved = {"v.silent.X": "silent", "v.silent_unseen.X": "unproven"}
        feed.missing = {"v.missing.X": 4}
        told = {topic: await feed.state_of(topic) for topic in ("v.flowing", "v.quiet", "v.gap", "v.stale", "v.unseen")}
        assert told == {
            "v.flowing": "flowing", "v.quiet": "quiet", "v.gap": "gap", "v.stale": "stale", "v.unseen": "no event yet",
        }  # fmt: skip
        assert (await feed.state_of("v.silent.x"), await feed.state_of("silent_un")) == ("silent", "unproven")
        (missing,) = (await feed.find("search=missing"))["shown"]
        assert (missing["state"], missing["missing"]) == ("gap", 4)


async def test_what_is_long_is_cut_or_not_read_and_what_cannot_be_read_is_said() -> None:
    levels = [(f"{number}.00000000", "1.00000000") for number in range(4_000)]
    async with fed() as feed:
        feed.publish("v.book.X", BookSnapshot(1, levels, [], 0))
        feed.publish("v.book_short.X", BookSnapshot(1, levels[:100], [], 0))
        feed.ring.put("v.odd.X", 1, b"v.odd.X nonsense", time.monotonic_ns())
        (long,) = (await feed.find("search=v.book.x"))["shown"]
        assert long["type"] == "BookSnapshot"
        assert int(long["event"].split()[0].replace(",", "")) > MOST_BYTES
        (short,) = (await feed.find("search=short"))["shown"]
        assert len(short["event"]) == EVENT_CHARACTERS + 1
        assert await feed.state_of("v.odd") == "unreadable"


@pytest.mark.parametrize("limit", ["0", "201", "x", "", "-1", "\u0663", "1000000"])
def test_a_limit_that_cannot_be_is_named_with_what_is_allowed(limit: str) -> None:
    page = TopicPage([], lambda: FeedKnows(list, {}, {}))
    answer = page.answer(HttpQuestion("topics", f"limit={limit}", "", ""))
    assert (answer.status, answer.body.decode()) == (400, f"400: limit = {limit!r}; allowed: 1 to 200")


def test_before_the_aggregator_has_told_where_it_is_nobody_waits() -> None:
    page = TopicPage(["v."], lambda: FeedKnows(list, {}, {}))
    with pytest.raises(TimeoutError):
        page.answer(HttpQuestion("topics", "", "", ""))


async def test_another_address_of_the_aggregator_is_asked_from_then_on() -> None:
    async with fed() as first, fed() as second:
        first.publish("v.trade.OLD", Heartbeat(1))
        second.publish("v.trade.NEW", Heartbeat(1))
        first.page.listening(first.server.endpoint)
        assert (await first.find())["found"] == 1
        first.page.listening(second.server.endpoint)
        first.page._published = (-1e9, frozenset())
        assert [one["topic"] for one in (await first.find())["shown"]] == ["v.trade.NEW"]
