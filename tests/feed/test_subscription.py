"""Getting a line subscribed and keeping it so, on a real connection to the exchange."""

from __future__ import annotations

import itertools

import pytest

from k2workers.errors import VenueRefused
from k2workers.feed.line import Line
from k2workers.feed.messages import Messages
from k2workers.feed.pace import Pace
from k2workers.feed.subscription import AUDIT_NS, Audit, Subscription
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
