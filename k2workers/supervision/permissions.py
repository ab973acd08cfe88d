"""Owns which request of which child the parent grants, to connect or to ask over REST: the gate, both budgets, and the messages about them.

The rules are in ``gate``, ``connect_budget`` and ``weight_budget``, which are pure; here the children's messages and the parent's own requests
are put to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import structlog

from k2workers.errors import VenueError
from k2workers.network.venue_answers import SUCCESS, Answer, Pauses, Service
from k2workers.supervision.connect_budget import BudgetPolicy, ConnectBudget, ConnectRequest, RotationTurn
from k2workers.supervision.control_messages import (
    AnyControlMessage,
    ConnectedAlone,
    GrantAsked,
    GrantDone,
    GrantGiven,
    HandshakeDone,
    Waiting,
    WeightAsked,
    WeightDone,
    WeightGiven,
)
from k2workers.supervision.gate import Gate, Key
from k2workers.supervision.weight_budget import WeightBudget, WeightPolicy, WeightRequest

REASSURE_NS = 1_000_000_000
"""How often a child is told that its requests still wait."""

OWN = "parent"
"""The name under which the parent's own requests wait."""

_log = structlog.get_logger(__name__)


class ServiceState(msgspec.Struct, frozen=True):
    """How a service of the venue treats us: seconds for which it still refuses us, the HTTP status of the refusal (0: none), refusals so far."""

    paused_s: float
    refused_with: int
    refusals: int


class RestWeight(msgspec.Struct, frozen=True):
    """The venue's REST weight: what is ``used`` of our ``limit`` in a window, what is still ``wanted``, and in how many seconds about it will be there."""

    used: int
    limit: int
    wanted: int
    wait_s: float


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue allows one IP, and which of its refusals pause what. Venues of one ``rest_pool`` count REST weight together."""

    venue: str
    budget: BudgetPolicy = BudgetPolicy()
    weight: WeightPolicy = WeightPolicy()
    rest_pool: str = ""
    pauses: Pauses = {}


class RestPool:
    """The REST weight of venues that count it together, and the parent's own requests that wait for some."""

    def __init__(self, weight: WeightPolicy) -> None:
        self.gate = Gate({})
        self.weight = WeightBudget(weight, self.gate)
        self.numbers = itertools.count(1)
        self.own: dict[int, asyncio.Future[None]] = {}


class Permissions:
    """What one venue allows one IP, shared among all children. ``take`` every message about it, ``look`` steadily.

    ``pool`` and ``turn`` are shared with other venues; without them it has its own.
    """

    def __init__(
        self,
        allowance: Allowance,
        send: Callable[[str, AnyControlMessage], None],
        pool: RestPool | None = None,
        turn: RotationTurn | None = None,
    ) -> None:
        self._venue = allowance.venue
        self._pool = pool or RestPool(allowance.weight)
        self.gate = Gate(allowance.pauses, rest_with=self._pool.gate)
        self.budget = ConnectBudget(allowance.budget, self.gate, turn)
        self.weight = self._pool.weight
        self._send = send
        self._reassured_ns = 0
        self._handlers: dict[type[AnyControlMessage], Callable[[str, Any, int], None]] = {
            GrantAsked: self._grant_asked,
            GrantDone: self._grant_done,
            HandshakeDone: self._handshake_done,
            ConnectedAlone: self._connected_alone,
            WeightAsked: self._weight_asked,
            WeightDone: self._weight_done,
        }

    def take(self, name: str, message: AnyControlMessage, now_ns: int) -> None:
        """A message of the child of this name; those about other things are ignored."""
        handle = self._handlers.get(type(message))
        if handle is not None:
            handle(name, message, now_ns)
            self._give(now_ns)

    def look(self, now_ns: int) -> None:
        """Grant what has become possible, and tell the children that wait that they were heard: silence would mean that the parent is gone."""
        self._give(now_ns)
        if now_ns - self._reassured_ns >= REASSURE_NS:
            self._reassured_ns = now_ns
            paused_s = max(self.gate.paused_ns(Service.CONNECT, now_ns), self.budget.full_ns(now_ns)) / 1e9
            for name in self.budget.waiting_children():
                self._send(name, Waiting(paused_s))

    def release_child(self, name: str) -> None:
        """A child died: its requests and grants end."""
        self.budget.release_child(name)
        self.weight.release_child(name)
        self.gate.release_child(name)

    @contextlib.asynccontextmanager
    async def own_request(self, weight: int) -> AsyncIterator[None]:
        """A REST request of the parent itself: waits for permission, and learns from the VenueError that ends it."""
        number = next(self._pool.numbers)
        given = self._pool.own[number] = asyncio.get_running_loop().create_future()
        self.weight.ask(WeightRequest((OWN, number), weight, 0, time.monotonic_ns()), self.gate)
        answer: Answer | None = None
        try:
            await given
            yield
            answer = SUCCESS
        except VenueError as error:
            answer = Answer.of(error)
            raise
        finally:
            del self._pool.own[number]
            self._request_done((OWN, number), 0, answer, time.monotonic_ns())

    def learn_weight_limit(self, limit: int) -> None:
        """The venue has said how much REST weight a minute it allows."""
        before = self.weight.limit
        self.weight.learn_limit(limit, time.monotonic_ns())
        if self.weight.limit != before:
            _log.warning(
                "weight_limit_learned", exchange=self._venue, venue_limit=limit, ours=self.weight.limit, before=before
            )

    def status(self, now_ns: int) -> dict[str, ServiceState]:
        """What to show of each service, by name."""
        return {
            service.value: ServiceState(
                round(self.gate.paused_ns(service, now_ns) / 1e9, 1),
                self.gate.status(service),
                self.gate.refusals(service),
            )
            for service in Service
        }

    def rest_weight(self, wanted: int, now_ns: int) -> RestWeight:
        """What to show of the REST weight, when the children together still want so much; what the parent waits for is added."""
        wanted += self.weight.waiting_weight(OWN)
        wait_s = round(self.weight.wait_s(wanted, now_ns, self.gate), 1)
        return RestWeight(self.weight.used(now_ns), self.weight.limit, wanted, wait_s)

    # ── messages ────────────────────────────────────────────────────────────────────────────────────────

    def _grant_asked(self, name: str, message: GrantAsked, now_ns: int) -> None:
        self.budget.ask(
            ConnectRequest((name, message.id), message.shard, message.purpose, message.starved_since_ns, now_ns)
        )

    def _grant_done(self, name: str, message: GrantDone, _now_ns: int) -> None:
        self.budget.release((name, message.id))

    def _handshake_done(self, name: str, message: HandshakeDone, now_ns: int) -> None:
        self._answered(Service.CONNECT, name, message.answer, message.permitted_ns, now_ns)

    def _connected_alone(self, _name: str, message: ConnectedAlone, _now_ns: int) -> None:
        self.budget.went_alone(message.at_ns)

    def _weight_asked(self, name: str, message: WeightAsked, now_ns: int) -> None:
        self.weight.ask(WeightRequest((name, message.id), message.weight, message.urgency, now_ns), self.gate)

    def _weight_done(self, name: str, message: WeightDone, now_ns: int) -> None:
        self._request_done((name, message.id), message.used, message.answer, now_ns)

    # ── answers ─────────────────────────────────────────────────────────────────────────────────────────

    def _request_done(self, key: Key, used: int, answer: Answer | None, now_ns: int) -> None:
        permitted_ns = self.weight.done(key, now_ns, used=used)
        if answer is None:
            self.gate.unused(Service.REST, key)
            return
        if answer.weight_limit:
            self.learn_weight_limit(answer.weight_limit)
        # One whose lease is over counts as permitted now: what it tells must not be lost.
        self._answered(Service.REST, key[0], answer, now_ns if permitted_ns is None else permitted_ns, now_ns)

    def _answered(self, service: Service, name: str, answer: Answer, permitted_ns: int, now_ns: int) -> None:
        refusal = self.gate.answered(service, answer, permitted_ns, now_ns)
        if refusal is not None:
            _log.warning(
                "address_refused" if 400 <= refusal.status < 500 else "venue_ill",
                child=name,
                exchange=self._venue,
                service=service.value,
                status=refusal.status,
                pausing=sorted(paused.value for paused in refusal.services),
                pause_s=round(refusal.pause_ns / 1e9, 1),
                in_a_row=refusal.in_a_row,
            )

    def _give(self, now_ns: int) -> None:
        for connect_request in self.budget.due(now_ns):
            self._send(connect_request.key[0], GrantGiven(connect_request.key[1], now_ns))
        for weight_request in self.weight.due(now_ns):
            name, number = weight_request.key
            if name != OWN:
                self._send(name, WeightGiven(number))
            elif (given := self._pool.own.get(number)) is not None and not given.done():
                given.set_result(None)


def permissions_of(
    allowances: Sequence[Allowance], send: Callable[[str, AnyControlMessage], None]
) -> dict[str, Permissions]:
    """The permissions of each venue of a run, by its name. Of venues that count weight together, the tightest limit and share hold."""
    turn, pools = RotationTurn(), dict[str, RestPool]()
    for pool in {allowance.rest_pool for allowance in allowances}:
        policies = [allowance.weight for allowance in allowances if allowance.rest_pool == pool]
        limit, share = min(policy.limit for policy in policies), min(policy.share for policy in policies)
        pools[pool] = RestPool(msgspec.structs.replace(policies[0], limit=limit, share=share))
    return {allowance.venue: Permissions(allowance, send, pools[allowance.rest_pool], turn) for allowance in allowances}
