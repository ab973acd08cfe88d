"""One shard whose streams need several connections, against a market on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

import pytest
import structlog
from structlog.testing import capture_logs

from k2workers.continuity import renumbered
from k2workers.errors import StateError
from k2workers.events import LATE, SCHEMA_OF, AggTrade, BookSnapshot, Gap, Trade
from k2workers.feed.driver import Driver
from k2workers.feed.feed_settings import FeedSettings
from k2workers.feed.shard import Shard
from k2workers.feed.silence import MarketView
from k2workers.rotation.policy import REASONS
from k2workers.rotation.record import RotationRecord
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.venues.binance.streams import CHAIN
from k2workers.venues.market_evidence import SymbolSeen, top_of
from k2workers.wire import Batch, decode_batch
from tests.fakes import TurnsAndWeight
from tests.support.numberings import begin_anew
from tests.support.two_routes import MARKET, NAME, PUBLIC, TwoRoutes, keep_apart
from tests.support.venue import Venue
from tests.support.waiting import WAIT_S, until

VENUE = TwoRoutes()
HOUR_NS = 3_600_000_000_000
NEVER_S = 10 * WAIT_S
KINDS = ("trade", "book_ticker")
TRADES, AGGREGATES, TOPS = (f"{NAME}.{kind}.AAAUSDT" for kind in ("trade", "agg_trade", "book_ticker"))
CHAINS = {TRADES: SCHEMA_OF[Trade], AGGREGATES: SCHEMA_OF[AggTrade]}


class Sharded:
    """A shard, and what came of it. Its routes' permissions are apart."""

    def __init__(self, venue: Venue, symbols: Sequence[str], kinds: Sequence[str]) -> None:
        self.turns: dict[int, TurnsAndWeight] = {}
        """By slot."""
        self.batches: list[Batch] = []
        self.records: list[RotationRecord] = []
        settings = FeedSettings(
            shard=3,
            slot=6,
            slots=8,
            url=venue.ws_url,
            lifetime_ns=HOUR_NS,
            origin_ns=time.monotonic_ns(),
            connect_timeout_s=NEVER_S,
            close_timeout_s=1,
            min_overlap_ns=0,
            overlap_limit_ns=int(NEVER_S * 1e9),
            stale_after_ns=int(NEVER_S * 1e9),
            hold_ns=0,
        )
        self.history = VENUE.history(venue.rest_url, None, 1_000)
        self.shard = Shard(
            settings,
            VENUE,
            VENUE.stream_specs(kinds, symbols),
            history=self.history,
            permissions=self._permissions,
            push=self.batches.extend,
            on_record=self.records.append,
            observe_latency=lambda _: None,
        )

    def _permissions(self, slot: int) -> TurnsAndWeight:
        self.turns[slot] = TurnsAndWeight()
        self.turns[slot].turn.set()
        return self.turns[slot]

    @property
    def drivers(self) -> list[Driver]:
        return [feed.driver for feed in self.shard]

    def of(self, topic: str, schema: int = SCHEMA_OF[Trade]) -> list[int]:
        """The ids that came of a topic, in order."""
        return [
            event.first_id
            for batch in self.batches
            if batch.topic == topic and batch.schema == schema
            for event in decode_batch(batch)
        ]


@contextlib.asynccontextmanager
async def sharded(
    venue: Venue, *symbols: str, kinds: Sequence[str] = KINDS, published: dict[str, PublishedPosition] | None = None
) -> AsyncIterator[Sharded]:
    """One that is live on all its routes; stopped at the end."""
    made = Sharded(venue, symbols, kinds)
    if published:
        made.shard.published(published)
    async with made.history:
        made.shard.start()
        try:
            await until(lambda: made.shard.live)
            yield made
        finally:
            async with asyncio.timeout(WAIT_S):
                await made.shard.stop()


def market(*symbols: str) -> Venue:
    return keep_apart(Venue(symbols or ["AAAUSDT"], every_s=0.01))


async def test_each_route_is_a_connection_with_its_address_its_streams_and_its_turn() -> None:
    with market("AAAUSDT", "BBBUSDT") as venue:
        async with sharded(venue, "AAAUSDT", "BBBUSDT") as fed:
            assert {connection.path: connection.names for connection in venue.connections} == {
                MARKET: {"aaausdt@trade", "bbbusdt@trade"},
                PUBLIC: {"aaausdt@bookTicker", "bbbusdt@bookTicker"},
            }
            await until(lambda: fed.shard.total(lambda feed: feed.driver.topics.streams_seen) == 4)
            assert {batch.topic for batch in fed.batches} >= {TRADES, TOPS}
            assert [turns.purposes for turns in fed.turns.values()] == [["connect"], ["connect"]]
            assert list(fed.turns) == [6, 7]
            due_ns = [driver.settings.next_due_ns(time.monotonic_ns()) for driver in fed.drivers]
            assert due_ns[1] - due_ns[0] == HOUR_NS // 8


async def test_nothing_is_lost_or_repeated_when_both_routes_rotate() -> None:
    with market() as venue:
        async with sharded(venue, "AAAUSDT", kinds=("trade", "agg_trade")) as fed:
            for rounds in (1, 2):
                for driver in fed.drivers:
                    driver.rotate("operator")
                await until(lambda rounds=rounds: len(fed.records) == 2 * rounds)
            newest_id = venue.flows["AAAUSDT"].trade_id
            await until(lambda: all(fed.of(topic, schema)[-1] >= newest_id for topic, schema in CHAINS.items()))
            for topic, schema in CHAINS.items():
                ids = fed.of(topic, schema)
                assert ids == list(range(ids[0], ids[-1] + 1))
            assert not fed.shard.total(lambda feed: feed.intake.missing)
            assert sorted(record.route for record in fed.records) == ["market", "market", "public", "public"]
            assert fed.shard.by_label(lambda feed: feed.driver.rotations) == {
                **dict.fromkeys(REASONS, 0),
                "operator": 4,
            }


async def test_a_route_that_loses_its_connection_leaves_the_other_alone_and_the_shard_is_not_live() -> None:
    with market() as venue:
        async with sharded(venue, "AAAUSDT") as fed:
            trades, tops = fed.drivers
            await until(lambda: fed.shard.fresh and all(feed.intake.events for feed in fed.shard))
            venue.closed.add(MARKET)
            venue.reset(MARKET)
            await until(lambda: not trades.live)
            assert not fed.shard.live
            assert not fed.shard.fresh
            assert fed.shard.weakest is trades
            assert fed.shard.next_rotation_s == 0
            before = fed.shard.total(lambda feed: feed.intake.events)
            await until(lambda: fed.shard.total(lambda feed: feed.intake.events) > before)
            assert (tops.live, tops.fresh, tops.reconnects.total()) == (True, True, 0)
            assert fed.shard.lifetime_s == pytest.approx(tops.lifetime_s, abs=1)
            lost_id = venue.flows["AAAUSDT"].trade_id
            venue.closed.clear()
            await until(lambda: fed.shard.live)
            assert sum(fed.shard.by_label(lambda feed: feed.driver.reconnects).values()) == 1

            def whole() -> bool:
                ids = fed.of(TRADES)
                came = {*ids, *fed.of(TRADES, LATE + SCHEMA_OF[Trade])}
                return ids[-1] > lost_id and sorted(came) == list(range(ids[0], ids[-1] + 1))

            await until(whole, "what was missed is fetched")


async def test_the_route_that_rotates_speaks_for_a_shard_whose_others_only_carry() -> None:
    with market() as venue:
        async with sharded(venue, "AAAUSDT") as fed:
            _, tops = fed.drivers
            await until(lambda: fed.shard.fresh)
            venue.on_event = lambda stream, _: (
                [] if stream.endswith("@bookTicker") else None
            )  # nothing can prove itself
            tops.rotate("operator")
            await until(lambda: tops.machine.standby is not None)
            assert fed.shard.weakest is tops


async def test_every_topic_continues_after_what_was_published_of_it() -> None:
    published = {topic: PublishedPosition(990, [], CHAIN.number) for topic in CHAINS}
    with market() as venue:  # its first ids are 1001
        async with sharded(venue, "AAAUSDT", kinds=("trade", "agg_trade"), published=published) as fed:
            await until(lambda: all(fed.of(topic, schema) for topic, schema in CHAINS.items()))
            assert [fed.of(topic, SCHEMA_OF[Gap]) for topic in CHAINS] == [[991], [991]]


async def test_what_is_told_of_topics_reaches_each_on_its_route_and_what_they_tell_is_joined() -> None:
    with market() as venue:
        async with sharded(venue, "AAAUSDT", kinds=("trade", "agg_trade")) as fed:
            shard = fed.shard
            await until(lambda: all(len(fed.of(topic, schema)) > 5 for topic, schema in CHAINS.items()))
            first_id = {topic: fed.of(topic, schema)[0] for topic, schema in CHAINS.items()}
            lost = {topic: (CHAIN.number, [(first_id[topic] + 1, first_id[topic] + 2)]) for topic in CHAINS}
            shard.reopen(lost)
            assert shard.open_gaps() == lost
            shard.announce({topic: (CHAIN.number, [(first_id[topic] + 3, first_id[topic] + 3)]) for topic in CHAINS})
            assert shard.reached().keys() == CHAINS.keys()
            for topic, schema in CHAINS.items():
                assert fed.of(topic, SCHEMA_OF[Gap]) == [first_id[topic] + 3]
                await until(lambda topic=topic, schema=schema: len(fed.of(topic, LATE + schema)) == 3)
                assert sorted(fed.of(topic, LATE + schema)) == [first_id[topic] + more for more in (1, 2, 3)]
            assert shard.open_gaps() == {}
            assert shard.begun() == {}
            for feed in shard:
                begin_anew(feed.intake, 0, 1)
            assert shard.begun() == {topic: (renumbered(CHAIN.number), 1) for topic in CHAINS}


async def test_a_topic_that_is_told_late_goes_on_from_there_on_whichever_route_it_is() -> None:
    quiet = f"{NAME}.agg_trade.BBBUSDT"
    with market("AAAUSDT", "BBBUSDT") as venue:
        venue.on_event = lambda stream, _: [] if stream.startswith("bbb") else None
        async with sharded(venue, "AAAUSDT", "BBBUSDT", kinds=("trade", "agg_trade")) as fed:
            known_id = venue.flows["BBBUSDT"].trade_id
            await until(lambda: venue.flows["BBBUSDT"].trade_id > known_id)
            fed.shard.published({quiet: PublishedPosition(known_id, [], CHAIN.number)})
            await until(lambda: fed.of(quiet, SCHEMA_OF[AggTrade]))
            assert fed.of(quiet, SCHEMA_OF[AggTrade])[0] == known_id + 1


async def test_streams_that_are_added_are_on_their_route_and_one_that_no_stream_needed_before_begins() -> None:
    with market("AAAUSDT", "BBBUSDT") as venue:
        async with sharded(venue, "AAAUSDT", kinds=("book_ticker",)) as fed:
            fed.shard.published({TRADES: PublishedPosition(900, [], CHAIN.number)})
            specs = VENUE.stream_specs(KINDS, ["AAAUSDT", "BBBUSDT"])
            fed.shard.add_streams([spec for spec in specs if spec.name != "aaausdt@bookTicker"])
            await until(lambda: fed.shard.live and len(fed.drivers) == 2)
            await until(lambda: fed.shard.total(lambda feed: feed.driver.topics.streams_seen) == 4)
            names = {connection.path: connection.names for connection in venue.connections}
            assert names[PUBLIC] == {"aaausdt@bookTicker", "bbbusdt@bookTicker"}
            assert names[MARKET] == {"aaausdt@trade", "bbbusdt@trade"}
            assert list(fed.turns) == [6, 7]


async def test_streams_that_are_added_when_it_already_stops_begin_nothing() -> None:
    with market() as venue:
        async with sharded(venue, "AAAUSDT", kinds=("book_ticker",)) as fed:
            stopping = asyncio.ensure_future(fed.shard.stop())
            await asyncio.sleep(0)  # it has begun
            assert not fed.shard.add_streams(VENUE.stream_specs(KINDS, ["AAAUSDT", "BBBUSDT"]))
            await stopping
            assert (len(fed.drivers), list(fed.turns)) == (1, [6])


async def test_a_route_that_fails_to_stop_keeps_nothing_else_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise StateError("a defect")

    with market() as venue:
        async with sharded(venue, "AAAUSDT") as fed:
            trades, tops = fed.shard
            with monkeypatch.context() as broken:
                broken.setattr(trades.driver, "stop", fail)
                with pytest.raises(StateError, match="a defect"):
                    await fed.shard.stop()
            assert not tops.driver.lines._tasks, "its line is closed"
            assert [feed.backfiller._looking._loop for feed in fed.shard] == [None, None]
            assert trades.driver.live


async def test_ids_that_begin_anew_on_one_route_are_expected_to_on_the_others() -> None:
    with market() as venue:
        async with sharded(venue, "AAAUSDT", kinds=("trade", "agg_trade")) as fed:
            trades, aggregates = fed.shard
            await until(lambda: trades.intake.events and aggregates.intake.events)
            begin_anew(trades.intake, 0, 1)
            doubts = aggregates.intake.lanes[0]._doubts
            assert doubts is not None
            assert doubts._expected
            assert trades.intake.lanes[0]._doubts is None or not trades.intake.lanes[0]._doubts._expected


async def test_a_look_at_the_market_is_wanted_and_judged_on_every_route() -> None:
    with market() as venue:
        async with sharded(venue, "AAAUSDT") as fed:
            await until(lambda: fed.shard.fresh and all(feed.intake.events for feed in fed.shard))
            assert not fed.shard.market_quiet
            flow = venue.halt()["AAAUSDT"]
            await until(lambda: fed.shard.look_wanted)

            def are_quiet() -> bool:
                fed.shard.seen(
                    MarketView(time.monotonic_ns(), {"AAAUSDT": SymbolSeen(flow.trade_id, top_of(*flow.top))})
                )
                return all(len(driver.silence.quiet) == 1 for driver in fed.drivers)

            await until(are_quiet)


async def test_what_a_look_shows_that_no_line_brought_is_fetched_on_its_route() -> None:
    with market() as venue:
        async with sharded(venue, "AAAUSDT") as fed:
            fed.turns[6].turn.clear()  # no other line will bring it
            await until(lambda: all(feed.intake.events for feed in fed.shard))
            venue.on_event = lambda stream, _: [] if stream.endswith("@trade") else None
            unheard_id = venue.flows["AAAUSDT"].trade_id + 2
            await until(lambda: venue.flows["AAAUSDT"].trade_id > unheard_id)
            flow = venue.halt()["AAAUSDT"]

            def is_fetched() -> bool:
                fed.shard.seen(MarketView(time.monotonic_ns(), {"AAAUSDT": SymbolSeen(flow.trade_id, None)}))
                return fed.of(TRADES)[-1] == flow.trade_id

            await until(is_fetched)


async def test_books_that_nobody_keeps_are_published_anew_on_their_route() -> None:
    topic = f"{NAME}.depth.AAAUSDT"
    with market() as venue:
        async with sharded(venue, "AAAUSDT", kinds=("trade", "depth")) as fed:
            await until(lambda: fed.of(topic, SCHEMA_OF[BookSnapshot]))
            assert fed.shard.publish_books([f"{NAME}.depth."], frozenset()) == 1
            await until(lambda: len(fed.of(topic, SCHEMA_OF[BookSnapshot])) == 2)


async def test_what_is_logged_names_the_route_where_there_are_several() -> None:
    merged = [structlog.contextvars.merge_contextvars]
    with market() as venue, capture_logs(processors=merged) as logs:
        async with sharded(venue, "AAAUSDT"):
            pass
        async with sharded(venue, "AAAUSDT", kinds=("trade",)):
            pass
    live = [line for line in logs if line["event"] == "connection_live"]
    assert sorted(line["route"] for line in live) == ["market", "market", "public"]
