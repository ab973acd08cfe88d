"""Owns the kinds of faults of the exchange and how one is written. Pure; times are seconds. ``fault_set.py`` has those in effect, ``damage.py`` does to messages what they say.

A fault is written ``kind[:key=value[,key=value…]]`` or as a JSON object with the key ``kind``. Keys of every kind:
``after_s`` begins later, ``for_s`` ends it (else it stays), ``every_s`` repeats one that acts at once. Where a key is a name that is the
venue's, its package says what stands there by itself (``fault_defaults``).

On connections, at once (``connections``: all, or how many of the oldest; ``stream``: of those that have one with this end)::

    reset                    TCP reset, no close frame
    silence                  half open: nothing is sent or answered any more (with for_s: then it goes on, the rest is lost)
    close      code=1001     a close frame with this code; 1006 drops without one
    age                      as if the connection had reached its greatest age
    forget                   their subscriptions that end so are dropped without a word
    shutdown   lead_s=5      the venue's notice, then the cut; a negative lead_s cuts without notice

On messages (``stream``: a name or its end, such as @trade; ``probability``; ``count``: how many at most)::

    drop       everywhere=false   not sent; everywhere: to nobody, otherwise each connection has its own luck
    stall                    the matching streams send nothing to anybody
    duplicate                sent twice
    reorder                  sent after the connection's next message
    truncate                 the JSON is cut in the middle
    garbage                  a frame of nonsense goes before it
    fragment                 sent as three frames with a ping between them
    oversize                 a frame above 16 MiB goes before it
    odd_element element=null this JSON goes into the message's first array (by itself: of the streams that are arrays)
    malformed                prices and quantities are numbers instead of strings
    glitch     what=id       before it goes a copy with ids of 10^12 more, or (what=time) with times a year later

On subscriptions (``stream``, ``count``)::

    refuse_stream            SUBSCRIBE of a list with a matching name is answered with an error that does not tell the name

On handshakes (``count``)::

    refuse     status=503    answered with this HTTP status; Retry-After as below, none by itself
    slow_handshake delay_s=3 answered late
    mute       stream=       SUBSCRIBE is acknowledged, data of the matching streams never come
    ignore_unit              whatever unit of time is asked for, it is the venue's usual one

On REST (``path`` such as depth; ``count``)::

    rest_slow  delay_s=3     answered late
    rest_429, rest_418       refused, as for too much weight, or banned; Retry-After: 2 by itself
    rest_5xx   status=502    a server error
    rest_403                 refused by the firewall, with its page, which is not JSON
    rest_weight limit=1200   this is the weight of a minute, and the venue's own limits say so (on every path)
    rest_trickle over_s=12   the reply comes byte by byte over this time
    rest_empty               the list in the reply is empty
    odd_row    element=null  this JSON is put among the rows of the reply (by itself: to the list of symbols)
    rest_lacks ids=5         so many of the first rows are not in the reply (by itself: to trades by id)
    rest_delay delay_s=1     younger ids are not yet in replies that come from the venue's database
    snapshot_old windows=5   a book is as it was so many windows of its stream ago (100 at most)
    snapshot_edge            a book is as it was at the end of the last window

A refusal says when to come back: ``retry_after_s`` (a decimal; below 0: nothing is said), ``retry_after_as`` seconds, date
or words (no header, only "banned until" in the body).

In the market (``symbol``: the busiest if empty; the first three all at once with *; all only while a market is generated)::

    skip_ids   ids=3         trade ids that never exist
    new_ids    first=1       all ids begin anew here, and the old ones are forgotten
    walk       levels=50     so many of the nearest bids go at once
    status     status=       the symbol has this status: listed, acknowledged when subscribed, and silent (by itself: at rest)
    delist                   the symbol is unknown to REST, acknowledged when subscribed, and silent
    halt                     (all symbols) nothing happens, and soon nothing is sent but pings
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from k2workers.errors import ConfigError

ACTING, MESSAGE, HANDSHAKE, REST, MARKET = "acting", "message", "handshake", "rest", "market"
SUBSCRIPTION, STATE, HALT = "subscription", "state", "halt"

_ALWAYS: dict[str, Any] = {"after_s": 0.0, "for_s": 0.0}
_ON_CONNECTIONS = {**_ALWAYS, "every_s": 0.0, "connections": 0, "stream": ""}
_ON_MESSAGES = {**_ALWAYS, "stream": "", "probability": 1.0, "count": 0}
_ON_HANDSHAKES = {**_ALWAYS, "count": 0}
_ON_REST = {**_ALWAYS, "count": 0, "path": ""}
_SAYS_WHEN = {"retry_after_s": 2.0, "retry_after_as": "seconds"}
_SAYS_NOTHING = {**_SAYS_WHEN, "retry_after_s": -1.0}
_ALLOWED = {"retry_after_as": ("seconds", "date", "words"), "what": ("id", "time")}
_BELOW_0 = ("lead_s", "retry_after_s")


class Kind(msgspec.Struct, frozen=True):
    """One kind of fault: what it acts on, and its keys with their defaults, whose types are the keys' types."""

    scope: str
    keys: dict[str, Any]


KINDS: dict[str, Kind] = {
    "reset": Kind(ACTING, _ON_CONNECTIONS),
    "silence": Kind(ACTING, _ON_CONNECTIONS),
    "close": Kind(ACTING, {**_ON_CONNECTIONS, "code": 1001}),
    "age": Kind(ACTING, _ON_CONNECTIONS),
    "forget": Kind(ACTING, _ON_CONNECTIONS),
    "shutdown": Kind(ACTING, {**_ON_CONNECTIONS, "lead_s": 5.0}),
    "drop": Kind(MESSAGE, {**_ON_MESSAGES, "everywhere": False}),
    "stall": Kind(MESSAGE, _ON_MESSAGES),
    **{
        name: Kind(MESSAGE, _ON_MESSAGES)
        for name in ("duplicate", "reorder", "truncate", "garbage", "fragment", "oversize", "malformed")
    },
    "glitch": Kind(MESSAGE, {**_ON_MESSAGES, "what": "id"}),
    "odd_element": Kind(MESSAGE, {**_ON_MESSAGES, "element": "null"}),
    "refuse_stream": Kind(SUBSCRIPTION, {**_ALWAYS, "count": 0, "stream": ""}),
    "refuse": Kind(HANDSHAKE, {**_ON_HANDSHAKES, "status": 503, **_SAYS_NOTHING}),
    "slow_handshake": Kind(HANDSHAKE, {**_ON_HANDSHAKES, "delay_s": 3.0}),
    "mute": Kind(HANDSHAKE, {**_ON_HANDSHAKES, "stream": ""}),
    "ignore_unit": Kind(HANDSHAKE, _ON_HANDSHAKES),
    "rest_slow": Kind(REST, {**_ON_REST, "delay_s": 3.0}),
    "rest_429": Kind(REST, {**_ON_REST, **_SAYS_WHEN}),
    "rest_418": Kind(REST, {**_ON_REST, **_SAYS_WHEN}),
    "rest_5xx": Kind(REST, {**_ON_REST, "status": 502, **_SAYS_NOTHING}),
    "rest_403": Kind(REST, {**_ON_REST, **_SAYS_NOTHING}),
    "rest_weight": Kind(REST, {**_ALWAYS, "limit": 1200}),
    "rest_trickle": Kind(REST, {**_ON_REST, "over_s": 12.0}),
    "rest_empty": Kind(REST, _ON_REST),
    "odd_row": Kind(REST, {**_ON_REST, "element": "null"}),
    "rest_lacks": Kind(REST, {**_ON_REST, "ids": 5}),
    "rest_delay": Kind(REST, {**_ON_REST, "delay_s": 1.0}),
    "snapshot_old": Kind(REST, {**_ON_REST, "windows": 5}),
    "snapshot_edge": Kind(REST, _ON_REST),
    "skip_ids": Kind(MARKET, {**_ALWAYS, "every_s": 0.0, "symbol": "", "ids": 3}),
    "new_ids": Kind(MARKET, {**_ALWAYS, "every_s": 0.0, "symbol": "", "first": 1}),
    "walk": Kind(MARKET, {**_ALWAYS, "every_s": 0.0, "symbol": "", "levels": 50}),
    "halt": Kind(HALT, _ALWAYS),
    "status": Kind(STATE, {**_ALWAYS, "symbol": "", "status": ""}),
    "delist": Kind(STATE, {**_ALWAYS, "symbol": ""}),
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
        return self.starts_s <= now_s and not self.ended(now_s)

    def ended(self, now_s: float) -> bool:
        """Whether it will never act again."""
        count = self.values.get("count", 0)
        return now_s >= self.stops_s or bool(count and self.acted >= count)

    def hits_stream(self, name: str) -> bool:
        """Whether a fault on messages concerns this stream."""
        return name.endswith(self.values["stream"])

    def as_data(self) -> dict[str, Any]:
        """What a reader of /_exchange/faults sees."""
        return {"id": self.id, "kind": self.kind, "acted": self.acted, **self.values}


Defaults = Mapping[str, Mapping[str, Any]]
"""Kind → those of its keys that are a venue's names."""


def parse(text: str, defaults: Defaults) -> Fault:
    """A fault from ``kind:key=value,…``. Raises ConfigError."""
    kind, _, rest = text.partition(":")
    pairs = dict(pair.partition("=")[::2] for pair in rest.split(",") if pair)
    return make(kind, pairs, defaults)


def make(kind: str, pairs: Mapping[str, Any], defaults: Defaults) -> Fault:
    """A fault from its keys, as text or as JSON values; those not given are as ``defaults`` or the table say.

    Raises ConfigError that names what is wrong and what is allowed.
    """
    known = KINDS.get(kind)
    if known is None:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"allowed are {', '.join(KINDS)}"
        raise ConfigError(f"fault = {kind!r}: no such kind of fault; {hint}")
    values = dict(defaults.get(kind, ()))
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
    if key == "status" and isinstance(found, int) and not 300 <= found <= 599:
        raise ConfigError(f"fault {kind}: status = {value!r}: allowed is an HTTP status from 300 to 599")
    if key == "probability" and not 0 <= found <= 1:
        raise ConfigError(f"fault {kind}: probability = {value!r}: allowed is 0 to 1")
    if key in _ALLOWED and found not in _ALLOWED[key]:
        raise ConfigError(f"fault {kind}: {key} = {value!r}: allowed are {', '.join(_ALLOWED[key])}")
    if key == "element" and not _is_json(found):
        raise ConfigError(f"fault {kind}: element = {value!r}: allowed is JSON")
    if isinstance(found, int | float) and found < 0 and key not in _BELOW_0:
        raise ConfigError(f"fault {kind}: {key} = {value!r}: allowed is 0 or more")
    return found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
