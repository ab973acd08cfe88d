"""The real troubles that alerts are for: how each is brought about in a running feed, which alerts it must fire, and which metrics it moves."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import psutil

from tests.chaos.rig import Rig, end
from tests.chaos.table import page, streams_of
from tests.support.attacks import ENDLESS
from tests.support.hostile import Hostile, subscription
from tests.support.waiting import WAIT_S, until

Trouble = Callable[[Rig], AbstractAsyncContextManager[None]]
"""It lasts until the end of the ``async with``."""


class Strike(msgspec.Struct, frozen=True):
    """``moves`` are metrics that nothing but trouble moves, as they are called in Prometheus."""

    trouble: Trouble
    alerts: tuple[str, ...]
    moves: tuple[str, ...] = ()


@asynccontextmanager
async def _again_and_again(act: Callable[[], Awaitable[Any]], every_s: float) -> AsyncIterator[None]:
    async def for_ever() -> None:
        while True:
            await act()
            await asyncio.sleep(every_s)

    acting = asyncio.get_running_loop().create_task(for_ever())
    try:
        yield
    finally:
        acting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await acting


def faults(*kinds: tuple[str, Mapping[str, Any]], reset_every_s: float = 0.0) -> Trouble:
    """These faults of the exchange; then all connections are reset, once, or again and again."""

    @asynccontextmanager
    async def trouble(rig: Rig) -> AsyncIterator[None]:
        for kind, keys in kinds:
            await rig.inject(kind, **keys)
        try:
            if reset_every_s:
                async with _again_and_again(lambda: rig.inject("reset", connections=0), reset_every_s):
                    yield
            else:
                yield
        finally:
            await rig.control("clear_faults")

    return trouble


ONCE_S = 3_600.0
"""So seldom that it happens once."""


def stopped(name: str, for_s: float) -> Trouble:
    """SIGSTOP of a process for so long (``parent`` is the feed itself)."""

    @asynccontextmanager
    async def trouble(rig: Rig) -> AsyncIterator[None]:
        process = psutil.Process(rig.feed.process.pid) if name == "parent" else await rig.process(name)

        async def stop() -> None:
            end(process, signal.SIGSTOP)
            try:
                await asyncio.sleep(for_s)
            finally:
                end(process, signal.SIGCONT)

        async with _again_and_again(stop, ONCE_S):
            yield

    return trouble


def killed(name: str, every_s: float = ONCE_S) -> Trouble:
    """SIGKILL, and with a number again in each life."""

    @asynccontextmanager
    async def trouble(rig: Rig) -> AsyncIterator[None]:
        async def kill() -> None:
            rig.kill(await rig.process(name))

        async with _again_and_again(kill, every_s):
            yield

    return trouble


@asynccontextmanager
async def metrics_have_no_place(rig: Rig) -> AsyncIterator[None]:
    """A file lies where the directory of the metrics was."""
    place = next(rig.run_dir.rglob("metrics")) if rig.run_dir.exists() else rig.run_dir
    shutil.rmtree(place)
    place.touch()
    try:
        yield
    finally:
        place.unlink()


@asynccontextmanager
async def checkpoint_has_no_place(rig: Rig) -> AsyncIterator[None]:
    """A directory lies where the next checkpoint is to be written."""
    blocked = rig.checkpoint.with_name(rig.checkpoint.name + ".new")

    def block() -> bool:
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            (blocked / "full").mkdir(parents=True)
            return True
        blocked.unlink(missing_ok=True)
        return False

    await until(block, "the directory")
    try:
        yield
    finally:
        shutil.rmtree(blocked)


@asynccontextmanager
async def subscriber_takes_nothing(rig: Rig) -> AsyncIterator[None]:
    """One that has asked for everything."""
    hostile = await asyncio.to_thread(Hostile, rig.endpoints[0], b"SUB", 4096)
    try:
        await asyncio.to_thread(hostile.socket.sendall, subscription(b""))
        yield
    finally:
        hostile.socket.close()


@asynccontextmanager
async def peer_floods(rig: Rig) -> AsyncIterator[None]:
    """One whose message has no end."""
    hostile = await asyncio.to_thread(Hostile, rig.endpoints[0])
    try:
        hostile.socket.settimeout(1)  # one that is cut loose is not told: what it sends is just not taken any more
        await asyncio.to_thread(hostile.flood, ENDLESS, WAIT_S)
        yield
    finally:
        hostile.socket.close()


@asynccontextmanager
async def program_takes_nothing(rig: Rig) -> AsyncIterator[None]:
    """A subscriber whose program does not ask for what has come."""
    async with rig.subscriber_at(None) as subscriber:
        await subscriber.wait_subscribed(WAIT_S)
        yield


EVERYWHERE: Mapping[str, Any] = {"everywhere": True}
ILL: tuple[str, Mapping[str, Any]] = ("rest_5xx", {})

STRIKES: Mapping[str, Strike] = {
    "a worker is killed": Strike(killed("worker-0"), ("K2ChildRestarted",), ("k2_child_restarts_total",)),
    "the aggregator is killed": Strike(
        killed("aggregator"), ("K2ChildRestarted",), ("k2_child_restarts_total", "k2_push_back_pressured_total")
    ),
    "a worker is killed in each of its lives": Strike(killed("worker-1", 1.0), ("K2ChildRestartsOften",)),
    "the parent stands still for 12 s": Strike(stopped("parent", 12.0), ("K2Down",)),
    "the aggregator stands still for 8 s": Strike(
        stopped("aggregator", 8.0),
        ("K2PublishLatencyHigh", "K2NotReady"),
    ),
    "all lines are reset, and handshakes are refused with 503": Strike(
        faults(("refuse", {"status": 503}), reset_every_s=ONCE_S),
        ("K2NoConnection", "K2NotReady", "K2Refused", "K2NoEvents"),
        ("k2_binance_connection_up", "k2_ready", "k2_unready", "k2_binance_reconnects_total", "k2_connect_refusals_total", "k2_venue_paused_seconds", "k2_venue_refusal_status"),
    ),
    "all lines are reset twice a second": Strike(faults(reset_every_s=0.5), ("K2ReconnectsOften",)),
    "all lines are reset, and subscriptions are acknowledged but mute": Strike(
        faults(("mute", {}), reset_every_s=ONCE_S), ("K2Stale", "K2NoEvents"), ("k2_streams_unproven",)
    ),
    "subscriptions of a stream are refused": Strike(
        faults(("refuse_stream", {"stream": "@trade"}), reset_every_s=ONCE_S),
        ("K2StreamsRefused",),
        ("k2_streams_refused",),
    ),
    "messages are malformed": Strike(
        faults(("malformed", {"stream": "@trade"})),
        ("K2MessagesUnreadable", "K2Stale"),
        ("k2_messages_dropped_total", "k2_messages_unreadable_total"),
    ),
    "messages are lost, and REST is ill": Strike(
        faults(ILL, ("drop", {**EVERYWHERE, "probability": 0.3})),
        ("K2GapOpen", "K2BooksAwaited", "K2NotReady"),
        ("k2_gaps_total", "k2_missing_ids_total", "k2_gaps_published_total", "k2_gaps_open", "k2_rest_refusals_total",
         "k2_books", "k2_books_missing", "k2_books_lost_total", "k2_holes_waiting"),
    ),
    "messages are lost, and REST bans this address": Strike(
        faults(("rest_418", {"retry_after_s": 20.0, "count": 1}), ("drop", {**EVERYWHERE, "probability": 0.1, "for_s": 2.0})),
        ("K2Banned", "K2Refused"),
    ),
    "the metrics have no place": Strike(metrics_have_no_place, ("K2MetricsNotKept",), ("k2_metrics_not_kept",)),
    "the checkpoint has no place": Strike(
        checkpoint_has_no_place, ("K2CheckpointFailures",), ("k2_checkpoint_failures_total",)
    ),
    "a subscriber takes nothing": Strike(
        subscriber_takes_nothing, ("K2SubscriberSlow",), ("k2_subscribers", "k2_subscribers_behind", "k2_subscribers_most_owed_bytes")
    ),
    "a peer floods the port": Strike(peer_floods, ("K2SubscriberCut",), ("k2_peers_cut_total",)),
    "a subscriber's program takes nothing": Strike(program_takes_nothing, (), ("k2_subscribers_most_waiting_batches",)),
    "ids never existed": Strike(faults(("skip_ids", {"symbol": "*", "ids": 3, "every_s": 2.0})), (), ("k2_void_ids_total",)),
    "ids begin anew": Strike(faults(("new_ids", {"first": 1})), (), ("k2_resets_total",)),
    "a glitch of the ids": Strike(faults(("glitch", {"stream": "@trade", "count": 1})), (), ("k2_outliers_dropped_total",)),
    "messages are lost, and REST is slow": Strike(
        faults(("rest_slow", {"delay_s": 4.0}), ("drop", {**EVERYWHERE, "stream": "@trade", "probability": 0.2, "for_s": 3.0})),
        (),
        ("k2_repaired_ids_total",),
    ),
    "messages are lost, and rows of REST are odd": Strike(
        faults(("odd_row", {"path": page}), ("drop", {**EVERYWHERE, "stream": "@trade", "probability": 0.2, "for_s": 3.0})),
        (),
        ("k2_rest_rows_dropped_total",),
    ),
    "the venue drops subscriptions": Strike(
        faults(("forget", {"stream": "@trade"})), (), ("k2_subscriptions_lost_total",)
    ),
    "streams are stalled": Strike(
        faults(("stall", {"stream": "@trade"})), ("K2Stale",), ("k2_streams_silent", "k2_market_looks_total")
    ),
    # The last: a limit that the venue has named counts for an hour.
    "books are lost, and REST allows little": Strike(
        faults(("rest_weight", {"limit": 150}), ("drop", {**EVERYWHERE, "stream": streams_of("depth"), "probability": 0.3})),
        ("K2RestWeightHigh",),
        ("k2_rest_weight_limit", "k2_rest_weight_used"),
    ),
}  # fmt: skip
"""By the name that the report shows."""

BY_SERIES: Mapping[str, str] = {
    "K2AggregatorBehind": "one that stands still is ended after ten seconds, and ZeroMQ takes more than that from this feed before bundles wait",
    "K2GapsGivenUp": "ids are given up after an hour",
    "K2MemoryGrows": "it looks at six hours",
    "K2MemoryHigh": "two gigabytes are more than this feed can take",
    "K2RotationsOverlap": "turns keep rotations apart for 90 s, and a rotation that lasts longer needs one that is due meanwhile",
}
"""Alerts that no real trouble fires here, and why: only ``promtool test rules`` does."""
