"""Owns the care of child processes: ordered start, beats, restarts with backoff and a limit, ordered stop (in ``stop_order``).

Knows processes, not market data: beats and records pass through to hooks unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from k2workers.errors import BootError, K2Error
from k2workers.every import Every, beside
from k2workers.supervision.child import DRAIN_LIMIT_S, MISTAKE_TOLD, Child, ChildSpec, ChildState
from k2workers.supervision.control_channel import ControlServer
from k2workers.supervision.control_messages import (
    AnyControlMessage,
    Beat,
    BooksKept,
    ChildHello,
    Drain,
    Ready,
    Record,
)
from k2workers.supervision.permissions import Allowance, permissions_of
from k2workers.supervision.signs_of_life import Deafness, SignsOfLife, SilenceLimits
from k2workers.supervision.stop_order import turns
from k2workers.supervision.ward import Ward

WATCH_S = 0.1
"""How often beats are checked and budgets looked at."""

_log = structlog.get_logger(__name__)


class SupervisorPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long the care is patient: with the ``silence`` of a child, and with a whole drain (a child without a parent keeps that limit too).

    After ``most_failures_in_a_row`` the care is given up: half a minute at least, because that is the end of the whole feed, and a host
    that is short of something may recover.
    """

    silence: SilenceLimits = SilenceLimits()
    drain_limit_s: float = DRAIN_LIMIT_S
    most_failures_in_a_row: int = 600
    allowances: Sequence[Allowance] = ()
    """Of each venue that children may ask to connect to."""


class Supervisor:
    """All children of one parent. Call ``start``, then ``launch`` each child in order, at the end ``stop``.

    Hooks: ``on_record(record)``; ``on_dead(name, pid)`` after each death; ``on_fatal(error)`` when a child cannot be kept
    alive, or the care itself fails again and again. They run in the loop and must not block.
    """

    def __init__(
        self,
        endpoint: str,
        policy: SupervisorPolicy,
        *,
        on_record: Callable[[Record], None],
        on_dead: Callable[[str, int], None],
        on_fatal: Callable[[K2Error], None],
    ) -> None:
        self.policy = policy
        self.permissions = permissions_of(policy.allowances, self.send)
        """By venue."""
        self.stopping = False
        self._on_dead = on_dead
        self._on_fatal = on_fatal
        self._server = ControlServer(endpoint, self._on_message, on_fatal, policy.most_failures_in_a_row)
        self._wards: dict[str, Ward] = {}
        self._deafness = Deafness(WATCH_S)
        self._duties = [
            Every(WATCH_S, self._watch, "children", give_up=on_fatal, most_in_a_row=policy.most_failures_in_a_row),
            Every(
                WATCH_S,
                self._permit,
                "permissions",
                give_up=on_fatal,
                most_in_a_row=policy.most_failures_in_a_row,
            ),
        ]
        self._handlers: dict[type[AnyControlMessage], Callable[[Ward, Any], None]] = {
            Beat: Ward.heard,
            Ready: lambda ward, _ready: ward.said_ready(),
            Record: lambda _ward, record: on_record(record),
            ChildHello: self._heard_hello,
            BooksKept: self._pass_on,
        }
        self._sending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Open the control channel and begin to watch."""
        self._server.start()
        self._deafness.since(time.monotonic_ns())
        for duty in self._duties:
            duty.start()

    def restore_control(self) -> None:
        """Have the next child find the control channel, whoever removed its file. Call it every second or so."""
        self._server.restore()

    def launch(self, spec: ChildSpec) -> None:
        """Start a child; returns at once. ``wait_ready`` waits for it."""
        ward = self._wards[spec.name] = Ward(spec)
        self._start(ward)

    def respec(self, spec: ChildSpec) -> None:
        """Start the child's next life, if there is one, with this spec; the present life goes on."""
        self._wards[spec.name].spec = spec

    async def wait_ready(self, name: str) -> None:
        """Wait until the child serves. Raises BootError if it ends, or is hung, before that."""
        ward = self._wards[name]
        while not ward.ready.is_set():
            child = ward.child
            if child is None or not child.alive:
                code = child.exit_code if child is not None else None
                if ward.life.hung:
                    raise BootError(
                        f"{name} hung before it served: no sign of life in {self.policy.silence.boot_limit_s:g} s"
                    )
                if code == MISTAKE_TOLD:
                    raise BootError  # a second message would only hide what the child has said
                raise BootError(f"{name} ended with exit code {code} before it served; its log says why")
            await asyncio.sleep(0.02)

    def send(self, name: str, message: AnyControlMessage) -> None:
        """Send a control message to one child."""
        task = beside(self._server.send(name, message), "send", lambda: None)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def pids(self) -> dict[str, int]:
        """Name → pid of the children that run."""
        return {name: child.pid for name, ward in self._wards.items() if (child := ward.running) is not None}

    def beat(self, name: str) -> Beat | None:
        """The last beat of a child, from whichever of its lives; None before the first."""
        ward = self._wards.get(name)
        return ward.beat if ward is not None else None

    def counted(self, name: str) -> Mapping[str, int]:
        """The counters of a child over all its lives."""
        return self._wards[name].counted()

    def states(self) -> dict[str, ChildState]:
        """What to show of every child, by name."""
        now_ns = time.monotonic_ns()
        return {name: ward.state(now_ns) for name, ward in self._wards.items()}

    async def stop(self) -> bool:
        """Drain and end all children, turn after turn; True if every one ended by itself with exit code 0."""
        self.stopping = True
        clean = True
        for names in turns({name: ward.spec.stop_order for name, ward in self._wards.items()}):
            group = [ward for name in names if (ward := self._wards[name]).child is not None]
            clean = await self._stop_group(group) and clean
        for duty in self._duties:
            duty.stop()
        await self._server.close()
        return clean

    def kill_all(self) -> None:
        """End every child now: a second stop signal, or the last resort."""
        self.stopping = True
        for ward in self._wards.values():
            if ward.child is not None:
                ward.child.signal(signal.SIGKILL)

    # ── care ────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, ward: Ward) -> None:
        ward.ready.clear()
        ward.life = SignsOfLife(time.monotonic_ns())
        ward.child = Child(ward.spec, self._server.endpoint)
        ward.restart_at_ns = None  # only now: a start that failed is tried again
        _log.debug("child_started", child=ward.spec.name, pid=ward.child.pid)

    async def _stop_group(self, group: list[Ward]) -> bool:
        drained = [ward.child for ward in group if ward.child is not None and ward.served]
        for ward in group:
            if ward.served:
                self.send(ward.spec.name, Drain())
            elif ward.child is not None:
                ward.child.signal(signal.SIGKILL)  # it has nothing to hand on, and may not be listening yet
        clean = await self._wait_drained(group)
        for ward in group:
            if ward.child is not None:
                self._on_dead(ward.spec.name, ward.child.pid)
        # Only of those that were asked to drain: one that was killed may have reported ready at its last moment.
        return clean and all(child.exit_code == 0 for child in drained)

    async def _wait_drained(self, group: list[Ward]) -> bool:
        """Wait for the end of each of these; False if one was hung or took far too long, and was killed."""
        begun_ns, deaf_before_ns = time.monotonic_ns(), self._deafness.total_ns
        for ward in group:
            ward.life.heard_ns = begun_ns  # it was told just now
        while left := [(ward, child) for ward in group if (child := ward.running) is not None]:
            now_ns = self._listen()
            drained_ns = now_ns - begun_ns - (self._deafness.total_ns - deaf_before_ns)
            too_long = drained_ns > self.policy.drain_limit_s * 1e9
            for ward, child in left:
                hung = ward.life.hangs(child.pid, now_ns, self.policy.silence.stop_limit_s, busy=True)
                if (hung or too_long) and not ward.life.hung:
                    reason = "hung while it drained" if hung else "did not drain in time"
                    _log.warning("child_killed", child=ward.spec.name, reason=reason)
                    child.signal(signal.SIGKILL)
                    ward.life.hung = True
            await asyncio.sleep(0.02)
        return not any(ward.life.hung for ward in group)

    def _listen(self) -> int:
        """The time now; for as long as we stood still ourselves, no child's silence counts."""
        now_ns = time.monotonic_ns()
        deaf_ns = self._deafness.since(now_ns)
        for ward in self._wards.values():
            ward.life.excuse(deaf_ns, now_ns)
        return now_ns

    def _watch(self) -> None:
        now_ns = self._listen()
        with contextlib.ExitStack() as every_ward:  # whichever of them fails
            for ward in self._wards.values():
                every_ward.callback(self._look_after, ward, now_ns)

    def _permit(self) -> None:
        with contextlib.ExitStack() as every_venue:  # whichever of them fails
            for permissions in self.permissions.values():
                every_venue.callback(permissions.look, time.monotonic_ns())

    def _look_after(self, ward: Ward, now_ns: int) -> None:
        if self.stopping:
            return
        child = ward.child
        if child is None:
            if ward.restart_at_ns is not None and now_ns >= ward.restart_at_ns:
                self._start(ward)
            return
        if not child.alive:
            self._bury(ward, child, now_ns)
            return
        serves, silence = ward.ready.is_set(), self.policy.silence
        limit_s = silence.beat_limit_s if serves else silence.boot_limit_s
        if ward.life.hangs(child.pid, now_ns, limit_s, busy=not serves) and not ward.life.hung:
            _log.error("child_hung", child=ward.spec.name, pid=child.pid, silent_s=ward.life.silent_ns(now_ns) / 1e9)
            child.signal(signal.SIGKILL)
            ward.life.hung = True

    def _bury(self, ward: Ward, child: Child, now_ns: int) -> None:
        if ward.spec.vital and not ward.served:
            return  # wait_ready reports a child that never served
        name = ward.spec.name
        if (permissions := self.permissions.get(ward.spec.connects_to)) is not None:
            permissions.release_child(name)
        delay_ns = ward.tracker.died(now_ns, now_ns - child.started_ns, random.random(), served=ward.ready.is_set())
        ward.child = None
        if delay_ns is None:
            self.stopping = True
            last = "no sign of life for too long" if ward.life.hung else f"exit code {child.exit_code}"
            self._on_fatal(BootError(f"{name} {ward.tracker.why} (at last: {last}); its log says why; giving up"))
        else:
            _log.warning(
                "child_died", child=name, pid=child.pid, exit_code=child.exit_code, restart_in_s=delay_ns / 1e9
            )
            ward.restart_at_ns = now_ns + delay_ns
            ward.ready.clear()
            if child.exit_code == -signal.SIGABRT and ward.spec.after_abort is not None:
                ward.spec = msgspec.structs.replace(ward.spec, settings=ward.spec.after_abort)
        self._on_dead(name, child.pid)  # last: whatever becomes of it, the child is restarted

    # ── messages ────────────────────────────────────────────────────────────────────────────────────────

    def _on_message(self, name: str, message: AnyControlMessage) -> None:
        ward = self._wards.get(name)
        if ward is None:
            return
        ward.life.heard_ns = time.monotonic_ns()
        handle = self._handlers.get(type(message))
        if handle is not None:
            handle(ward, message)
        elif (permissions := self.permissions.get(ward.spec.connects_to)) is not None:
            permissions.take(name, message, ward.life.heard_ns)

    def _pass_on(self, ward: Ward, message: BooksKept) -> None:
        for name in self._wards:
            if name != ward.spec.name:
                self.send(name, message)

    def _heard_hello(self, ward: Ward, message: ChildHello) -> None:
        _log.debug("child_connected", child=ward.spec.name, pid=message.pid)
