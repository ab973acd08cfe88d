"""Who may connect and ask, over the real control channel between a parent and its children."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from k2workers.errors import AddressRefused
from k2workers.network.venue_answers import Answer, Service
from k2workers.supervision import permission_client
from k2workers.supervision.connect_budget import ROTATE, BudgetPolicy
from k2workers.supervision.control_channel import ControlClient, ControlServer
from k2workers.supervision.control_messages import (
    AnyControlMessage,
    ConnectedAlone,
    GrantAsked,
    GrantDone,
    GrantGiven,
    HandshakeDone,
    WeightAsked,
    WeightDone,
    WeightGiven,
)
from k2workers.supervision.gate import Gate
from k2workers.supervision.permission_client import AlonePolicy
from k2workers.supervision.permission_client import PermissionClient as Asking
from k2workers.supervision.permissions import Allowance, Permissions, permissions_of
from k2workers.supervision.weight_budget import WeightPolicy
from k2workers.venues.binance.refusals import PAUSES
from tests.support.waiting import WAIT_S, until

LOOK_S = 0.02


class Parent:
    """Permissions behind a control server, looked at steadily; ``mute`` keeps every answer back."""

    def __init__(self, endpoint: str, budget: BudgetPolicy) -> None:
        self.mute = False
        self.said: list[str] = []
        self.heard: list[AnyControlMessage] = []
        self.server = ControlServer(endpoint, self._take)
        self.permissions = Permissions(
            Allowance(venue="v", budget=budget, weight=WeightPolicy(share=0.8), pauses=PAUSES), self._send
        )
        self.tasks: set[asyncio.Task[None]] = set()

    def _now_ns(self) -> int:
        return int(asyncio.get_running_loop().time() * 1e9)

    def _take(self, name: str, message: AnyControlMessage) -> None:
        self.heard.append(message)
        self.permissions.take(name, message, self._now_ns())

    def _send(self, name: str, message: AnyControlMessage) -> None:
        self.said.append(type(message).__name__)
        if not self.mute:
            task = asyncio.get_running_loop().create_task(self.server.send(name, message))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def look(self) -> None:
        while True:
            self.permissions.look(self._now_ns())
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def connected(folder: Path, budget: BudgetPolicy) -> AsyncIterator[tuple[Parent, ControlClient]]:
    parent = Parent(f"ipc://{folder}/control", budget)
    parent.server.start()
    looking = asyncio.get_running_loop().create_task(parent.look())
    child = ControlClient("worker-0", f"ipc://{folder}/control")
    await child.start(lambda _message: None)
    try:
        yield parent, child
    finally:
        looking.cancel()
        await child.close()
        await parent.server.close()


async def test_a_parent_that_says_wait_is_obeyed_for_longer_than_its_silence_would_be(tmp_path: Path) -> None:
    window_ns = 4_000_000_000
    async with connected(tmp_path, BudgetPolicy(limit=1, window_ns=window_ns)) as (parent, child):
        assert await child.ask_grant(0, "connect", starved_since_ns=1, silence_s=1.5)
        begun_s = asyncio.get_running_loop().time()
        # The window is full for four seconds, in which a silent parent would have been given up.
        assert await child.ask_grant(0, "connect", starved_since_ns=1, silence_s=1.5)
        assert asyncio.get_running_loop().time() - begun_s > 1.5
        assert "Waiting" in parent.said


async def test_a_silent_parent_is_given_up_and_told_of_what_was_done_alone(tmp_path: Path) -> None:
    async with connected(tmp_path, BudgetPolicy(limit=1, window_ns=10**15)) as (parent, child):
        assert await child.ask_grant(0, "connect", starved_since_ns=1, silence_s=60.0)
        parent.mute = True
        assert await child.ask_grant(0, "connect", starved_since_ns=1, silence_s=1.0) is None
        child.send(ConnectedAlone(0))
        await until(lambda: parent.permissions.budget.alone == 1)
        assert parent.permissions.budget.waiting == 0, "the request was withdrawn"


async def test_a_pause_that_the_parent_told_of_is_kept_when_it_falls_silent(tmp_path: Path) -> None:
    async with connected(tmp_path, BudgetPolicy()) as (parent, child):
        now_ns = int(asyncio.get_running_loop().time() * 1e9)
        child.send(HandshakeDone(Answer(429, retry_after_s=5.0), now_ns))
        await until(lambda: parent.permissions.gate.paused_ns(Service.CONNECT, now_ns))
        asked = asyncio.get_running_loop().create_task(child.ask_grant(0, "connect", starved_since_ns=1, silence_s=2.0))
        await until(lambda: "Waiting" in parent.said)
        parent.mute = True
        assert await asked is None
        assert asyncio.get_running_loop().time() * 1e9 >= now_ns + 5e9


async def test_a_refusal_that_one_child_reports_stops_the_parents_own_requests(tmp_path: Path) -> None:
    async with connected(tmp_path, BudgetPolicy()) as (parent, child):
        asked = await child.ask_weight(25, 0, timeout_s=30)
        assert asked is not None
        child.send(WeightDone(asked, 0, Answer(429, retry_after_s=3.0, weight_limit=1_200)))
        await until(lambda: parent.permissions.gate.refusals(Service.REST))
        assert parent.permissions.weight.limit == 960
        begun_s = asyncio.get_running_loop().time()
        async with parent.permissions.own_request(20):
            assert asyncio.get_running_loop().time() - begun_s > 2
        assert parent.permissions.gate.status(Service.REST) == 0


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (403, "address_refused"),
        (418, "address_refused"),
        (429, "address_refused"),
        (503, "venue_ill"),
        (0, "venue_ill"),
    ],
)
async def test_the_log_tells_a_venue_that_keeps_us_out_from_one_that_is_ill(
    tmp_path: Path, status: int, event: str
) -> None:
    async with connected(tmp_path, BudgetPolicy()) as (parent, child):
        with capture_logs() as logs:
            asked = await child.ask_weight(25, 0, timeout_s=30)
            assert asked is not None
            child.send(WeightDone(asked, 0, Answer(status)))
            await until(lambda: parent.permissions.gate.refusals(Service.REST))
        assert [(line["event"], line["status"]) for line in logs if "pause_s" in line] == [(event, status)]


async def test_the_parents_own_request_teaches_everybody(tmp_path: Path) -> None:
    async with connected(tmp_path, BudgetPolicy()) as (parent, child):
        with pytest.raises(AddressRefused):
            async with parent.permissions.own_request(20):
                raise AddressRefused("x", status=418, retry_after_s=600.0)
        assert await child.ask_weight(25, 0, timeout_s=0.5) is None
        shown = parent.permissions.status(int(asyncio.get_running_loop().time() * 1e9))["rest"]
        assert (shown.refused_with, shown.refusals) == (418, 1)
        assert shown.paused_s > 500


def alone(child: ControlClient) -> Asking:
    return Asking(child, 0, 0, AlonePolicy(), Gate(PAUSES))


async def test_a_refusal_met_alone_is_kept_without_the_parent(tmp_path: Path) -> None:
    async with connected(tmp_path, BudgetPolicy()) as (parent, child):
        asking = alone(child)
        assert await asking.ask("connect", 1)
        parent.mute = True
        asking.answered(AddressRefused("x", status=429, retry_after_s=14.0))
        begun_s = asyncio.get_running_loop().time()
        assert await asking.ask("connect", 1) is None
        assert asyncio.get_running_loop().time() - begun_s > 13, "longer than a parent may be silent"


async def test_what_one_connection_met_alone_holds_the_workers_others_too_and_each_has_its_own_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permission_client, "PARENT_SILENCE_S", 0.5)
    async with connected(tmp_path, BudgetPolicy()) as (parent, child):
        parent.mute = True
        gate, alone = Gate(PAUSES), AlonePolicy(apart_s=0.7)
        first, second = (Asking(child, 0, slot, alone, gate) for slot in (0, 1))
        begun_s = asyncio.get_running_loop().time()
        await asyncio.gather(first.ask("connect", 1), second.ask("connect", 1))
        assert asyncio.get_running_loop().time() - begun_s > 1.2, "so much later than the slot before"
        first.answered(AddressRefused("x", status=429, retry_after_s=4.0))
        begun_s = asyncio.get_running_loop().time()
        assert await second.ask("connect", 1) is None
        assert asyncio.get_running_loop().time() - begun_s > 3


async def test_a_permission_given_back_unused_lets_the_next_one_try(tmp_path: Path) -> None:
    async with connected(tmp_path, BudgetPolicy()) as (parent, child):
        first = await child.ask_grant(0, "connect", starved_since_ns=1, silence_s=30)
        assert first is not None
        child.send(HandshakeDone(Answer(429, retry_after_s=0.2), first.given_ns))
        await until(lambda: parent.permissions.gate.status(Service.CONNECT))
        probe = await child.ask_grant(0, "connect", starved_since_ns=1, silence_s=30)
        assert probe is not None
        probe.done()
        # The lease of a probe is 30 s: as long as the parent may be silent here.
        assert await child.ask_grant(0, "connect", starved_since_ns=1, silence_s=20)


async def test_a_permission_that_comes_too_late_is_given_back(tmp_path: Path) -> None:
    async with connected(tmp_path, BudgetPolicy()) as (parent, child):
        await until(lambda: parent.heard)  # its hello
        for late in (GrantGiven(901, 1), WeightGiven(902)):
            await parent.server.send(child.name, late)
        await until(lambda: parent.heard[1:] == [GrantDone(901), WeightDone(902, 0, None)])


async def test_a_child_whose_parent_is_silent_connects_as_often_as_its_share_and_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permission_client, "PARENT_SILENCE_S", 0.5)
    async with connected(tmp_path, BudgetPolicy()) as (parent, child):
        parent.mute = True
        asking = Asking(child, 0, 0, AlonePolicy(every_s=3.0), Gate(PAUSES))
        begun_s = asyncio.get_running_loop().time()
        assert [await asking.ask("connect", 1) for _ in range(2)] == [None, None]
        assert asyncio.get_running_loop().time() - begun_s > 3, "the second time it waits for its turn"
        await until(lambda: parent.permissions.budget.alone == 2)


S = 1_000_000_000


class Several:
    """The permissions of three venues: two of one pool, and one by itself. Each has a child of its name."""

    def __init__(self) -> None:
        self.given: list[tuple[str, AnyControlMessage]] = []
        weights = {
            "usdm": WeightPolicy(limit=2_400, share=0.5),
            "coinm": WeightPolicy(limit=2_000),
            "spot": WeightPolicy(),
        }
        pools = {"usdm": "futures", "coinm": "futures", "spot": "spot"}
        self.of = permissions_of(
            [Allowance(venue=venue, weight=weights[venue], rest_pool=pools[venue], pauses=PAUSES) for venue in pools],
            lambda name, message: self.given.append((name, message)),
        )

    def take(self, venue: str, message: AnyControlMessage, now_ns: int) -> list[str]:
        """Who is given something by this message of the venue's child."""
        self.given.clear()
        self.of[venue].take(venue, message, now_ns)
        return [name for name, _ in self.given]


def test_venues_of_one_pool_share_its_weight_and_its_refusals_and_others_have_their_own() -> None:
    several = Several()
    assert {venue: each.weight.limit for venue, each in several.of.items()} == {
        "usdm": 1_000,
        "coinm": 1_000,
        "spot": 6_000,
    }
    assert several.take("usdm", WeightAsked(1, 900, 0), S) == ["usdm"]
    assert several.take("coinm", WeightAsked(1, 200, 0), S) == [], "the other one has used it"
    assert several.take("spot", WeightAsked(1, 5_000, 0), S) == ["spot"]
    several.take("usdm", WeightDone(1, 0, Answer(429, retry_after_s=7.0)), 2 * S)
    paused = {venue: each.gate.paused_ns(Service.REST, 2 * S) // S for venue, each in several.of.items()}
    assert paused == {"usdm": 7, "coinm": 7, "spot": 0}
    several.take("usdm", HandshakeDone(Answer(429, retry_after_s=5.0), 2 * S), 2 * S)
    paused = {venue: each.gate.paused_ns(Service.CONNECT, 2 * S) // S for venue, each in several.of.items()}
    assert paused == {"usdm": 5, "coinm": 0, "spot": 0}, "each has an address of its own to connect to"


def test_of_venues_that_share_weight_one_that_is_ill_or_cannot_be_reached_keeps_no_other_waiting() -> None:
    for status in (0, 503):
        several = Several()
        assert several.take("usdm", WeightAsked(1, 10, 0), S) == ["usdm"]
        several.take("usdm", WeightDone(1, 0, Answer(status)), S)
        assert several.take("usdm", WeightAsked(2, 10, 0), S) == []
        assert several.take("coinm", WeightAsked(1, 10, 3), S) == ["coinm"], "although a more urgent one waits"
        assert several.take("coinm", WeightDone(1, 0, Answer(200)), S) == []
        assert (several.of["usdm"].gate.status(Service.REST), several.of["coinm"].gate.status(Service.REST)) == (
            status,
            0,
        )
        assert several.of["usdm"].gate.paused_ns(Service.REST, S) == S
        assert several.of["coinm"].rest_weight(10, S).wait_s == 0


def test_one_rotates_at_a_time_of_all_venues_and_each_venue_has_a_window_of_its_own() -> None:
    several = Several()
    assert several.take("usdm", GrantAsked(1, 0, ROTATE, 0), S) == ["usdm"]
    assert several.take("spot", GrantAsked(1, 1, ROTATE, 0), S) == []
    assert [each.budget.granted_in_window(S) for each in several.of.values()] == [1, 0, 0]
    several.take("usdm", GrantDone(1), 2 * S)
    several.given.clear()
    several.of["spot"].look(2 * S)
    assert several.given[0] == ("spot", GrantGiven(1, 2 * S))


async def test_the_parents_own_requests_of_one_pool_are_each_answered_where_they_were_asked() -> None:
    several = Several()

    async def asked(venue: str) -> str:
        async with several.of[venue].own_request(10):
            return venue

    both = asyncio.gather(asked("usdm"), asked("coinm"))
    await asyncio.sleep(0)
    several.of["coinm"].look(int(asyncio.get_running_loop().time() * 1e9))
    async with asyncio.timeout(WAIT_S):
        assert [*await both] == ["usdm", "coinm"]
