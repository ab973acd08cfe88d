"""Getting a line subscribed and keeping it so, on a real connection to the exchange."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from k2workers.errors import VenueError, VenueRefused
from k2workers.feed.line import Line
from k2workers.feed.messages import Messages
from k2workers.feed.pace import Pace
from k2workers.feed.subscription import AUDIT_NS, Audit, Subscription, Subscriptions
from k2workers.venues.binance import BinanceSpot
from k2workers.venues.venue import Outcome, Reply
from tests.simulator.support import Client, running
from tests.support.waiting import WAIT_S, until

SPOT = BinanceSpot()
SPECS = SPOT.stream_specs(["trade", "depth"], ["BTCUSDT", "ETHUSDT"])
NAMES = [spec.name for spec in SPECS]


class Connected:
    """A line whose replies go to ``on_reply``."""

    def __init__(self) -> None:
        self.codec = SPOT.codec(SPECS)
        self.on_reply = lambda _reply: None
        self.replies: list[Reply] = []

    async def open(self, client: Client) -> Line:
        line = Line(1, SPOT.ws_url(f"ws://127.0.0.1:{client.port}"), self._take, lambda *_: None, Pace(0))
        await line.open(ssl_context=None, timeout_s=WAIT_S, close_timeout_s=1)
        return line

    def _take(self, _line: int, messages: Messages, received_ns: int) -> None:
        for message in messages.singly():
            if self.codec.decode(message, received_ns, []) is Outcome.REPLY:
                self.replies.append(self.codec.last_reply)
                self.on_reply(self.codec.last_reply)


async def subscribed(client: Client, connected: Connected, names: list[str]) -> Line:
    line = await connected.open(client)
    subscription = Subscription(SPOT, names, itertools.count(1), lambda: None)
    connected.on_reply = subscription.on_reply
    await subscription.establish(line, WAIT_S)
    return line


async def test_a_refusal_is_told_in_the_venues_words() -> None:
    async with running() as client:
        with pytest.raises(VenueRefused, match="invalid stream"):
            await subscribed(client, Connected(), ["btcusdt@nonsense"])


async def test_an_audit_finds_what_the_venue_forgot_and_only_when_it_is_due() -> None:
    async with running() as client:
        connected = Connected()
        line = await subscribed(client, connected, NAMES)
        audit = Audit(SPOT, NAMES)
        audit.renewed(0)
        missing: list[list[str]] = []
        connected.on_reply = lambda reply: missing.append(audit.on_reply(reply))
        audit.look(line, AUDIT_NS - 1)
        audit.look(line, AUDIT_NS)
        await until(lambda: missing)
        assert missing == [[]]
        body = {"kind": "forget", "stream": "ethusdt@trade"}
        async with client.session.post(f"http://127.0.0.1:{client.port}/_exchange/fault", json=body):
            audit.look(line, 2 * AUDIT_NS)
        await until(lambda: len(missing) == 2)
        assert missing[1] == ["ethusdt@trade"]
        assert audit.lost == 1
        await line.close(1000, "done")


def test_other_replies_are_not_the_audits() -> None:
    audit = Audit(SPOT, NAMES)
    assert audit.on_reply(Reply(1, ok=True, result=[])) == []
    assert audit.on_reply(Reply(None, ok=True, result=None)) == []


async def round_of(client: Client, names: list[str], *faults: str) -> tuple[Subscriptions, Line]:
    """Subscribed on a line of its own, in a venue with these faults."""
    for fault in faults:
        kind, _, stream = fault.partition(":")
        async with client.session.post(
            f"http://127.0.0.1:{client.port}/_exchange/fault", json={"kind": kind, "stream": stream}
        ) as reply:
            assert reply.status == 200
    connected, subscriptions = Connected(), Subscriptions(SPOT, 30)
    connected.on_reply = lambda reply: subscriptions.on_reply(1, reply)
    line = await connected.open(client)
    await subscriptions.establish(line, names)
    return subscriptions, line


MANY = [spec.name for spec in SPOT.stream_specs(["trade", "agg_trade", "book_ticker", "depth"], ["BTCUSDT", "ETHUSDT"])]


async def test_the_names_that_the_venue_refuses_are_found_and_the_others_subscribed() -> None:
    bad = {"ethusdt@trade", "btcusdt@bookTicker"}
    async with running(messages_per_second=1_000) as client:
        subscriptions, line = await round_of(client, MANY, *(f"refuse_stream:{name}" for name in bad))
        assert subscriptions.refused.keys() == bad
        assert all("invalid stream" in words for words in subscriptions.refused.values())
        assert set(subscriptions.not_refused(MANY)) == set(MANY) - bad
        await line.close(1000, "done")


async def test_refused_names_are_tried_one_at_a_time_and_all_once_one_is_taken() -> None:
    bad = {"ethusdt@trade", "btcusdt@trade"}
    async with running(messages_per_second=1_000) as client:
        subscriptions, line = await round_of(client, MANY, "refuse_stream:@trade")
        tried = list(subscriptions.refused)
        await subscriptions.try_refused(line)
        assert list(subscriptions.refused) == [tried[1], tried[0]], "another one next time"
        await client.post("/_exchange/clear_faults")
        await subscriptions.try_refused(line)
        assert (subscriptions.refused, bad) == ({}, set(tried))
        await line.close(1000, "done")


async def test_where_all_are_refused_all_are_tried_again() -> None:
    async with running(messages_per_second=1_000) as client:
        with pytest.raises(VenueRefused, match="invalid stream"):
            await round_of(client, MANY, "refuse_stream:")
        subscriptions = Subscriptions(SPOT, 30)
        subscriptions.refused = dict.fromkeys(MANY, "2 no")
        assert subscriptions.not_refused(MANY) == MANY


async def test_a_venue_that_does_not_answer_is_given_up() -> None:
    async with running(max_request_bytes=10) as client:  # a longer request gets no answer
        connected = Connected()
        line = await connected.open(client)
        with pytest.raises(VenueError, match="no reply"):
            await Subscription(SPOT, NAMES, itertools.count(1), lambda: None).establish(line, 0.2)
        await line.close(1000, "done")


async def test_a_refusal_without_an_id_is_of_the_oldest_request() -> None:
    async with running() as client:
        line = await Connected().open(client)
        subscription = Subscription(SPOT, ["a@b"], itertools.count(7), lambda: None)
        establishing = asyncio.ensure_future(subscription.establish(line, 30))
        while not subscription._asked:
            await asyncio.sleep(0)
        assert not subscription.on_reply(Reply(3, ok=True)), "somebody else's"
        assert subscription.on_reply(Reply(None, ok=False, code=2, message="no"))
        with pytest.raises(VenueRefused, match="2 no"):
            await establishing
        await line.close(1000, "done")
