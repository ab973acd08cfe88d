"""One shard's feed against a market on real sockets: what it asks its parent, and what becomes of its lines."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import itertools
import threading
import time
import typing
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k2workers import every
from k2workers.errors import AddressRefused
from k2workers.events import SCHEMA_OF, Gap
from k2workers.feed import driver
from k2workers.feed.driver import ABSENT_NS, Driver
from k2workers.feed.feed_settings import FeedSettings
from k2workers.feed.liveness import LEARNED_AFTER
from k2workers.feed.silence import LookUrgency, MarketView
from k2workers.feed.subscription import Subscriptions
from k2workers.rotation.actions import Action
from k2workers.rotation.policy import SCHEDULED, SERVER_SHUTDOWN, SILENT, SILENT_STREAM
from k2workers.rotation.record import RotationRecord
from k2workers.rotation.table import State
from k2workers.sequencing.book_lane import BookLane
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.market_evidence import SymbolSeen
from k2workers.wire import Batch
from tests.fakes import Turns
from tests.simulator.support import inject, running
from tests.support.venue import Answer, Venue
from tests.support.waiting import WAIT_S, until

SPOT = BinanceSpot()
HOUR_NS = 3_600_000_000_000
NEVER_S = 10 * WAIT_S
"""What takes so long fails the test."""
NOTICE = '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}'


class Fed:
    """A driver, and what came of it."""

    def __init__(
        self,
        ws_url: str,
        symbols: Sequence[str],
        *,
        due_in_s: float = 3_600,
        close_timeout_s: float = 1,
        overlap_limit_s: float = NEVER_S,
        stale_after_s: float = NEVER_S,
        hold_s: float = 1,
        kinds: Sequence[str] = ("trade",),
        other_path: str = "",
    ) -> None:
        self.turns = Turns()
        self.batches: list[Batch] = []
        self.records: list[RotationRecord] = []
        self.topics: set[str] = set()
        settings = FeedSettings(
            shard=0,
            slot=0,
            slots=1,
            url=ws_url,
            lifetime_ns=HOUR_NS,
            origin_ns=time.monotonic_ns() + int(due_in_s * 1e9) - HOUR_NS,
            connect_timeout_s=NEVER_S,
            close_timeout_s=close_timeout_s,
            min_overlap_ns=0,
            overlap_limit_ns=int(overlap_limit_s * 1e9),
            stale_after_ns=int(stale_after_s * 1e9),
            hold_ns=int(hold_s * 1e9),
        )
        (route,) = SPOT.routes(SPOT.stream_specs(kinds, symbols))
        self.driver = Driver(
            settings,
            SPOT,
            msgspec.structs.replace(route, other_path=other_path),
            grants=self.turns,
            push=self._push,
            on_record=self.records.append,
            observe_latency=lambda _: None,
        )

    def _push(self, bundle: list[Batch]) -> None:
        self.batches += bundle
        self.topics.update(batch.topic for batch in bundle)

    @property
    def reasons(self) -> list[str]:
        return [record.reason for record in self.records]

    async def live_on(self, line: int) -> None:
        await until(lambda: self.driver.machine.state is State.LIVE and self.driver.machine.primary == line)


class Gate:
    """Holds the whole venue, as a hook of it, until it may go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def wait(self, *_: object) -> None:
        self.reached.set()
        assert self.go_on.wait(NEVER_S)


@contextlib.asynccontextmanager
async def fed(ws_url: str, symbols: Sequence[str], *, first_line: int = 1, **settings: Any) -> AsyncIterator[Fed]:
    """One that is live on its first line; stopped at the end."""
    made = Fed(ws_url, symbols, **settings)
    made.driver.start()
    try:
        await made.live_on(first_line)
        yield made
    finally:
        async with asyncio.timeout(WAIT_S):
            await made.driver.stop()


async def test_a_shutdown_notice_does_not_wait_for_the_turn_of_a_scheduled_rotation() -> None:
    async with running() as client, fed(f"ws://127.0.0.1:{client.port}", ["BTCUSDT"], due_in_s=0.1) as feed:
        await until(lambda: feed.turns.purposes == ["connect", "rotate"])
        await inject(client, kind="shutdown", lead_s=WAIT_S)
        await until(lambda: feed.records)
        assert feed.reasons == [SERVER_SHUTDOWN]
        assert feed.records[0].complete
        assert feed.turns.purposes == ["connect", "rotate", "connect"]
        assert feed.turns.withdrawn == ["rotate"]


async def test_where_the_venue_refuses_one_path_the_other_is_taken_from_then_on() -> None:
    with Venue(["BTCUSDT"], every_s=0.01) as venue:
        venue.on_handshake = lambda: None if venue.handshakes else Answer(404, "<html>")
        async with fed(venue.ws_url, ["BTCUSDT"], first_line=2, other_path="/ws") as feed:
            feed.turns.turn.set()
            feed.driver.rotate("operator")
            await feed.live_on(3)
        assert [(asked.path, asked.status) for asked in venue.handshakes] == [
            ("/stream", 404),
            ("/ws", 101),
            ("/ws", 101),
        ]


async def test_a_notice_on_a_new_line_is_obeyed_while_the_old_one_is_still_closing() -> None:
    with Venue(["BTCUSDT"], every_s=0.01) as venue:
        async with fed(venue.ws_url, ["BTCUSDT"], close_timeout_s=NEVER_S) as feed:
            feed.turns.turn.set()
            transport = venue.connections[0].transport
            assert transport is not None
            venue._loop.call_soon_threadsafe(transport.pause_reading)  # it will not see that it is closed
            feed.driver.rotate("operator")
            await until(lambda: feed.records)
            venue.send(NOTICE)
            await until(lambda: len(feed.records) == 2)
            assert feed.reasons == ["operator", SERVER_SHUTDOWN]
            (permit,) = [permit for permit in feed.turns.permits if permit.purpose == "rotate"]
            assert not permit.given_back, "its old line is not closed"
            venue.reset_all()
            await until(lambda: permit.given_back)


async def test_what_a_line_asked_for_is_withdrawn_when_it_ends() -> None:
    async with running() as client, fed(f"ws://127.0.0.1:{client.port}", ["BTCUSDT"], due_in_s=0.1) as feed:
        await until(lambda: feed.turns.purposes == ["connect", "rotate"])
        await inject(client, kind="reset")
        await feed.live_on(2)
        assert feed.turns.withdrawn == ["rotate"]


async def test_a_permission_is_given_back_when_its_rotation_ends_without_a_promotion() -> None:
    async with running() as client, fed(f"ws://127.0.0.1:{client.port}", ["BTCUSDT"]) as feed:
        feed.turns.turn.set()
        await inject(client, kind="slow_handshake", delay_s=NEVER_S)
        feed.driver.rotate("operator")
        await until(lambda: feed.driver.machine.state is State.WARMING)
        await inject(client, kind="reset")
        await until(lambda: feed.driver.machine.state is State.CONNECTING)
        assert [permit.given_back for permit in feed.turns.permits] == [True, True]
        assert feed.records == []


async def test_a_feed_that_gets_no_line_up_stays_as_starved_as_it_is() -> None:
    with Venue(["BTCUSDT"]) as venue:
        refusals = iter([True, False])

        def cut(_names: list[str]) -> None:
            if next(refusals):
                venue._reset_all()

        venue.on_subscribe = cut
        made = Fed(venue.ws_url, ["BTCUSDT"])
        made.driver.start()
        await made.live_on(2)
        await made.driver.stop()
        (first, first_ns), (second, second_ns) = made.turns.asked
        assert (first, second, first_ns) == ("connect", "connect", second_ns)


async def test_a_feed_whose_standby_succeeded_a_lost_primary_is_starved_only_from_the_next_loss_on() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=0.01) as venue:
        async with fed(venue.ws_url, ["AAAUSDT", "BBBUSDT"]) as feed:
            feed.turns.turn.set()
            # Refused on the new line, a stream keeps the overlap from its end.
            venue.on_subscribe = lambda names: (2, "no") if "bbbusdt@trade" in names else None
            feed.driver.rotate("operator")
            await until(lambda: feed.driver.lines.withheld(2, 1) and feed.driver.machine.state is State.OVERLAP)
            transport = venue.connections[0].transport
            assert transport is not None
            venue._loop.call_soon_threadsafe(transport.abort)
            await feed.live_on(2)
            assert [record.complete for record in feed.records] == [False]
            promoted_ns = time.monotonic_ns()
            venue.reset_all()
            await feed.live_on(3)
            purpose, starved_since_ns = feed.turns.asked[-1]
            assert purpose == "connect"
            assert starved_since_ns > promoted_ns


@pytest.mark.parametrize("step", ["on_handshake", "on_subscribe"])
async def test_streams_added_while_a_standby_warms_are_on_it(step: str) -> None:
    symbols = ["AAAUSDT", "BBBUSDT"]
    gate = Gate()
    with Venue(symbols, every_s=0.01) as venue:
        async with fed(venue.ws_url, symbols[:1]) as feed:
            feed.turns.turn.set()
            setattr(venue, step, gate.wait)
            feed.driver.rotate(SCHEDULED)
            await until(gate.reached.is_set)
            feed.driver.add_streams(SPOT.stream_specs(["trade"], symbols[1:]))
            gate.go_on.set()
            await until(lambda: len(venue.closes) == 1)
            await until(lambda: {"binance.trade.AAAUSDT", "binance.trade.BBBUSDT"} <= feed.topics)
            (connection,) = venue.connections
            await until(lambda: connection.names == {"aaausdt@trade", "bbbusdt@trade"})
            assert feed.reasons == [SCHEDULED]


async def test_an_audit_while_streams_are_added_and_refused_keeps_the_line() -> None:
    symbols = ["AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT"]
    with Venue(symbols, every_s=0.01) as venue:  # it closes lines that send more than five messages a second
        venue.on_subscribe = lambda names: (2, "no") if "bbbusdt@trade" in names else None
        async with fed(venue.ws_url, symbols[:2]) as feed:
            venue.connections[0].names.clear()
            feed.driver.lines.audit_due_ns = 0  # due
            for symbol in symbols[2:]:
                feed.driver.add_streams(SPOT.stream_specs(["trade"], [symbol]))
            names = {f"{symbol.lower()}@trade" for symbol in symbols} - {"bbbusdt@trade"}
            await until(lambda: venue.connections[0].names == names)
            venue.on_subscribe = lambda _names: None
            feed.driver.lines.audit_due_ns = 0
            await until(lambda: "bbbusdt@trade" in venue.connections[0].names)
            assert feed.driver.lines.subscriptions.lost == 1, "those added meanwhile were not lost"
            assert (venue.closes, feed.turns.purposes) == ([], ["connect"])


async def test_stop_does_not_wait_for_a_subscription_under_way() -> None:
    gate = Gate()
    with Venue(["AAAUSDT", "BBBUSDT"]) as venue:
        async with fed(venue.ws_url, ["AAAUSDT"]) as feed:
            venue.on_subscribe = gate.wait
            feed.driver.add_streams(SPOT.stream_specs(["trade"], ["BBBUSDT"]))
            await until(gate.reached.is_set)
        gate.go_on.set()


def test_the_driver_can_perform_whatever_the_machine_may_want() -> None:
    assert set(Driver._PERFORM) == set(typing.get_args(Action))


def test_the_step_that_fails_has_its_whole_time_before_the_attempt_is_given_up() -> None:
    settings = FeedSettings(
        shard=0,
        slot=0,
        slots=1,
        url="",
        lifetime_ns=1,
        origin_ns=0,
        overlap_limit_ns=1,
        min_overlap_ns=1,
        connect_timeout_s=10,
    )
    assert settings.rotation_policy.connect_timeout_ns > 2 * 10 * 10**9, "TCP, and the handshake"


async def test_a_stream_that_the_venue_refuses_on_the_new_line_keeps_the_old_one() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=0.01) as venue:
        del venue.flows["BBBUSDT"]  # quiet: it can prove nothing in an overlap
        async with fed(venue.ws_url, ["AAAUSDT", "BBBUSDT"], overlap_limit_s=1) as feed:
            feed.turns.turn.set()
            venue.on_subscribe = lambda names: (
                (2, "Invalid request: invalid stream") if "bbbusdt@trade" in names else None
            )
            feed.driver.rotate("operator")
            await until(lambda: feed.driver.lines.withheld(2, 1) == {"bbbusdt@trade"})
            await until(lambda: len(feed.turns.permits) == 2 and feed.turns.permits[1].given_back)
            assert feed.records == []
            assert feed.driver.machine.primary == 1
            venue.on_subscribe = lambda _names: None
            feed.driver.rotate("operator")
            await until(lambda: feed.records)
            assert feed.driver.machine.primary == 3


async def test_turns_that_fail_end_neither_reconnects_nor_rotations(monkeypatch: pytest.MonkeyPatch) -> None:
    failed_before = every.failures["feed"]
    async with running() as client, fed(f"ws://127.0.0.1:{client.port}", ["BTCUSDT"]) as feed:
        expire, turns = feed.driver.intake.expire, itertools.count()

        def expire_now_and_then(now_ns: int) -> None:
            if next(turns) % 2 == 0:
                raise ValueError("a defect")
            expire(now_ns)

        monkeypatch.setattr(feed.driver.intake, "expire", expire_now_and_then)
        await until(lambda: next(turns) > 4)
        await inject(client, kind="reset")
        await feed.live_on(2)
        feed.turns.turn.set()
        feed.driver.rotate("operator")
        await until(lambda: feed.records)
        assert feed.records[0].complete
        assert every.failures["feed"] > failed_before
        monkeypatch.undo()


@pytest.mark.parametrize("broken", ["begin", "try_refused"])
async def test_a_defect_while_a_line_comes_up_is_a_failed_attempt(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failed_before = every.failures["lines"]
    sound, calls = getattr(Subscriptions, broken), itertools.count()

    async def breaks_at_first(*arguments: Any, **named: Any) -> Any:
        if next(calls) == 0:
            raise ValueError("a defect")
        return await sound(*arguments, **named)

    monkeypatch.setattr(Subscriptions, broken, breaks_at_first)
    async with running() as client, fed(f"ws://127.0.0.1:{client.port}", ["BTCUSDT"], first_line=2) as feed:
        await until(lambda: feed.driver.intake.events)
    assert every.failures["lines"] == failed_before + 1


async def test_an_opening_that_breaks_off_is_a_failed_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as client, fed(f"ws://127.0.0.1:{client.port}", ["BTCUSDT"]) as feed:
        sound = feed.driver.lines.open

        def breaks_off(*_arguments: Any) -> None:
            monkeypatch.setattr(feed.driver.lines, "open", sound)
            raise ValueError("a defect")

        monkeypatch.setattr(feed.driver.lines, "open", breaks_off)
        await inject(client, kind="reset")
        await feed.live_on(3)


async def test_every_action_is_performed_whichever_of_them_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as client, fed(f"ws://127.0.0.1:{client.port}", ["BTCUSDT"]) as feed:
        failed_before = every.failures["feed"]

        def breaks_off(_record: RotationRecord) -> None:
            raise ValueError("a defect")

        monkeypatch.setattr(feed.driver, "_on_record", breaks_off)
        feed.driver.rotate("operator")
        feed.turns.turn.set()
        await feed.live_on(2)
        await until(lambda: all(permit.given_back for permit in feed.turns.permits))
        await until(lambda: feed.driver.lines.get(1) is None)
        assert feed.driver.intake.proof is None
        assert every.failures["feed"] == failed_before + 1


def test_nothing_in_the_feed_looks_at_the_machines_state() -> None:
    for path in Path(driver.__file__).parent.glob("*.py"):
        looked_at = [
            ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
        ]
        assert [words for words in looked_at if words.endswith("machine.state")] == [], path.name


async def test_the_record_hands_over_only_ids_that_prove_something() -> None:
    async with (
        running() as client,
        fed(f"ws://127.0.0.1:{client.port}", ["BTCUSDT"], kinds=("trade", "book_ticker")) as feed,
    ):
        feed.driver.rotate("operator")
        feed.turns.turn.set()
        await until(lambda: feed.records)
        assert feed.records[0].proven == 2
        assert [handover.topic for handover in feed.records[0].handovers] == ["binance.trade.BTCUSDT"]


async def test_a_line_that_pings_and_answers_and_brings_no_data_is_replaced() -> None:
    with Venue(["BTCUSDT"], every_s=0.01) as venue:
        async with fed(venue.ws_url, ["BTCUSDT"], stale_after_s=2) as feed:
            await until(lambda: feed.driver._watch._data._changes > LEARNED_AFTER)
            venue.flows.clear()

            def is_replaced() -> int:
                venue.ping()
                feed.driver.lines.audit_due_ns = 0  # each answer says that nothing is wrong
                return feed.driver.reconnects[SILENT]

            await until(is_replaced)


async def test_a_stream_that_falls_silent_is_told_of_once() -> None:
    symbols, told = ["AAAUSDT", "BBBUSDT"], list[list[int]]()
    with Venue(symbols, every_s=0.01) as venue:
        async with fed(venue.ws_url, symbols) as feed:
            feed.driver.on_withheld = told.append
            feed.driver._look_ns = 2**63  # it looks when it is told to
            heard_ns, quiet = feed.driver.intake.heard_ns, venue.flows["BBBUSDT"]
            await until(lambda: len(heard_ns) == 2 and all(heard_ns))

            async def look_after_more(at_s: int, *indexes: int) -> None:
                before = list(heard_ns)
                await until(lambda: all(heard_ns[index] != before[index] for index in indexes))
                feed.driver._look(at_s * 10**9)

            for second in range(LEARNED_AFTER + 1):
                await look_after_more(second, 0, 1)
            venue._loop.call_soon_threadsafe(venue.flows.pop, quiet.symbol)
            lane = feed.driver.intake.lanes[1]
            await until(lambda: quiet.symbol not in venue.flows and lane.last_id == quiet.trade_id)
            for at_s in (LEARNED_AFTER + 1, 100, 101):
                await look_after_more(at_s, 0)
    assert told == [[1]]


async def test_a_line_is_not_fresh_before_it_is_known_what_came_while_the_process_stood_still() -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with fed(venue.ws_url, ["AAAUSDT"]) as feed:
            await until(lambda: feed.driver.data_expected and feed.driver.fresh)
            time.sleep(ABSENT_NS / 1e9 + 0.1)  # noqa: ASYNC251 - the loop stands still: the time itself is the fault
            assert not feed.driver.fresh
            await until(lambda: feed.driver.fresh)
            assert feed.driver.data_expected, "nothing was learned from it"


def view(feed: Fed, **trades: int) -> MarketView:
    return MarketView(time.monotonic_ns(), {symbol: SymbolSeen(trade, None) for symbol, trade in trades.items()})


async def test_a_line_that_pings_and_brings_no_data_is_kept_while_the_venue_has_none() -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with fed(venue.ws_url, ["AAAUSDT"], stale_after_s=2) as feed:
            await until(lambda: feed.driver._watch._data._changes > LEARNED_AFTER)
            venue.pings_every_s = 0.1
            flow = venue.halt()["AAAUSDT"]
            await until(lambda: feed.driver._watch.asking)
            assert feed.driver.look_wanted is LookUrgency.AT_ONCE
            feed.driver.seen(view(feed, AAAUSDT=flow.trade_id))
            assert feed.driver.market_quiet
            assert not feed.driver._watch.asking
            feed.driver.seen(view(feed, AAAUSDT=flow.trade_id + 1))
            await until(lambda: feed.driver.reconnects[SILENT])
            feed.driver.seen(view(feed, AAAUSDT=flow.trade_id))
            assert not feed.driver.market_quiet, "a look tells nothing while there is no line"


async def test_a_stream_that_never_brings_anything_gets_another_line_once_the_venue_has_news_of_it() -> None:
    symbols = ["AAAUSDT", "BBBUSDT"]
    with Venue(symbols, every_s=0.01) as venue:
        venue.on_event = lambda stream, _: [] if stream.startswith("bbb") and len(venue.handshakes) < 2 else None
        async with fed(venue.ws_url, symbols) as feed:
            silence = feed.driver.silence
            await until(lambda: silence.unproven == {1})
            assert (silence.unproven, feed.driver.look_wanted) == ({1}, LookUrgency.NO)
            for trade in (5, 6, 7):
                await until(lambda: feed.driver.look_wanted is LookUrgency.AT_ONCE)
                feed.driver.seen(view(feed, BBBUSDT=trade))
            await until(lambda: silence.silent == {1})
            await until(lambda: "rotate" in feed.turns.purposes)
            feed.turns.turn.set()
            await until(lambda: feed.reasons == [SILENT_STREAM])
            await until(lambda: not silence.silent and not silence.unproven)


async def test_a_line_that_took_over_without_proof_is_followed_by_a_question_for_what_the_old_one_took_with_it() -> (
    None
):
    told: list[int] = []
    with Venue(["AAAUSDT"], every_s=0.01) as venue:
        async with fed(venue.ws_url, ["AAAUSDT"]) as feed:
            feed.driver.on_live = lambda: told.append(feed.driver.machine.primary or 0)
            venue.on_event = lambda *_: [] if len(venue.connections) > 1 else None
            feed.turns.turn.set()
            feed.driver.intake.flush()
            feed.driver.rotate("operator")
            await until(lambda: len(venue.connections) == 2)
            await until(lambda: feed.driver.machine.state is State.OVERLAP)
            feed.driver.lines.ended(1, "broken")
            assert feed.driver.machine.primary == 2
            assert told == [2]
            assert not feed.records[0].complete


async def test_it_is_told_that_a_line_carries_the_feed_again() -> None:
    told: list[int] = []
    async with running() as client, fed(f"ws://127.0.0.1:{client.port}", ["BTCUSDT"]) as feed:
        feed.driver.on_live = lambda: told.append(feed.driver.machine.primary or 0)
        await inject(client, kind="reset")
        await feed.live_on(2)
        await until(lambda: told == [2])


async def without_one_trade(venue: Venue, feed: Fed) -> int:
    """The venue does not deliver the next trade; its id."""
    lost: list[int] = []

    def drop(stream: str, data: dict[str, Any]) -> list[str] | None:
        if lost or not stream.endswith("@trade"):
            return None
        lost.append(data["t"])
        return []

    await until(lambda: feed.batches)
    venue.on_event = drop
    await until(lambda: feed.driver.intake.lanes[0].deadline_ns is not None)
    return lost[0]


async def test_what_is_held_back_goes_on_at_the_end() -> None:
    with Venue(["BTCUSDT"], every_s=0.01) as venue:
        async with fed(venue.ws_url, ["BTCUSDT"], hold_s=NEVER_S) as feed:
            lost = await without_one_trade(venue, feed)
            assert feed.batches[-1].last_id == lost - 1
    gap, *rest = [batch for batch in feed.batches if batch.first_id >= lost]
    assert (gap.schema, gap.first_id, gap.last_id) == (SCHEMA_OF[Gap], lost, lost)
    assert rest[0].first_id == lost + 1


async def test_a_hole_is_announced_although_nothing_more_comes() -> None:
    with Venue(["BTCUSDT"], every_s=0.01) as venue:
        async with fed(venue.ws_url, ["BTCUSDT"], hold_s=0.2) as feed:
            lost = await without_one_trade(venue, feed)
            venue.flows.clear()
            await until(lambda: any(batch.schema == SCHEMA_OF[Gap] for batch in feed.batches))
            assert next(batch for batch in feed.batches if batch.schema == SCHEMA_OF[Gap]).first_id == lost


async def test_a_refused_handshake_is_a_failed_attempt_and_teaches_the_parent() -> None:
    with Venue(["BTCUSDT"], every_s=0.01) as venue:
        refusals = iter([Answer(429, headers={"Retry-After": "7"})])
        venue.on_handshake = lambda: next(refusals, None)
        async with fed(venue.ws_url, ["BTCUSDT"], first_line=2) as feed:
            refused, let_in = feed.turns.answers
    assert isinstance(refused, AddressRefused)
    assert (refused.status, refused.retry_after_s, let_in) == (429, 7, None)


async def test_why_no_line_can_be_made_is_known_until_one_is() -> None:
    with Venue(["BTCUSDT"], every_s=0.01) as venue:
        async with fed(venue.ws_url, ["BTCUSDT"]) as feed:
            assert not feed.driver.lines.failure
            venue.on_handshake = lambda: Answer(503)
            venue.reset_all()
            await until(lambda: "503" in feed.driver.lines.failure)
            venue.on_handshake = lambda: None
            await until(lambda: not feed.driver.lines.failure)


async def test_a_book_waits_for_the_other_line_as_long_as_that_is_open() -> None:
    with Venue(["BTCUSDT"], every_s=0.01) as venue:
        async with fed(venue.ws_url, ["BTCUSDT"], close_timeout_s=NEVER_S, kinds=("depth",)) as feed:
            await until(lambda: feed.batches)
            (book,) = feed.driver.intake.lanes
            assert isinstance(book, BookLane)
            assert not book.patient
            feed.turns.turn.set()
            transport = venue.connections[0].transport
            assert transport is not None
            venue._loop.call_soon_threadsafe(transport.pause_reading)  # it will not see that it is closed
            feed.driver.rotate("operator")
            await until(lambda: feed.records)
            await feed.live_on(2)
            assert book.patient
            venue.reset_all()
            await until(lambda: not book.patient)
