"""Owns the table of faults: what each does in one round, whom it hits, and how long the feed may pause over it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import resource
import signal
import sys
from collections.abc import Awaitable, Callable

import msgspec
import psutil

from tests.chaos.market import PAGES, Market
from tests.chaos.rig import Rig, end
from tests.support.attacks import ON_BOOKS, ON_REQUESTS, ON_SUBSCRIPTIONS
from tests.support.cleaner import remove
from tests.support.hostile import PONG, Hostile, subscription
from tests.support.waiting import WAIT_S, until
from tests.system.support import Program, alive

Act = Callable[[Rig], Awaitable[list[int]]]
"""Does the fault, and ends it; answers the shards that it hit."""

STALE_S = 5.0
"""The stale limit of the feeds under test."""

SETTINGS = {"K2_STALE_AFTER_S": f"{STALE_S:g}", "K2_BOOK_LEVELS": "500"}
"""Settings of the feeds under test, apart from addresses. The exchange's books are never deeper than 500 levels a side."""


HALT_S = 40.0
NAMELESS_S = 7.0
ATTACK_S = 5.0
IDLE_S = 6.0
SMALL_RING = {"K2_REPLAY_RING_MB": "1"}
"""With it whoever takes nothing is cut loose within seconds."""
LOOKUP_S = 10.0
"""For so long a question is asked that meets no answer."""
STALLED_S = 6.0
HIGHEST_NEW_ID = 9_000_000
"""Below every id that the exchange begins with."""

WHOLE_S = 180.0
"""Within this time after a fault everything must be whole again."""


class Row(msgspec.Struct, frozen=True):
    """One fault. ``pause_limit_s``: the longest time without an event of the shards hit; None: not judged.

    ``rest_s`` between rounds keeps the same child from dying so often that the feed rightly gives up. ``settings``, and ``kinds`` of streams beside the
    usual ones, show more of the fault; it can be done without them. One that is ``alone`` is of use only while no other fault strikes.
    ``senseless`` says why the fault is left out on a market, or nothing.
    """

    act: Act
    pause_limit_s: float | None = None
    rest_s: float = 0.0
    settings: dict[str, str] = {}
    kinds: tuple[str, ...] = ()
    alone: bool = False
    senseless: Callable[[Market], str] = lambda _: ""


def exchange(kind: str, *, active_s: float = 0.3, connections: int = 1, **keys: object) -> Act:
    """A fault of the exchange, active for a moment. ``connections`` 0 is all."""

    async def act(rig: Rig) -> list[int]:
        on_connections = {"connections": connections} if kind in _ON_CONNECTIONS else {}
        await rig.inject(kind, **on_connections, **keys)
        await asyncio.sleep(active_s)
        if kind not in _ON_CONNECTIONS:
            await rig.control("clear_faults")
        return list(range(rig.shards))

    return act


# ── what a market does not have ─────────────────────────────────────────────────────────────────────────────


def has_one_unit(market: Market) -> str:
    return "" if market.unit_is_asked else "its times come in one unit only"


def has_one_class(market: Market) -> str:
    return "" if len(market.classes) > 1 else "a shard has one connection there"


def trades_in_the_book_alone(market: Market) -> str:
    return "each trade is in an aggregate there" if market.aggregates_join else ""


def rows_for(market: Market) -> list[str]:
    """The faults that a market has."""
    return [name for name, row in TABLE.items() if not row.senseless(market)]


# ── what a market calls it ──────────────────────────────────────────────────────────────────────────────────


def streams_of(kind: str) -> Callable[[Rig], str]:
    """How the names of this kind's streams end."""
    return lambda rig: rig.market.suffix(kind)


def trades(rig: Rig) -> str:
    """How the names of streams end whose every event comes."""
    return rig.market.suffix(rig.market.trades)


def trades_of_one(rig: Rig) -> str:
    """The busiest of these streams."""
    return rig.symbols[0].lower() + trades(rig)


def trades_of_some(rig: Rig) -> str:
    """How the names of those end whose symbols are called alike."""
    return trades_of_one(rig)[3:]


def page(rig: Rig) -> str:
    """Where REST is asked first for what is missing of them."""
    return PAGES[rig.market.trades]


def one_symbol(rig: Rig) -> str:
    """A busy one, but not the busiest."""
    return rig.symbols[1]


# ── what strikes ────────────────────────────────────────────────────────────────────────────────────────────

_ON_CONNECTIONS = ("reset", "silence", "close", "age", "shutdown")


def while_reconnecting(kind: str, *, active_s: float = 1.0, **keys: object) -> Act:
    """A fault on handshakes, met because a line is reset."""

    async def act(rig: Rig) -> list[int]:
        await rig.inject(kind, **keys)
        await rig.inject("reset", connections=1)
        await asyncio.sleep(active_s)
        await rig.control("clear_faults")
        return list(range(rig.shards))

    return act


def while_repairing(
    kind: str, *, active_s: float = 1.0, stream: Callable[[Rig], str] | str = "", **keys: object
) -> Act:
    """A fault of REST, met because messages are dropped."""

    async def act(rig: Rig) -> list[int]:
        await rig.inject(kind, **keys)
        await rig.inject("drop", probability=0.05, stream=stream, for_s=0.5)
        await asyncio.sleep(active_s)
        await rig.control("clear_faults")
        return list(range(rig.shards))

    return act


def kill(kind: str) -> Act:
    """kill -9 of one process; ``worker`` is any of them."""

    async def act(rig: Rig) -> list[int]:
        shard = rig.rng.randrange(rig.shards)
        rig.kill(await rig.process(f"worker-{shard}" if kind == "worker" else kind))
        return [shard] if kind == "worker" else list(range(rig.shards))

    return act


def stop_for(kind: str, seconds: float, *, for_good: bool = False) -> Act:
    """SIGSTOP of one process; SIGCONT after so long, unless it was replaced by then, as it may be ``for_good``."""

    async def act(rig: Rig) -> list[int]:
        shard = rig.rng.randrange(rig.shards)
        process = await rig.process(f"worker-{shard}" if kind == "worker" else kind)
        rig.doomed |= {process.pid} if for_good else set()
        end(process, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        if process.is_running():
            end(process, signal.SIGCONT)
        return [shard] if kind == "worker" else list(range(rig.shards))

    return act


async def log_stalls(rig: Rig) -> list[int]:
    """Nobody reads the log while every process has something to say."""
    pipe = rig.feed.process.stdout
    assert pipe is not None
    with contextlib.suppress(OSError):  # more is in there
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
    rig.feed.reading.clear()
    try:
        for _ in range(3):
            await rig.inject("reset", connections=0)
            await asyncio.sleep(STALLED_S / 3)
    finally:
        rig.feed.reading.set()
    return list(range(rig.shards))


def stand_still(seconds: float, *, whole: bool) -> Act:
    """SIGSTOP of the parent, or of the whole feed as a paused container is; SIGCONT after so long. Nobody is ended for that."""

    async def act(rig: Rig) -> list[int]:
        stopped = [psutil.Process(rig.feed.process.pid)]
        if whole:
            stopped += [process for process in rig.feed.remember_family().values() if alive(process)]
        for process in stopped:
            end(process, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        for process in stopped:
            end(process, signal.SIGCONT)
        await asyncio.sleep(2.0)
        return list(range(rig.shards))

    return act


async def full_disk(rig: Rig) -> list[int]:
    """The aggregator cannot write its checkpoint any more, and dies."""
    process = await rig.process("aggregator")
    process.rlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    await asyncio.sleep(2.5)
    rig.kill(process)
    return list(range(rig.shards))


async def cleaned(rig: Rig) -> list[int]:
    """A cleaner removes the run directory, and then a worker and the aggregator die."""
    names = (f"worker-{rig.rng.randrange(rig.shards)}", "aggregator")
    died = [await rig.process(name) for name in names]
    remove(rig.run_dir)
    for process in died:
        rig.kill(process)
    await asyncio.sleep(1.0)
    return list(range(rig.shards))


async def no_room(rig: Rig) -> list[int]:
    """The file system of the run directory is full while a worker and the aggregator die; then there is room again."""
    names = (f"worker-{rig.rng.randrange(rig.shards)}", "aggregator")
    died = [await rig.process(name) for name in names]
    with rig.place.without_room():
        for process in died:
            rig.kill(process)
        for name, process in zip(names, died, strict=True):
            await rig.process(name, after=process)
        await until(lambda: _tells(rig, "k2_metrics_not_kept", 2), "word that metrics are not kept")
    await until(lambda: _tells(rig, "k2_metrics_not_kept", 0), "metrics of all processes")
    return list(range(rig.shards))


async def _tells(rig: Rig, metric: str, value: float) -> bool:
    return await rig.gauge(metric) == value


async def no_names(rig: Rig) -> list[int]:
    """The name server falls silent, and then every connection is reset; after some seconds it answers again."""
    async with rig.place.without_names():
        await rig.inject("reset", connections=0)
        await asyncio.sleep(NAMELESS_S)
    await asyncio.sleep(LOOKUP_S / 2)
    return list(range(rig.shards))


async def second_copy(rig: Rig) -> list[int]:
    """The same program is started once more, with the same places and ports. It refuses, and names the first."""
    with rig.make_feed() as second:
        await until(lambda: second.process.poll() is not None, "the end of the second copy")
        await asyncio.to_thread(second.join)
        said = "".join(second.raw)
        assert second.process.returncode == 2, said
        assert f"in use by pid {rig.feed.process.pid} (" in said, said
    return list(range(rig.shards))


async def hostile_peers(rig: Rig) -> list[int]:
    """Each of the three ports is attacked, by programs that keep to ZeroMQ's protocol and to nothing else."""
    plans = zip(rig.endpoints, (ON_SUBSCRIPTIONS, ON_REQUESTS, ON_BOOKS), strict=True)
    chosen = [(endpoint, rig.rng.choice(sorted(attacks))) for endpoint, attacks in plans]
    with contextlib.ExitStack() as stack:
        for endpoint, what in chosen:
            command = (sys.executable, "-m", "tests.support.attacks", endpoint, what)
            attacker = stack.enter_context(Program(command=command))
            stack.callback(_still_runs, attacker)
            await until(lambda attacker=attacker: "attacking\n" in attacker.raw, f"the attack: {what}")
        await asyncio.sleep(ATTACK_S)
    return list(range(rig.shards))


def _still_runs(program: Program) -> None:
    assert program.process.poll() is None, "".join(program.raw)


async def idle_readers(rig: Rig) -> list[int]:
    """Two subscribe to everything and then take nothing: one that knows only the protocol, and a ``Subscriber`` whose program has other things to do.

    Where the ring is small the first is cut loose. What the second takes in the end has no hole that was not named.
    """
    took = rig.make_observer()
    async with rig.subscriber_at(None) as idle, asyncio.timeout(WHOLE_S):
        await idle.wait_subscribed(WAIT_S)
        with Hostile(rig.endpoints[0], receive_buffer=4_096) as raw:
            raw.send(subscription(rig.market.prefix.encode()))
            await asyncio.sleep(IDLE_S)
            if rig.settings.items() >= SMALL_RING.items():
                await until(lambda: _is_cut(raw), "the end of the connection of one that reads nothing")
        topic = rig.market.topic(rig.market.trades, rig.symbols[0])
        _, due_id = rig.observer.reached()[topic]
        async for item in idle:
            took.take(item)
            if item.topic == topic and took.reached()[topic][1] >= due_id:
                break
    assert not took.ledger.broken_rules(), took.ledger.broken_rules()[:5]
    return list(range(rig.shards))


def _is_cut(peer: Hostile) -> bool:
    try:
        peer.send(PONG)  # else ZeroMQ itself gives it up one day
    except OSError:
        return True
    return False


async def everything(rig: Rig) -> list[int]:
    """kill -9 of the parent: the whole tree goes, and a new one continues from the checkpoint."""
    rig.feed.remember_family()
    rig.feed.process.kill()
    await until(lambda: not any(alive(p) for p in rig.feed.family.values()), "every process gone")
    rig.feed.__exit__()
    rig.start_feed()
    await rig.ready()
    return list(range(rig.shards))


async def subscriber_restart(rig: Rig) -> list[int]:
    """The subscribing program ends and goes on later from its saved position."""
    await rig.unsubscribe()
    await asyncio.sleep(1.0 + rig.rng.random())
    rig.subscribe()
    return []


def glitches(what: str, concerns: Callable[[Market, str], bool]) -> Act:
    """One message of each kind of stream that it concerns far from all others, before one as it should be."""

    async def act(rig: Rig) -> list[int]:
        for kind in rig.market.kinds:
            if concerns(rig.market, kind):
                await rig.inject("glitch", stream=streams_of(kind), what=what, count=1)
        await asyncio.sleep(1.0)
        await rig.control("clear_faults")
        return list(range(rig.shards))

    return act


async def rest_lacks_ids(rig: Rig) -> list[int]:
    """Ids that the lines did not bring are not in REST's replies either, for 6 s."""
    for path in ("historicalTrades", "aggTrades"):
        await rig.inject("rest_lacks", path=path)
    await rig.inject("drop", probability=0.05, for_s=0.3)
    await asyncio.sleep(6.0)
    await rig.control("clear_faults")
    return list(range(rig.shards))


async def new_ids(rig: Rig) -> list[int]:
    """All ids of a symbol begin anew, each time below those that it had."""
    symbol = one_symbol(rig)
    lives = rig.observer.lives.get(rig.market.topic(rig.market.trades, symbol), 0)
    await rig.inject("new_ids", symbol=symbol, first=max(1, HIGHEST_NEW_ID - lives * 400_000))
    await asyncio.sleep(1.0)
    return [rig.shard_of[symbol]]


async def one_class_reset(rig: Rig) -> list[int]:
    """Every connection of one class is reset; those of the others live on, and nothing of theirs is missing."""
    struck = rig.rng.choice(rig.market.classes)
    others = [kind for name, kinds in rig.market.of_class().items() if name != struck for kind in kinds]
    connects, gaps = await unplanned_connects(rig), [rig.observer.gaps_of.get(kind, 0) for kind in others]
    await rig.inject("reset", stream=streams_of(rig.market.of_class()[struck][0]))
    await asyncio.sleep(1.0)
    assert await unplanned_connects(rig) - connects <= rig.shards, (
        "connections of another class than the one that was reset"
    )
    assert [rig.observer.gaps_of.get(kind, 0) for kind in others] == gaps, f"{struck} was reset, and {others} have gaps"
    return list(range(rig.shards))


async def one_class_mute(rig: Rig) -> list[int]:
    """One class is subscribed anew and acknowledged, and brings nothing: within ``rig.alarm_s`` every worker names streams of it and is not ready."""
    kinds = rig.market.of_class()[rig.rng.choice(rig.market.classes)]
    told = len(rig.feed.logged("streams_silent"))

    def named() -> set[int]:
        topics = (topic for line in rig.feed.logged("streams_silent")[told:] for topic in line["topics"])
        split = (topic.split(".") for topic in topics)
        return {rig.shard_of[symbol] for _, kind, symbol in split if kind in kinds}

    async def alarmed() -> bool:
        silent = [reason for reason in await rig.unready() if reason.startswith("streams_silent")]
        return len(named()) == len(silent) == rig.shards

    await rig.inject("mute")
    await rig.inject("reset", stream=streams_of(kinds[0]))
    await until(alarmed, lambda: f"the alarm of {kinds}; shards that named some: {named()}", rig.alarm_s)
    await rig.control("clear_faults")
    return list(range(rig.shards))


async def one_class_stalled(rig: Rig) -> list[int]:
    """One class falls silent: within ``rig.alarm_s`` every worker gives its connection of it up and is not ready, and of the other class none."""
    struck = rig.rng.choice(rig.market.classes)
    told = len(rig.feed.logged("connection_lost"))

    def lost() -> set[tuple[int, str]]:
        return {(line["shard"], line["route"]) for line in rig.feed.logged("connection_lost")[told:]}

    for kind in rig.market.of_class()[struck]:
        await rig.inject("stall", stream=streams_of(kind))
    await until(lambda: len(lost()) >= rig.shards, lambda: f"the alarm of {struck}; lost are {lost()}", rig.alarm_s)
    await until(rig.unready, "a feed that is not ready", rig.alarm_s)
    assert lost() == {(shard, struck) for shard in range(rig.shards)}
    await rig.control("clear_faults")
    return list(range(rig.shards))


async def beside_the_book(rig: Rig) -> list[int]:
    """Trades that nobody is told take ids, one here and one there: aggregates that do not join are whole, and nobody asks for them."""
    while True:
        asked, gaps = await _pages_asked(rig), rig.observer.gaps_of.get("agg_trade", 0)
        connects = await unplanned_connects(rig)
        await rig.inject("skip_ids", symbol="*", ids=1, every_s=0.1)
        await asyncio.sleep(2.0)
        await rig.control("clear_faults")
        await asyncio.sleep(2.0)
        if await unplanned_connects(rig) == connects:
            break  # else REST was asked what the connection before had missed
    assert await _pages_asked(rig) == asked, "REST was asked for aggregates of which none was missing"
    assert rig.observer.gaps_of.get("agg_trade", 0) == gaps, "a gap among aggregates of which none was missing"
    return list(range(rig.shards))


async def _pages_asked(rig: Rig) -> int:
    return int((await rig.ask("status"))["rest"]["by_path"].get(PAGES["agg_trade"], 0))


async def halt(rig: Rig) -> list[int]:
    """Nothing happens in the whole market; its pings go on. No line is given up for that."""
    before = await unplanned_connects(rig)
    await rig.inject("halt")
    await asyncio.sleep(HALT_S)
    await rig.control("clear_faults")
    connects = await unplanned_connects(rig) - before
    assert connects <= 0, f"{connects} connections in {HALT_S:g} s in which the whole market stood still"
    return list(range(rig.shards))


async def unplanned_connects(rig: Rig) -> int:
    """How many connections there were beyond the scheduled rotations, which also come while a market stands still."""
    connects = int((await rig.ask("status"))["connects_total"])
    return connects - len(rig.feed.logged("binance_connection_rotation_triggered"))


async def all_lines(rig: Rig) -> list[int]:
    """Every connection is reset in the same instant."""
    await rig.inject("reset", connections=0)
    await asyncio.sleep(1.0)
    return list(range(rig.shards))


TABLE: dict[str, Row] = {
    "reset": Row(exchange("reset"), 0.5),
    "reset of all lines": Row(all_lines),
    "one class reset": Row(one_class_reset, senseless=has_one_class, alone=True),
    "one class acknowledged and mute": Row(one_class_mute, senseless=has_one_class, alone=True),
    "one class stalled": Row(one_class_stalled, senseless=has_one_class, alone=True),
    # Where it could be the market that is silent, the venue is asked first.
    "half-open silence": Row(exchange("silence", active_s=STALE_S), STALE_S + 3),
    "one stream stalled": Row(exchange("stall", stream=trades_of_one, active_s=2.0)),
    "messages dropped": Row(exchange("drop", probability=0.05, active_s=1.0)),
    "messages dropped for all": Row(exchange("drop", probability=0.05, everywhere=True, active_s=1.0)),
    "messages duplicated": Row(exchange("duplicate", probability=0.2)),
    "messages reordered": Row(exchange("reorder", probability=0.2)),
    "truncated JSON": Row(exchange("truncate", probability=0.05)),
    "garbage": Row(exchange("garbage", probability=0.05)),
    "fragmented, ping inside": Row(exchange("fragment", probability=0.5)),
    "oversize frame": Row(exchange("oversize", count=1), 0.5),
    "closed 1000": Row(exchange("close", code=1000), 0.5),
    "closed 1001": Row(exchange("close", code=1001), 0.5),
    "closed 1006": Row(exchange("close", code=1006), 0.5),
    "closed 1008": Row(exchange("close", code=1008), 0.5),
    "age cut": Row(exchange("age"), 0.5),
    "serverShutdown, 5 s": Row(exchange("shutdown", lead_s=5.0, active_s=5.2), 0.25),
    "serverShutdown, 0 s": Row(exchange("shutdown", lead_s=0.0), 0.5),
    "cut without notice": Row(exchange("shutdown", lead_s=-1.0), 0.5),
    "handshake refused": Row(while_reconnecting("refuse")),
    "handshake 429": Row(while_reconnecting("refuse", status=429, retry_after_s=2, count=2)),
    "handshake 403": Row(while_reconnecting("refuse", status=403, retry_after_s=1, count=1)),
    "handshake 418": Row(while_reconnecting("refuse", status=418, retry_after_s=2, retry_after_as="words", count=1)),
    "stream refused": Row(while_reconnecting("refuse_stream", stream=trades_of_some, count=6, active_s=2.0)),
    "handshake slow": Row(while_reconnecting("slow_handshake", delay_s=2.0, active_s=2.5)),
    "ACK without data": Row(while_reconnecting("mute", count=1)),
    "one kind acknowledged and mute": Row(while_reconnecting("mute", stream=streams_of("book_ticker"), count=1)),
    "milliseconds after a reconnect": Row(while_reconnecting("ignore_unit", count=1), senseless=has_one_unit),
    "REST slow": Row(while_repairing("rest_slow", delay_s=1.5, active_s=2.0)),
    "REST 429": Row(while_repairing("rest_429", retry_after_s=1, count=3)),
    "REST 418": Row(while_repairing("rest_418", retry_after_s=2, count=1)),
    "REST 429, as a date": Row(while_repairing("rest_429", retry_after_s=2, retry_after_as="date", count=2)),
    "REST allows less": Row(while_repairing("rest_weight", limit=1200)),
    "REST answers in pieces": Row(while_repairing("rest_trickle", path=page, over_s=2.0, active_s=2.5)),
    "REST with an odd row": Row(while_repairing("odd_row", path=page, count=3)),
    "REST 5xx": Row(while_repairing("rest_5xx")),
    "REST 403": Row(while_repairing("rest_403")),
    "REST lacks ids for 6 s": Row(rest_lacks_ids),
    "REST sees ids late": Row(while_repairing("rest_delay", delay_s=1.0, active_s=1.5)),
    "snapshot older than diffs": Row(while_repairing("snapshot_old", stream=streams_of("depth"), windows=5)),
    "snapshot at an event's edge": Row(while_repairing("snapshot_edge", stream=streams_of("depth"))),
    "an odd level in diffs": Row(exchange("odd_element", stream=streams_of("depth"), probability=0.05)),
    "a kind malformed for 3 s": Row(exchange("malformed", stream=trades, active_s=3.0)),
    "a glitch of the ids": Row(glitches("id", lambda market, kind: kind not in market.bars)),
    "a glitch of the times": Row(glitches("time", Market.timed)),
    # Of a life that is over before its ids are believed, nobody is told.
    "ids begin anew": Row(new_ids, rest_s=8.0),
    "the market halts": Row(halt),
    "a symbol at rest": Row(exchange("status", symbol=one_symbol, active_s=3.0)),
    "ids that never existed": Row(exchange("skip_ids", ids=3, active_s=1.0), kinds=("trade",)),
    "400,000 ids that never existed": Row(exchange("skip_ids", ids=400_000, active_s=1.0), kinds=("trade",)),
    "aggregates that do not join": Row(beside_the_book, senseless=trades_in_the_book_alone, alone=True),
    "trades beside the book": Row(beside_the_book, kinds=("trade",), senseless=trades_in_the_book_alone, alone=True),
    "worker killed": Row(kill("worker"), 2.0),
    "aggregator killed": Row(kill("aggregator"), 1.5, rest_s=7.0),
    "books killed": Row(kill("books"), rest_s=7.0),
    "parent killed, all restarted": Row(everything, rest_s=15.0),
    "worker stopped 3 s": Row(stop_for("worker", 3.0)),
    "worker stopped for good": Row(stop_for("worker", 12.0, for_good=True)),
    "aggregator stopped 3 s": Row(stop_for("aggregator", 3.0)),
    "aggregator stopped for good": Row(stop_for("aggregator", 12.0, for_good=True)),
    "parent stopped 12 s": Row(stand_still(12.0, whole=False)),
    "whole feed frozen 25 s": Row(stand_still(25.0, whole=True)),
    "no room for the checkpoint": Row(full_disk, rest_s=5.0),
    "log not read, all lines reset": Row(log_stalls, STALLED_S - 1),
    "run directory removed, two die": Row(cleaned, 2.0, rest_s=7.0),
    "no room under the run directory, two die": Row(no_room, 2.0, rest_s=7.0, alone=True),
    "name server silent, all lines reset": Row(no_names, NAMELESS_S + LOOKUP_S),
    "a second copy": Row(second_copy, 0.5, alone=True),
    "hostile peers on all ports": Row(hostile_peers),
    "a reader that takes nothing": Row(idle_readers, 1.0, settings=SMALL_RING),
    "subscriber restarted": Row(subscriber_restart),
}
"""Every fault, by the name that the report shows."""
