"""REST as a repair, against the embedded exchange: which ids come, and what a reply proves."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from k2workers.continuity import Repair
from k2workers.errors import AddressRefused, EndpointMissing, VenueError, VenueRefused
from k2workers.events import AggTrade, Event, Kline, Trade, covered_ids
from k2workers.venues.binance.endpoints import SURE_AFTER_NS
from k2workers.venues.binance.history import BACKFILLS, PAGE, BinanceHistory, trades_within, void_aggregates
from k2workers.venues.binance.rows import AggTradeRow
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.streams import KINDS, StreamKind
from k2workers.venues.venue import Topic
from tests.simulator.support import Client, collect, running
from tests.support.venue import Answer, Venue

SPOT = BinanceSpot()
AT_US = 1_700_000_000_000_000


def topic(kind: str) -> Topic:
    codec = SPOT.codec(SPOT.stream_specs([kind], ["BTCUSDT"]))
    return codec.topics[0]


def history(client: Client) -> BinanceHistory:
    return BinanceHistory(f"http://127.0.0.1:{client.port}", book_levels=100)


async def some_ids(client: Client, name: str, key: str) -> list[int]:
    socket = await client.connect(f"/ws/btcusdt@{name}?timeUnit=MICROSECOND")
    return [event[key] for event in await collect(socket, lambda events: len(events) > 60)]


@pytest.mark.parametrize("attempt", [0, 1], ids=["memory", "database"])
async def test_missed_trades_come_as_the_stream_would_have_brought_them(attempt: int) -> None:
    async with running() as client:
        socket = await client.connect("/ws/btcusdt@trade?timeUnit=MICROSECOND")
        events = await collect(socket, lambda events: len(events) > 60)
        async with history(client) as rest:
            reply = await rest.fetch(topic("trade"), events[10]["t"], events[19]["t"], attempt)
        assert [event.first_id for event in reply.events] == [event["t"] for event in events[10:20]]
        trade, seen = reply.events[0], events[10]
        assert isinstance(trade, Trade)
        assert (trade.price, trade.quantity, trade.buyer_is_maker) == (seen["p"], seen["q"], seen["m"])
        assert trade.trade_time_ns == seen["T"] * 1000
        assert reply.covered is not None
        assert reply.covered[0] <= events[10]["t"] <= events[19]["t"] <= reply.covered[1]
        assert rest.used_weight == 25 == rest.weight(topic("trade"))


async def test_missed_aggregates_come_with_their_range() -> None:
    async with running() as client:
        ids = await some_ids(client, "aggTrade", "a")
        async with history(client) as rest:
            reply = await rest.fetch(topic("agg_trade"), ids[5], ids[7], 0)
        assert [event.first_id for event in reply.events] == ids[5:8]
        assert all(
            isinstance(event, AggTrade) and event.last_trade_id >= event.first_trade_id for event in reply.events
        )


async def test_missed_bars_come_final() -> None:
    async with running() as client:
        socket = await client.connect("/ws/btcusdt@kline_1s?timeUnit=MICROSECOND")
        events = await collect(socket, lambda events: len(events) > 2)
        first_ns, next_ns = events[0]["k"]["t"] * 1000, events[2]["k"]["t"] * 1000
        async with history(client) as rest:
            reply = await rest.fetch(topic("kline_1s"), first_ns, next_ns - 1, 0)
        bars = [event for event in reply.events if isinstance(event, Kline)]
        assert [bar.open_time_ns for bar in bars] == [event["k"]["t"] * 1000 for event in events[:2]]
        assert [(bar.close, bar.volume, bar.final) for bar in bars] == [
            (event["k"]["c"], event["k"]["v"], True) for event in events[:2]
        ]


async def test_a_reply_speaks_for_nothing_that_it_does_not_reach() -> None:
    async with running() as client:
        ids = await some_ids(client, "trade", "t")
        async with history(client) as rest:
            beyond = await rest.fetch(topic("trade"), ids[-1] + 10**6, ids[-1] + 10**6 + 5, 1)
        assert (beyond.events, beyond.covered) == ([], None)


async def test_a_book_has_levels_and_an_id() -> None:
    async with running() as client:
        async with history(client) as rest:
            fetched = await rest.book(topic("depth"), deep=True)
        assert not fetched.cut
        book = fetched.snapshot
        assert float(book.bids[0][0]) < float(book.asks[0][0])
        assert book.last_update_id > 0


@pytest.mark.parametrize("levels", [(100, 5), (500, 25), (1000, 50), (5000, 250)])
def test_the_price_of_a_book_depends_on_its_levels(levels: tuple[int, int]) -> None:
    rest = BinanceHistory("http://x", book_levels=levels[0])
    assert (rest.book_weight(topic("depth"), deep=True), rest.book_weight(topic("depth"), deep=False)) == (levels[1], 5)


async def test_a_refusal_says_how_long() -> None:
    refusals = ("rest_429:retry_after_s=9,path=depth", "rest_418:path=trades", "rest_5xx")
    async with running(faults=refusals) as client, history(client) as rest:
        with pytest.raises(AddressRefused) as limited:
            await rest.book(topic("depth"), deep=True)
        assert (limited.value.status, limited.value.retry_after_s) == (429, 9)
        with pytest.raises(AddressRefused) as banned:
            await rest.fetch(topic("trade"), 1, 2, 0)
        assert banned.value.status == 418
        with pytest.raises(VenueError, match="HTTP 502"):
            await rest.fetch(topic("agg_trade"), 1, 2, 0)


ODD_ROWS = [None, 7, {}, {"id": None, "price": "1", "qty": "1", "time": AT_US, "isBuyerMaker": True}, {"id": 2**70}]


@pytest.mark.parametrize("odd", ODD_ROWS)
@pytest.mark.parametrize("attempt", [0, 1], ids=["memory", "database"])
async def test_a_row_that_cannot_be_read_costs_neither_the_others_nor_makes_its_id_void(odd: Any, attempt: int) -> None:
    def trades(first: int) -> list[Any]:
        rows = [{"id": n, "price": "1", "qty": "1", "time": AT_US, "isBuyerMaker": True} for n in range(first, 1_020)]
        return [odd if row["id"] == 1_010 else row for row in rows]

    with Venue() as venue:
        venue.on_rest = lambda path, query: Answer(200, trades(int(query.get("fromId", 1_000))))
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            reply = await rest.fetch(topic("trade"), 1_005, 1_015, attempt)
            assert [event.first_id for event in reply.events] == [*range(1_005, 1_010), *range(1_011, 1_016)]
            assert reply.covered == (1_005 if attempt else 1_000, 1_009)
            assert rest.rows_dropped == 1
            # Asked for what is left: of the id that nobody can read, nothing is said.
            reply = await rest.fetch(topic("trade"), 1_010, 1_010, attempt)
            assert (reply.events, reply.covered) == ([], (1_011, 1_019))


async def test_rows_that_cannot_be_read_are_logged_once_in_a_while_for_each_endpoint_and_host() -> None:
    with Venue() as venue, capture_logs() as logs:
        venue.on_rest = lambda _path, _query: Answer(200, [None])
        for _ in range(3):
            async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
                await rest.fetch(topic("agg_trade"), 1_005, 1_015, 0)
                await rest.fetch(topic("kline_1m"), 1_005, 1_015, 0)
    told = [(line["path"], line["count"]) for line in logs if line["event"] == "rest_rows_dropped"]
    assert told == [("aggTrades", 1), ("klines", 1)]


@pytest.mark.parametrize(
    ("kind", "attempt", "count", "full"),
    [
        ("agg_trade", 0, PAGE, True),
        ("agg_trade", 0, PAGE - 1, False),
        ("trade", 1, PAGE, True),
        ("trade", 1, PAGE - 1, False),
        ("trade", 0, PAGE, False),
    ],
    ids=["aggregates", "all aggregates", "database", "all of the database", "the newest"],
)
async def test_a_reply_tells_whether_there_may_be_more_above_it(
    kind: str, attempt: int, count: int, full: bool
) -> None:
    key = "a" if kind == "agg_trade" else "id"
    with Venue() as venue:
        rows: list[Any] = [{**ROWS[kind], key: number} for number in range(4, 4 + count)]
        venue.on_rest = lambda _path, _query: Answer(200, rows)
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            assert (await rest.fetch(topic(kind), 5, 6, attempt)).full is full
            rows[-1] = None
            assert (await rest.fetch(topic(kind), 5, 6, attempt)).full, "of what it cannot tell nothing is known"


@pytest.mark.parametrize(
    ("kind", "row", "key"),
    [
        ("agg_trade", {"a": 5, "p": "1", "q": "1", "f": 1, "l": 1, "T": AT_US, "m": True}, "a"),
        ("kline_1m", [AT_US, "1", "1", "1", "1", "1", 0, "1", 1, "1", "1"], 0),
    ],
)
async def test_odd_rows_of_aggregates_and_bars_are_left_out_alone(kind: str, row: Any, key: Any) -> None:
    def numbered(number: int) -> Any:
        copy = type(row)(row)
        copy[key] = base + number
        if isinstance(copy, list):
            copy[6] = base + number + 1
        return copy

    base, unit, after = (AT_US, 1_000, 1_000) if kind == "kline_1m" else (0, 1, 0)
    with Venue() as venue:
        rows = [numbered(1), numbered(2), None, numbered(4)]
        venue.on_rest = lambda _path, _query: Answer(200, rows)
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            reply = await rest.fetch(topic(kind), (base + 1) * unit, (base + 4) * unit, 0)
            assert [event.first_id for event in reply.events] == [(base + n) * unit for n in (1, 2, 4)]
            assert reply.covered == ((base + 1) * unit, (base + 2) * unit + after)


async def test_an_odd_level_rejects_its_book_which_would_be_wrong_without_it() -> None:
    with Venue() as venue:
        venue.on_rest = lambda _path, _query: Answer(200, {"lastUpdateId": 5, "bids": [["1", "1"], None], "asks": []})
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            with pytest.raises(VenueError, match="not understood"):
                await rest.book(topic("depth"), deep=True)


ROWS: dict[str, Any] = {
    "trade": {"id": 5, "price": "1.5", "qty": "2", "time": AT_US, "isBuyerMaker": True},
    "agg_trade": {"a": 5, "p": "1.5", "q": "2", "f": 1, "l": 1, "T": AT_US, "m": True},
    "kline_1m": [AT_US, "1", "1", "1", "1", "1", AT_US + 59_999_999, "1", 1, "1", "1"],
}
TIMES: dict[str, list[str | int]] = {"trade": ["time"], "agg_trade": ["T"], "kline_1m": [0, 6]}


async def fetched(kind: str, row: Any) -> list[Event]:
    with Venue() as venue:
        venue.on_rest = lambda _path, _query: Answer(200, [row])
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            return (await rest.fetch(topic(kind), 5 if kind != "kline_1m" else AT_US * 1_000, 5, 1)).events


@pytest.mark.parametrize("kind", ROWS)
async def test_rows_tell_the_unit_of_their_times_whatever_was_asked_for(kind: str) -> None:
    (expected,) = await fetched(kind, ROWS[kind])
    for divisor in (1, 1_000):
        row = ROWS[kind].copy()
        for key in TIMES[kind]:
            row[key] = row[key] // divisor
        (event,) = await fetched(kind, row)
        for name in expected.__struct_fields__:
            right, value = getattr(expected, name), getattr(event, name)
            if name != "received_ns":
                assert value == (right // (1_000 * divisor) * 1_000 * divisor if name.endswith("time_ns") else right)
        assert covered_ids(event) == covered_ids(expected)


@pytest.mark.parametrize("kind", ROWS)
async def test_a_row_whose_values_cannot_be_is_no_event(kind: str) -> None:
    row = ROWS[kind]
    for key, value in row.items() if isinstance(row, dict) else enumerate(row):
        odd: list[Any] = ["abc", "", "NaN", "-1", "1e5", " 1", "1\n", None] if isinstance(value, str) else []
        for bad in [0, 7, AT_US // 1_000_000] if key in TIMES[kind] else odd:
            copy = row.copy()
            copy[key] = bad
            assert await fetched(kind, copy) == []


async def test_an_aggregate_or_bar_that_contradicts_itself_is_no_event() -> None:
    assert await fetched("agg_trade", {**ROWS["agg_trade"], "f": 9}) == []
    row = ROWS["kline_1m"].copy()
    row[6] = AT_US
    assert await fetched("kline_1m", row) == []


async def test_an_invalidated_aggregate_needs_no_time() -> None:
    with Venue() as venue:
        rows = [{"a": 5, "p": "0", "q": "0", "f": -1, "l": -1, "T": 0, "m": True}]
        venue.on_rest = lambda _path, _query: Answer(200, rows)
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            reply = await rest.fetch(topic("agg_trade"), 5, 5, 0)
            assert (reply.events, reply.covered, rest.rows_dropped) == ([], (5, 5), 0)


async def test_levels_of_a_book_may_have_more_elements_than_two() -> None:
    with Venue() as venue:
        venue.on_rest = lambda _path, _query: Answer(
            200, {"lastUpdateId": 5, "bids": [["1.5", "1", []]], "asks": [["2", "3"]]}
        )
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            book = (await rest.book(topic("depth"), deep=True)).snapshot
            assert (book.bids, book.asks) == ([("1.5", "1")], [("2", "3")])


@pytest.mark.parametrize("odd", ["abc", "", ".", "NaN", "-1", "1e5", " 1"])
async def test_a_book_with_a_level_that_is_no_decimal_is_rejected(odd: str) -> None:
    with Venue() as venue:
        venue.on_rest = lambda _path, _query: Answer(200, {"lastUpdateId": 5, "bids": [["1", odd]], "asks": []})
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            with pytest.raises(VenueError, match="not understood"):
                await rest.book(topic("depth"), deep=True)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_repair_that_is_promised_can_be_asked_for(kind: StreamKind) -> None:
    assert (kind.event_type in BACKFILLS) == (kind.continuity.repair in {Repair.IDS, Repair.TIME})


def aggregate(number: int, first: int, last: int) -> AggTradeRow:
    return AggTradeRow(number, "1", "1", first, last, AT_US, True)


def test_trades_between_aggregates_that_follow_each_other_never_existed() -> None:
    rows = [
        aggregate(1, 10, 12),
        aggregate(2, 16, 16),
        aggregate(3, 17, 18),
        aggregate(5, 30, 30),
        aggregate(6, 32, 33),
    ]
    assert trades_within(rows) == ([(13, 15), (31, 31)], [(10, 12), (16, 16), (17, 18), (30, 30), (32, 33)])
    assert trades_within([rows[0], None, rows[1]]) == ([], [(10, 12), (16, 16)])
    invalidated = aggregate(2, -1, -1)
    assert trades_within([aggregate(1, 10, 12), invalidated, aggregate(3, 15, 15)])[0] == [], "they may be its own"
    assert trades_within([]) == ([], [])


def test_aggregates_between_trades_that_follow_each_other_never_existed() -> None:
    rows = [aggregate(1, 10, 12), aggregate(2, 13, 13), aggregate(9, 14, 15), aggregate(12, 17, 17)]
    assert void_aggregates(rows) == [(3, 8)]
    assert void_aggregates([rows[1], None, rows[2]]) == []
    assert void_aggregates([aggregate(1, 10, 12), aggregate(2, -1, -1), aggregate(3, 13, 13)]) == [(2, 2)]


async def test_a_look_at_doubted_trades_finds_proof_in_the_aggregates() -> None:
    with Venue(["BTCUSDT"], every_s=1000) as venue:
        flow = venue.flows["BTCUSDT"]
        for us in (1, 2):
            flow.step(AT_US + us)
        flow.skip(trades=5)
        flow.step(AT_US + 3)
        first = flow.trade_id - 5
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            plain = await rest.fetch(topic("trade"), first, first + 4, 1)
            assert (plain.events, plain.covered, plain.void) == ([], (first, first + 5), [])
            looked = await rest.fetch(topic("trade"), first, first + 4, 1, doubted=True)
            assert looked.void == [(first, first + 4)]
            assert rest.weight(topic("trade"), doubted=True) == rest.weight(topic("trade")) + 4
            # Nothing is known of what lies behind the newest.
            assert (await rest.fetch(topic("trade"), flow.trade_id + 1, flow.trade_id + 5, 1, doubted=True)).void == []
            assert len(venue.asked("aggTrades")) == 1


@pytest.mark.parametrize("hidden", [-1, 5])
async def test_aggregates_prove_nothing_of_trades_whose_neighbours_rest_does_not_show(hidden: int) -> None:
    with Venue(["BTCUSDT"], every_s=1000) as venue:
        flow = venue.flows["BTCUSDT"]
        for us in (1, 2):
            flow.step(AT_US + us)
        flow.skip(trades=5)
        for us in (3, 4):
            flow.step(AT_US + us)
        first = flow.trade_id - 6
        shown = [entry for entry in flow.trades if entry["id"] != first + hidden]
        venue.on_rest = lambda path, _query: Answer(200, shown) if path == "historicalTrades" else None
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            looked = await rest.fetch(topic("trade"), first, first + 4, 1, doubted=True)
        assert len(venue.asked("aggTrades")) == 1
        assert (looked.void, looked.covered) == ([], (first, flow.trade_id))


def lacks(venue: Venue, *paths: str, status: int = 404) -> None:
    venue.on_rest = lambda path, _query: Answer(status, {"code": 0, "msg": "Not here."}) if path in paths else None


async def twice(rest: BinanceHistory, kind: str, path: str) -> None:
    """The host says two times that it lacks this endpoint, some time apart."""
    with pytest.raises(VenueRefused):
        await rest.fetch(topic(kind), 1_001, 2_500, 1)
    rest.endpoints._refused[path].since_ns -= SURE_AFTER_NS


async def test_a_host_without_historical_trades_is_asked_for_its_memory() -> None:
    with Venue(["BTCUSDT"], every_s=1000) as venue:
        flow = venue.flows["BTCUSDT"]
        for us in range(1, 1_501):
            flow.step(AT_US + us)
        newest = flow.trade_id
        lacks(venue, "historicalTrades")
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            await twice(rest, "trade", "historicalTrades")
            with pytest.raises(VenueRefused):
                await rest.fetch(topic("trade"), 1_001, 2_500, 1)
            reply = await rest.fetch(topic("trade"), 1_001, newest, 1)
            assert [event.first_id for event in reply.events] == list(range(newest - 999, newest + 1))
            assert reply.unavailable == [(1_001, newest - 1_000)]
            assert (await rest.fetch(topic("trade"), newest, newest, 1)).unavailable == []
            lacks(venue, "historicalTrades", "trades")
            with pytest.raises(VenueRefused):
                await rest.fetch(topic("trade"), 1_001, newest, 1)
            assert (await rest.fetch(topic("trade"), 1_001, newest, 1)).unavailable == []
            rest.endpoints._refused["trades"].since_ns -= SURE_AFTER_NS
            with pytest.raises(VenueRefused):
                await rest.fetch(topic("trade"), 1_001, newest, 1)
            assert (await rest.fetch(topic("trade"), 1_001, newest, 1)).unavailable == [(1_001, newest)]
        assert len(venue.asked("historicalTrades")) == 2


async def test_right_after_it_was_not_found_the_memory_is_asked_and_nothing_given_up() -> None:
    with Venue(["BTCUSDT"], every_s=1000) as venue:
        venue.flows["BTCUSDT"].step(AT_US)
        lacks(venue, "historicalTrades")
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            with pytest.raises(VenueRefused):
                await rest.fetch(topic("trade"), 500, 1_001, 1)
            reply = await rest.fetch(topic("trade"), 500, 1_001, 2)
            assert ([event.first_id for event in reply.events], reply.unavailable) == ([1_001], [])


@pytest.mark.parametrize(("kind", "path"), [("agg_trade", "aggTrades"), ("kline_1m", "klines")])
async def test_what_a_host_has_no_endpoint_for_is_not_asked_for(kind: str, path: str) -> None:
    with Venue(["BTCUSDT"], every_s=1000) as venue:
        lacks(venue, path, "depth")
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            await twice(rest, kind, path)
            with pytest.raises(VenueRefused):
                await rest.fetch(topic(kind), 1, 2, 1)
            assert (await rest.fetch(topic(kind), 1, 2, 1)).unavailable == [(1, 2)]
            with pytest.raises(VenueRefused):
                await rest.book(topic("depth"), deep=False)
            with pytest.raises(EndpointMissing):
                await rest.book(topic("depth"), deep=False)
        assert len(venue.asked(path)) == 2
        assert len(venue.asked("depth")) == 1


async def test_after_a_refusal_of_one_endpoint_another_one_shows_whether_it_means_our_address() -> None:
    with Venue(["BTCUSDT"], every_s=1000) as venue:
        venue.flows["BTCUSDT"].step(AT_US)
        lacks(venue, "historicalTrades", status=403)
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            for attempt in (1, 3):
                with pytest.raises(AddressRefused):
                    await rest.fetch(topic("trade"), 1, 1_001, attempt)
                reply = await rest.fetch(topic("trade"), 1, 1_001, attempt + 1)
                assert [event.first_id for event in reply.events] == [1_001]
                rest.endpoints._refused["historicalTrades"].since_ns -= SURE_AFTER_NS
            assert reply.unavailable == [(1, 1_000)]


async def test_bars_that_rest_does_not_have_between_two_times_are_denied_all_at_once() -> None:
    with Venue(["BTCUSDT"]) as venue:
        venue.on_rest = lambda path, _query: Answer(200, []) if path == "klines" else None
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            reply = await rest.fetch(topic("kline_1m"), 60_000, 1_200_000, 0)
        assert (reply.events, reply.covered) == ([], (60_000, 1_200_000))


async def test_a_shallow_book_is_cheap_and_says_whether_there_is_more() -> None:
    levels = [[f"{price}", "1"] for price in range(1_000, 0, -1)]
    with Venue(["BTCUSDT"]) as venue:
        venue.on_rest = lambda _path, query: Answer(
            200, {"lastUpdateId": 5, "bids": levels[: int(query["limit"])], "asks": levels[:3]}
        )
        async with BinanceHistory(venue.rest_url, book_levels=1_000) as rest:
            shallow = await rest.book(topic("depth"), deep=False)
            assert (len(shallow.snapshot.bids), shallow.cut) == (100, True)
            deep = await rest.book(topic("depth"), deep=True)
            assert (len(deep.snapshot.bids), deep.cut) == (1_000, False)
