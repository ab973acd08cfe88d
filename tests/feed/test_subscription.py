"""Getting a line subscribed and keeping it so, on a real connection to the exchange."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest

from k2workers.errors import VenueError, VenueRefused
from k2workers.feed.gathering import Gathering
from k2workers.feed.line import Line
from k2workers.feed.message_block import MessageBlock
from k2workers.feed.message_rate import MessageRate
from k2workers.feed.subscription import Audit, Subscription, Subscriptions
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.streams import path
from k2workers.venues.venue import Outcome, Reply
from tests.simulator.support import Client, inject, running
from tests.support.venue import Venue
from tests.support.waiting import WAIT_S, until

SPOT = BinanceSpot()
SPECS = SPOT.stream_specs(["trade", "depth"], ["BTCUSDT", "ETHUSDT"])
NAMES = [spec.name for spec in SPECS]


def ws_url_of(client: Client) -> str:
    return f"ws://127.0.0.1:{client.port}"


class Connected:
    """A line whose replies go to ``on_reply``."""

    def __init__(self) -> None:
        self.codec = SPOT.codec(SPECS)
        self.on_reply: Callable[[Reply], object] = lambda _reply: None
        self.replies: list[Reply] = []

    async def open(self, ws_url: str) -> Line:
        line = Line(1, ws_url + path(SPOT.dialect), self._take, lambda *_: None, Gathering(0), MessageRate(3))
        await line.open(ssl_context=None, timeout_s=WAIT_S, close_timeout_s=1)
        return line

    def _take(self, _line: int, messages: MessageBlock, received_ns: int) -> None:
        for message in messages.singly():
            if self.codec.decode(message, received_ns, []) is Outcome.REPLY:
                self.replies.append(self.codec.last_reply)
                self.on_reply(self.codec.last_reply)


async def subscribed(client: Client, connected: Connected, names: list[str]) -> Line:
    line = await connected.open(ws_url_of(client))
    subscription = Subscription(SPOT, names, itertools.count(1), lambda: None)
    connected.on_reply = subscription.on_reply
    await subscription.establish(line, WAIT_S)
    return line


async def test_a_refusal_is_told_in_the_venues_words() -> None:
    async with running() as client:
        with pytest.raises(VenueRefused, match="invalid stream"):
            await subscribed(client, Connected(), ["btcusdt@nonsense"])


async def connected_to(ws_url: str) -> tuple[Subscriptions, Line]:
    """A line that nothing is subscribed on."""
    connected, subscriptions = Connected(), Subscriptions(SPOT, WAIT_S)
    line = await connected.open(ws_url)
    connected.on_reply = lambda reply: subscriptions.on_reply(line, reply)
    return subscriptions, line


async def with_faults(client: Client, *faults: str) -> tuple[Subscriptions, Line]:
    """The same, in an exchange with these faults."""
    for fault in faults:
        kind, _, stream = fault.partition(":")
        assert (await inject(client, kind=kind, stream=stream))[0] == 200
    return await connected_to(ws_url_of(client))


async def carried_by(client: Client, line: Line) -> set[str]:
    """What the venue has for this line, which must be open still."""
    (connection,) = client.exchange.connections
    assert connection.open
    return set(connection.names)


MANY = [spec.name for spec in SPOT.stream_specs(["trade", "book_ticker"], ["BTCUSDT", "ETHUSDT"])]


async def test_everything_at_once_keeps_within_the_venues_message_rate() -> None:
    async with running() as client:  # five messages a second, and the connection is closed
        subscriptions, line = await with_faults(client, "refuse_stream:ethusdt@bookTicker")
        added = ["btcusdt@aggTrade", "ethusdt@aggTrade"]
        begun = asyncio.ensure_future(subscriptions.begin(line, MANY))
        await until(lambda: subscriptions.refused)
        assert (await inject(client, kind="forget", stream="btcusdt@trade"))[0] == 200
        await asyncio.gather(
            begun,
            *(subscriptions.add(line, [name]) for name in added),
            subscriptions.audit(line),
            subscriptions.audit(line),
            subscriptions.try_refused(line),
        )
        assert (subscriptions.lost, set(subscriptions.refused)) == (1, {"ethusdt@bookTicker"})
        assert await carried_by(client, line) == {*MANY, *added} - subscriptions.refused.keys()
        await line.close(1000, "done")


async def test_an_audit_subscribes_again_what_the_venue_forgot() -> None:
    async with running() as client:
        subscriptions, line = await with_faults(client)
        await subscriptions.begin(line, MANY)
        await subscriptions.audit(line)
        assert subscriptions.lost == 0
        assert (await inject(client, kind="forget", stream="ethusdt@trade"))[0] == 200
        await subscriptions.audit(line)
        assert subscriptions.lost == 1
        assert await carried_by(client, line) == set(MANY)
        await line.close(1000, "done")


async def test_streams_added_while_an_audit_waits_for_its_answer_are_not_lost() -> None:
    async with running() as client:
        subscriptions, line = await with_faults(client)
        await subscriptions.begin(line, MANY[:1])
        await asyncio.gather(subscriptions.audit(line), subscriptions.add(line, MANY[1:]))
        assert subscriptions.lost == 0
        assert await carried_by(client, line) == set(MANY)
        await line.close(1000, "done")


async def test_an_audit_that_the_venue_does_not_answer_is_over_some_time() -> None:
    async with running(max_request_bytes=10) as client:  # a longer request gets no answer
        line = await Connected().open(ws_url_of(client))
        with pytest.raises(VenueError, match="no list"):
            await Audit(SPOT, 1).ask(line, 0.2)
        refused = Audit(SPOT, 2)
        assert not refused.on_reply(Reply(1, ok=False, code=2, message="no")), "somebody else's"
        assert refused.on_reply(Reply(None, ok=False, code=2, message="no"))
        with pytest.raises(VenueRefused, match="2 no"):
            await refused.ask(line, WAIT_S)
        await Subscriptions(SPOT, 0.2).audit(line)
        await line.close(1000, "done")


async def test_the_names_that_the_venue_refuses_are_found_and_the_others_subscribed() -> None:
    bad = {"ethusdt@trade", "btcusdt@bookTicker"}
    async with running() as client:
        subscriptions, line = await with_faults(client, *(f"refuse_stream:{name}" for name in bad))
        assert not await subscriptions.begin(line, MANY)
        assert subscriptions.refused.keys() == bad
        assert all("invalid stream" in words for words in subscriptions.refused.values())
        assert await carried_by(client, line) == set(MANY) - bad
        await line.close(1000, "done")


async def test_a_new_line_begins_with_the_names_that_were_not_refused() -> None:
    async with running() as client:
        subscriptions, line = await with_faults(client)
        subscriptions.refused = dict.fromkeys(MANY[:2], "2 no")
        assert await subscriptions.begin(line, MANY)
        assert await carried_by(client, line) == set(MANY[2:])
        await line.close(1000, "done")


async def test_refused_names_are_tried_one_at_a_time_and_all_once_one_is_taken() -> None:
    async with running() as client:
        subscriptions, line = await with_faults(client, "refuse_stream:@trade")
        await subscriptions.begin(line, MANY)
        tried = list(subscriptions.refused)
        assert set(tried) == {"btcusdt@trade", "ethusdt@trade"}
        await subscriptions.try_refused(line)
        assert list(subscriptions.refused) == [tried[1], tried[0]], "another one next time"
        await client.post("/_exchange/clear_faults")
        await subscriptions.try_refused(line)
        assert subscriptions.refused == {}
        await subscriptions.try_refused(line)
        assert await carried_by(client, line) == set(MANY)
        await line.close(1000, "done")


async def test_an_audit_tries_a_refused_name_again_unless_it_was_refused_just_now() -> None:
    with Venue(["BTCUSDT", "ETHUSDT"]) as venue:
        subscriptions, line = await connected_to(venue.ws_url)
        await subscriptions.begin(line, MANY)
        venue.connections[0].names.discard("ethusdt@trade")
        venue.on_subscribe = lambda names: (2, "no") if "ethusdt@trade" in names else None
        await subscriptions.audit(line)
        assert venue.subscribed[1:] == [["ethusdt@trade"]], "once, as one that was lost"
        assert subscriptions.refused == {"ethusdt@trade": "2 no"}
        await subscriptions.audit(line)
        assert venue.subscribed[2:] == [["ethusdt@trade"]], "once, as one that was refused before"
        await line.close(1000, "done")


async def test_where_all_are_refused_all_are_tried_again() -> None:
    async with running() as client:
        subscriptions, line = await with_faults(client, "refuse_stream:")
        with pytest.raises(VenueRefused, match="invalid stream"):
            await subscriptions.begin(line, NAMES[:2])
        assert subscriptions.refused.keys() == set(NAMES[:2])
        await client.post("/_exchange/clear_faults")
        assert await subscriptions.begin(line, NAMES[:2])
        assert subscriptions.refused == {}
        await line.close(1000, "done")


async def test_a_venue_that_does_not_answer_is_given_up() -> None:
    async with running(max_request_bytes=10) as client:  # a longer request gets no answer
        connected = Connected()
        line = await connected.open(ws_url_of(client))
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(VenueError, match="no reply"):
                await Subscription(SPOT, NAMES, itertools.count(1), lambda: None).establish(line, 0.2)
        await line.close(1000, "done")


async def test_a_refusal_without_an_id_is_of_the_oldest_request() -> None:
    async with running() as client:
        line = await Connected().open(ws_url_of(client))
        subscription = Subscription(SPOT, ["a@b"], itertools.count(7), lambda: None)
        establishing = asyncio.ensure_future(subscription.establish(line, 30))
        await until(lambda: subscription._asked)
        assert not subscription.on_reply(Reply(3, ok=True)), "somebody else's"
        assert subscription.on_reply(Reply(None, ok=False, code=2, message="no"))
        with pytest.raises(VenueRefused, match="2 no"):
            await establishing
        await line.close(1000, "done")


async def test_a_refusal_that_names_another_request_means_the_oldest_and_a_repeated_one_nothing() -> None:
    async with running() as client:
        line = await Connected().open(f"ws://127.0.0.1:{client.port}")
        subscription = Subscription(SPOT, ["a@b", "c@d"], itertools.count(7), lambda: None)
        establishing = asyncio.ensure_future(subscription.establish(line, WAIT_S))
        await until(lambda: subscription._asked)
        assert subscription.on_reply(Reply(9_999, ok=False, code=2, message="no"))
        await until(lambda: 8 in subscription._asked)
        for _ in range(2):
            assert not subscription.on_reply(Reply(7, ok=False, code=2, message="no")), "answered already"
        await until(lambda: 9 in subscription._asked)
        assert subscription.on_reply(Reply(8, ok=True))
        assert subscription.on_reply(Reply(0, ok=False, code=2, message="no"))
        await establishing
        assert (subscription.accepted, subscription.refused) == ({"a@b"}, {"c@d": "2 no"})
        await line.close(1000, "done")


async def test_data_prove_more_than_an_acknowledgement_that_does_not_come() -> None:
    async with running(max_request_bytes=10) as client:  # a longer request gets no answer
        url = f"ws://127.0.0.1:{client.port}/stream?streams=btcusdt@trade"
        line = Line(1, url, lambda *_: None, lambda *_: None, Gathering(0), MessageRate(3))
        await line.open(ssl_context=None, timeout_s=WAIT_S, close_timeout_s=1)
        subscription = Subscription(SPOT, NAMES, itertools.count(1), lambda: None)
        await subscription.establish(line, 1.0)
        assert subscription.accepted == set(NAMES)
        await line.close(1000, "done")
