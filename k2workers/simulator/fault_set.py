"""Owns the faults in effect: what each caller asks of them, and how often each has acted. Pure; times are seconds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from k2workers.simulator.faults import HALT, HANDSHAKE, MESSAGE, REST, STATE, SUBSCRIPTION, Fault

MOST_FAULTS = 1_000


class FaultSet:
    """The faults of one exchange. Lists by scope are kept so that an exchange without faults pays one check."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.messages: list[Fault] = []
        self.subscriptions: list[Fault] = []
        self.handshakes: list[Fault] = []
        self.rest: list[Fault] = []
        self.states: list[Fault] = []
        self.halts: list[Fault] = []
        self._scoped = {
            MESSAGE: self.messages,
            SUBSCRIPTION: self.subscriptions,
            HANDSHAKE: self.handshakes,
            REST: self.rest,
            STATE: self.states,
            HALT: self.halts,
        }
        self._all: list[Fault] = []
        self._made = 0

    def add(self, fault: Fault, now_s: float) -> Fault:
        """Put a fault in; what acts at once is the caller's to do. Faults that have ended leave when there are too many."""
        self._made += 1
        for faults in (self._all, *self._scoped.values()):
            if len(faults) >= MOST_FAULTS:
                faults[:] = [each for each in faults if not each.ended(now_s)]
        fault.begin(self._made, now_s)
        self._all.append(fault)
        if fault.scope in self._scoped:
            self._scoped[fault.scope].append(fault)
        return fault

    def clear(self) -> None:
        """End all faults."""
        for faults in (self._all, *self._scoped.values()):
            faults.clear()

    def __contains__(self, fault: Fault) -> bool:
        return fault in self._all

    def as_data(self) -> list[dict[str, Any]]:
        """All that were asked for and not cleared."""
        return [fault.as_data() for fault in self._all]

    def handshake(self, kind: str, now_s: float) -> Fault | None:
        """The active fault of this kind, counted as acting; the caller applies it."""
        return self._take(self.handshakes, kind, now_s, lambda _: True)

    def refuses(self, names: Sequence[str], now_s: float) -> bool:
        """Whether a SUBSCRIBE of these streams is refused."""
        return any(
            self._take(self.subscriptions, "refuse_stream", now_s, lambda f, n=n: f.hits_stream(n)) for n in names
        )

    def halted_s(self, now_s: float) -> float | None:
        """For how long the whole market has stood still; None if it does not."""
        return max((now_s - fault.starts_s for fault in self.halts if fault.active(now_s)), default=None)

    def weight_limit(self, now_s: float) -> int | None:
        """The REST weight of a minute, if a fault has lowered it."""
        fault = self._take(self.rest, "rest_weight", now_s, lambda _: True)
        return fault.values["limit"] if fault is not None else None

    def request(self, kind: str, path: str, now_s: float) -> Fault | None:
        """The active fault of this kind on this REST path, counted as acting."""
        return self._take(self.rest, kind, now_s, lambda fault: fault.values["path"] in ("", path))

    def _take(self, faults: list[Fault], kind: str, now_s: float, concerns: Any) -> Fault | None:
        for fault in faults:
            if fault.kind == kind and fault.active(now_s) and concerns(fault):
                fault.acted += 1
                return fault
        return None

    def withheld(self, stream: str, now_s: float) -> bool:
        """Whether nobody gets this message."""
        for fault in self.messages:
            alike = fault.kind == "stall" or (fault.kind == "drop" and fault.values["everywhere"])
            if alike and self._strikes(fault, stream, now_s):
                return True
        return False

    def strikes(self, stream: str, now_s: float) -> list[Fault]:
        """The faults that change this message on one connection."""
        return [
            fault
            for fault in self.messages
            if fault.kind != "stall" and not fault.values.get("everywhere") and self._strikes(fault, stream, now_s)
        ]

    def _strikes(self, fault: Fault, stream: str, now_s: float) -> bool:
        if not fault.active(now_s) or not fault.hits_stream(stream):
            return False
        probability = fault.values["probability"]
        if probability < 1 and self.random.random() >= probability:
            return False
        fault.acted += 1
        return True
