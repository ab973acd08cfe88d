"""Owns what is worth a look although it keeps nobody from being served: the second list of the page and of ``k2workers top``. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from k2workers.page.annals import Happening
from k2workers.page.words import duration, latency, number, plural, size
from k2workers.processes.child_status import AggregatorStatus
from k2workers.processes.page_now import Now
from k2workers.processes.status import WorkerRow

LATELY_MS = 600_000
NEAR = 0.8
"""So much of a budget is near its limit."""

OVERDUE, OVERDUE_S, OVERDUE_MOST_S = 0.2, 90.0, 900.0
"""A connection is overdue for its rotation that outlives its lifetime by so much of it and so many seconds, but at the latest by so many, as for the alert."""

SKEW_S = 0.5
SLOW_US = 250e3
"""These, and ``NEAR``, are where the alerts of ``config/prometheus`` fire too: who was woken finds the reason on the page."""

_LATELY = {"restart": "restarts lately", "connection lost": "connections lost lately", "gap": "gaps lately"}


class WorthALook(msgspec.Struct, frozen=True):
    """What it is, in a word or two, and the same in full."""

    word: str
    text: str


def worth_a_look(now: Now, happened: Sequence[Happening]) -> list[WorthALook]:
    """All of it; ``happened`` is the newest first."""
    return [
        *_of_aggregator(now.aggregator),
        *_of_budgets(now),
        *_of_connections(now.status.workers),
        *(
            notice
            for worker in now.status.workers
            for notice in _of_worker(worker, now.lifetimes_s[worker.figures.venue])
        ),
        *_of_observers(now),
        *_lately(now.at_ms, happened),
    ]


def _of_aggregator(aggregator: AggregatorStatus | None) -> Iterator[WorthALook]:
    if aggregator is None:
        return
    if gaps := aggregator.gaps.gaps_open:
        where = ", ".join(f"{topic} ({plural(ids, 'id')})" for topic, ids in list(aggregator.missing.items())[:4])
        yield WorthALook("gaps open", f"{plural(gaps, 'gap')}: {where}" if where else plural(gaps, "gap"))
    if behind := aggregator.subscribers.behind:
        yield WorthALook(
            "subscribers behind",
            ", ".join(f"{one.peer} does not read: {size(one.bytes)} waiting" for one in behind[:3]),
        )
    p99 = aggregator.latency_us.p99
    if p99 is not None and p99 > SLOW_US:
        yield WorthALook(
            "slow", f"one event in a hundred takes {latency(p99)} or more from our read to its publication"
        )


def _of_budgets(now: Now) -> Iterator[WorthALook]:
    for venue, budget in now.connects.items():
        if budget.granted > NEAR * budget.limit:
            text = f"{venue}: {number(budget.granted)} of {number(budget.limit)} in {duration(budget.window_s)}"
            yield WorthALook("connections near the limit", text)
        own = now.status.venues.get(venue)
        if own is None:
            continue
        weight = own.rest_weight
        if weight.used > NEAR * weight.limit:
            yield WorthALook("REST weight near the limit", f"{venue}: {number(weight.used)} of {number(weight.limit)}")
        for service, refusal in own.venue_refusals.items():
            if refusal.paused_s:
                away = f"next attempt in {duration(refusal.paused_s)}"
                if refusal.refused_with:
                    yield WorthALook(f"{venue} refuses {service}", f"HTTP {refusal.refused_with}; {away}")
                else:
                    yield WorthALook(f"{venue} does not answer {service}", away)
        if own.failure:
            yield WorthALook(f"no symbols of {venue}", own.failure)


def _of_connections(workers: Sequence[WorkerRow]) -> Iterator[WorthALook]:
    shards: dict[str, list[int]] = {}
    for worker in workers:
        for line in worker.told.lines if worker.told is not None and worker.alive else ():
            if line.failure:
                shards.setdefault(line.failure, []).append(worker.figures.shard)
    for failure, those in shards.items():
        where = f"shard{'s' if len(those) > 1 else ''} {', '.join(map(str, dict.fromkeys(those)))}"
        yield WorthALook("connecting fails", f"{where}: {failure}")


def _of_worker(worker: WorkerRow, lifetime_s: float) -> Iterator[WorthALook]:
    name, told = f"shard {worker.figures.shard}", worker.told
    if told is None:
        return
    if told.connection_age_s > lifetime_s + min(OVERDUE * lifetime_s + OVERDUE_S, OVERDUE_MOST_S):
        text = f"its connection is {duration(told.connection_age_s)} old, and should be replaced after {duration(lifetime_s)}"
        yield WorthALook("rotation overdue", f"{name}: {text}")
    if told.clock_ahead_s > SKEW_S:
        yield WorthALook("clock skew", f"{name}: the venue's clock is {told.clock_ahead_s:.1f} s ahead of ours")
    if told.gaps_doubted:
        yield WorthALook(
            "gaps doubted", f"{name}: the venue has denied the ids of {plural(told.gaps_doubted, 'gap')} once"
        )
    if told.streams_refused_count:
        yield WorthALook("streams refused", f"{name}: {', '.join(list(told.streams_refused)[:3])}")


def _of_observers(now: Now) -> Iterator[WorthALook]:
    if error := now.status.books.error:
        yield WorthALook("order books are not kept", error)
    if error := now.status.disk_ring.error:
        yield WorthALook("the disk ring is not written", error)


def _lately(at_ms: int, happened: Sequence[Happening]) -> Iterator[WorthALook]:
    for kind, word in _LATELY.items():
        those = [one for one in happened if one.kind == kind and at_ms - one.at_ms < LATELY_MS]
        if those:
            where = ", ".join(list(dict.fromkeys(one.where for one in those))[:6])
            yield WorthALook(word, f"{where}; last {duration((at_ms - those[0].at_ms) / 1e3)} ago")
