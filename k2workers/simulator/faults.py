"""Owns the faults of the exchange: which kinds there are, how one is written, which are active. Pure; times are seconds.

A fault is written ``kind[:key=value[,key=value…]]`` or as a JSON object with the key ``kind``. Keys of every kind:
``after_s`` begins later, ``for_s`` ends it (else it stays), ``every_s`` repeats one that acts at once.

On connections, at once (``connections``: all, or how many of the oldest)::

    reset                    TCP reset, no close frame
    silence                  half open: nothing is sent or answered any more (with for_s: then it goes on, the rest is lost)
    close      code=1001     a close frame with this code; 1006 drops without one
    age                      as if the connection had reached its greatest age
    forget     stream=       subscriptions are dropped without a word
    shutdown   lead_s=5      serverShutdown, then the cut; a negative lead_s cuts without notice

On messages (``stream``: a name or its end, such as @trade; ``probability``; ``count``: how many at most)::

    drop       everywhere=false   not sent; everywhere: to nobody, otherwise each connection has its own luck
    stall                    the matching streams send nothing to anybody
    duplicate                sent twice
    reorder                  sent after the connection's next message
    truncate                 the JSON is cut in the middle
    garbage                  a frame of nonsense goes before it
    fragment                 sent as three frames with a ping between them
    oversize                 a frame above 16 MiB goes before it

On handshakes (``count``)::

    refuse     status=503    answered with this HTTP status
    slow_handshake delay_s=3 answered late
    mute                     SUBSCRIBE is acknowledged, data never come

On REST (``path`` such as depth; ``count``)::

    rest_slow  delay_s=3     answered late
    rest_429, rest_418       retry_after_s=2: refused, as for too much weight, or banned
    rest_5xx   status=502    a server error
    rest_403                 refused by the firewall
    rest_delay delay_s=1     younger ids are not in historicalTrades, aggTrades and klines yet
    snapshot_old windows=5   depth answers as it was so many 100 ms windows ago
    snapshot_edge            depth answers as it was at the end of the last window

In the market (``symbol``: the busiest if empty)::

    skip_ids   ids=3         trade ids that never exist
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping
from typing import Any

import msgspec

from k2workers.errors import ConfigError

ACTING, MESSAGE, HANDSHAKE, REST, MARKET = "acting", "message", "handshake", "rest", "market"

_ALWAYS: dict[str, Any] = {"after_s": 0.0, "for_s": 0.0}
_ON_CONNECTIONS = {**_ALWAYS, "every_s": 0.0, "connections": 0}
_ON_MESSAGES = {**_ALWAYS, "stream": "", "probability": 1.0, "count": 0}
_ON_HANDSHAKES = {**_ALWAYS, "count": 0}
_ON_REST = {**_ALWAYS, "count": 0, "path": ""}


class Kind(msgspec.Struct, frozen=True):
    """One kind of fault: what it acts on, and its keys with their defaults, whose types are the keys' types."""

    scope: str
    keys: dict[str, Any]


KINDS: dict[str, Kind] = {
    "reset": Kind(ACTING, _ON_CONNECTIONS),
    "silence": Kind(ACTING, _ON_CONNECTIONS),
    "close": Kind(ACTING, {**_ON_CONNECTIONS, "code": 1001}),
    "age": Kind(ACTING, _ON_CONNECTIONS),
    "forget": Kind(ACTING, {**_ON_CONNECTIONS, "stream": ""}),
    "shutdown": Kind(ACTING, {**_ON_CONNECTIONS, "lead_s": 5.0}),
    "drop": Kind(MESSAGE, {**_ON_MESSAGES, "everywhere": False}),
    "stall": Kind(MESSAGE, _ON_MESSAGES),
    **{
        name: Kind(MESSAGE, _ON_MESSAGES)
        for name in ("duplicate", "reorder", "truncate", "garbage", "fragment", "oversize")
    },
    "refuse": Kind(HANDSHAKE, {**_ON_HANDSHAKES, "status": 503}),
    "slow_handshake": Kind(HANDSHAKE, {**_ON_HANDSHAKES, "delay_s": 3.0}),
    "mute": Kind(HANDSHAKE, _ON_HANDSHAKES),
    "rest_slow": Kind(REST, {**_ON_REST, "delay_s": 3.0}),
    "rest_429": Kind(REST, {**_ON_REST, "retry_after_s": 2}),
    "rest_418": Kind(REST, {**_ON_REST, "retry_after_s": 2}),
    "rest_5xx": Kind(REST, {**_ON_REST, "status": 502}),
    "rest_403": Kind(REST, _ON_REST),
    "rest_delay": Kind(REST, {**_ON_REST, "delay_s": 1.0}),
    "snapshot_old": Kind(REST, {**_ON_REST, "windows": 5}),
    "snapshot_edge": Kind(REST, _ON_REST),
    "skip_ids": Kind(MARKET, {"after_s": 0.0, "every_s": 0.0, "for_s": 0.0, "symbol": "", "ids": 3}),
}
"""The whole table, by name."""


class Fault:
    """One fault that was asked for. ``value`` reads its keys; ``acted`` counts what it affected."""

    __slots__ = ("acted", "id", "kind", "scope", "starts_s", "stops_s", "values")

    def __init__(self, kind: str, values: dict[str, Any]) -> None:
        self.kind = kind
        self.scope = KINDS[kind].scope
        self.values = {**KINDS[kind].keys, **values}
        self.id = 0
        self.acted = 0
        self.starts_s = self.stops_s = 0.0

    def begin(self, number: int, now_s: float) -> None:
        """Put it on the clock."""
        self.id = number
        self.starts_s = now_s + self.values["after_s"]
        self.stops_s = self.starts_s + self.values["for_s"] if self.values["for_s"] else float("inf")

    def active(self, now_s: float) -> bool:
        """Whether it acts now."""
        count = self.values.get("count", 0)
        return self.starts_s <= now_s < self.stops_s and not (count and self.acted >= count)

    def hits_stream(self, name: str) -> bool:
        """Whether a fault on messages concerns this stream."""
        return name.endswith(self.values["stream"])

    def as_data(self) -> dict[str, Any]:
        """What a reader of /_exchange/faults sees."""
        return {"id": self.id, "kind": self.kind, "acted": self.acted, **self.values}


def parse(text: str) -> Fault:
    """A fault from ``kind:key=value,…``. Raises ConfigError."""
    kind, _, rest = text.partition(":")
    pairs = dict(pair.partition("=")[::2] for pair in rest.split(",") if pair)
    return make(kind, pairs)


def make(kind: str, pairs: Mapping[str, Any]) -> Fault:
    """A fault from its keys, as text or as JSON values. Raises ConfigError that names what is wrong and what is allowed."""
    known = KINDS.get(kind)
    if known is None:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"allowed are {', '.join(KINDS)}"
        raise ConfigError(f"fault = {kind!r}: no such kind of fault; {hint}")
    values = {}
    for key, value in pairs.items():
        if key not in known.keys:
            raise ConfigError(f"fault {kind}: {key!r} is not a key of it; allowed are {', '.join(known.keys)}")
        values[key] = _value(kind, key, value, known.keys[key])
    return Fault(kind, values)


def _value(kind: str, key: str, value: Any, default: Any) -> Any:
    if key == "connections" and value == "all":
        return 0
    try:
        found = msgspec.convert(value, type(default), strict=False)
    except msgspec.ValidationError:
        raise ConfigError(f"fault {kind}: {key} = {value!r}: allowed is a {type(default).__name__}") from None
    if key == "probability" and not 0 <= found <= 1:
        raise ConfigError(f"fault {kind}: probability = {value!r}: allowed is 0 to 1")
    if isinstance(found, int | float) and found < 0 and key != "lead_s":
        raise ConfigError(f"fault {kind}: {key} = {value!r}: allowed is 0 or more")
    return found


class FaultSet:
    """The faults of one exchange. Lists by scope are kept so that an exchange without faults pays one check."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.messages: list[Fault] = []
        self.handshakes: list[Fault] = []
        self.rest: list[Fault] = []
        self._all: list[Fault] = []
        self._made = 0

    def add(self, fault: Fault, now_s: float) -> Fault:
        """Put a fault in; what acts at once is the caller's to do."""
        self._made += 1
        fault.begin(self._made, now_s)
        self._all.append(fault)
        scoped = {MESSAGE: self.messages, HANDSHAKE: self.handshakes, REST: self.rest}.get(fault.scope)
        if scoped is not None:
            scoped.append(fault)
        return fault

    def clear(self) -> None:
        """End all faults."""
        for faults in (self.messages, self.handshakes, self.rest, self._all):
            faults.clear()

    def __contains__(self, fault: Fault) -> bool:
        return fault in self._all

    def as_data(self) -> list[dict[str, Any]]:
        """All that were asked for and not cleared."""
        return [fault.as_data() for fault in self._all]

    def handshake(self, kind: str, now_s: float) -> Fault | None:
        """The active fault of this kind, counted as acting; the caller applies it."""
        return self._take(self.handshakes, kind, now_s, lambda _: True)

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
