"""Faults on demand, over real sockets."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import aiohttp
import pytest

from k2workers.errors import ConfigError
from k2workers.simulator import faults
from tests.simulator.support import Client, ask, collect, end_of, inject, running
from tests.support.waiting import until

TRADES = "/ws/btcusdt@trade"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rset", "did you mean 'reset'"),
        ("nonsense_at_all", "allowed are reset"),
        ("drop:probabilty=1", "allowed are after_s"),
        ("drop:probability=2", "allowed is 0 to 1"),
        ("drop:count=many", "allowed is a int"),
        ("refuse:status=99", "from 300 to 599"),
        ("rest_5xx:status=200", "from 300 to 599"),
        ("close:code=-5", "allowed is 0 or more"),
        ("refuse:retry_after_as=smoke", "allowed are seconds, date, words"),
        ("odd_row:element={half", "allowed is JSON"),
    ],
)
def test_a_wrong_fault_is_one_clear_message(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        faults.parse(text, {})


def test_a_fault_is_read_from_text_as_from_json() -> None:
    written = faults.parse("drop:probability=0.25,stream=@trade,everywhere=true,for_s=3", {})
    assert written.values == faults.make(
        "drop", {"probability": 0.25, "stream": "@trade", "everywhere": True, "for_s": 3}, {}
    ).values  # fmt: skip
    assert faults.make("reset", {"connections": "all"}, {}).values["connections"] == 0


def test_every_kind_is_in_the_documentation_of_the_module() -> None:
    assert [kind for kind in faults.KINDS if kind not in (faults.__doc__ or "")] == []


async def test_wrong_requests_are_refused_with_words() -> None:
    async with running() as client:
        assert (await inject(client, kind="rset"))[0] == 400
        assert (await inject(client))[0] == 400
        assert (await client.get("/_exchange/faults")) == {"faults": []}


@pytest.mark.parametrize(("fault", "code"), [({"kind": "close", "code": 1008}, 1008), ({"kind": "age"}, 1001)])
async def test_connections_are_closed_with_the_code(fault: dict[str, Any], code: int) -> None:
    async with running() as client:
        socket = await client.connect(TRADES)
        await inject(client, **fault)
        assert (await end_of(socket))[0] == code


async def test_a_reset_hits_as_many_of_the_oldest_as_asked() -> None:
    async with running() as client:
        first, second = await client.connect(TRADES), await client.connect(TRADES)
        await inject(client, kind="reset", connections=1)
        assert (await end_of(first))[0] != 1000
        assert await collect(second, lambda events: len(events) > 3)


async def test_a_shutdown_notice_comes_before_the_cut() -> None:
    async with running() as client:
        socket = await client.connect(TRADES)
        await inject(client, kind="shutdown", lead_s=0.2)
        _, events = await end_of(socket)
        assert any(event["e"] == "serverShutdown" for event in events)


async def test_silence_answers_nothing_and_what_was_due_is_gone() -> None:
    async with running() as client:
        socket = await client.connect(TRADES)
        before = await collect(socket, lambda events: len(events) > 3)
        await inject(client, kind="silence", for_s=0.5)
        last = await sent_so_far(client)
        after = await collect(socket, lambda events: bool(events) and events[-1]["t"] > last + 100)
        ids = [event["t"] for event in before + after]
        assert sorted(ids) == ids
        assert any(b - a > 1 for a, b in itertools.pairwise(ids))


async def sent_so_far(client: Client) -> int:
    """The last trade id; what is on its way was sent before the next fault, however busy the machine is."""
    return int((await client.get("/_exchange/truth"))["topics"]["btcusdt@trade"]["ranges"][-1][1])


async def numbers(client: Client, **fault: Any) -> list[int]:
    socket = await client.connect(TRADES)
    await collect(socket, bool)
    await inject(client, **fault)
    last = await sent_so_far(client)
    events = await collect(socket, lambda events: bool(events) and events[-1]["t"] > last + 200)
    await socket.close()
    return [event["t"] for event in events]


async def test_messages_are_dropped_doubled_and_swapped() -> None:
    async with running() as client:
        dropped = await numbers(client, kind="drop", probability=0.2)
        assert any(b - a > 1 for a, b in itertools.pairwise(dropped))
        await client.post("/_exchange/clear_faults")
        doubled = await numbers(client, kind="duplicate", count=5)
        assert len(doubled) - len(set(doubled)) == 5
        await client.post("/_exchange/clear_faults")
        swapped = await numbers(client, kind="reorder", count=5)
        assert sorted(swapped) != swapped
        truth = (await client.get("/_exchange/truth"))["topics"]["btcusdt@trade"]
        assert len(truth["ranges"]) == 1, "what a fault withholds was sent all the same"


@pytest.mark.parametrize("kind", ["truncate", "garbage"])
async def test_broken_messages_are_no_json(kind: str) -> None:
    async with running() as client:
        socket = await client.connect(TRADES)
        await collect(socket, bool)
        await inject(client, kind=kind, count=1)
        broken = 0
        last: int | None = await sent_so_far(client)
        while last is not None:
            try:
                last = None if json.loads(await socket.receive_str())["t"] > last + 50 else last
            except ValueError:
                broken += 1
        assert broken == 1


async def test_fragments_with_a_ping_inside_are_one_message_to_a_client() -> None:
    async with running() as client:
        ids = await numbers(client, kind="fragment")
        assert ids == list(range(ids[0], ids[0] + len(ids)))


async def test_a_frame_beyond_all_measure_is_sent() -> None:
    async with running() as client:
        socket = await client.connect(TRADES)
        await inject(client, kind="oversize", count=1)
        assert (await end_of(socket))[0] == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_one_stream_stalls_while_others_flow() -> None:
    async with running() as client:
        await inject(client, kind="stall", stream="btcusdt@trade")
        socket = await client.connect("/ws/btcusdt@trade/btcusdt@aggTrade")
        events = await collect(socket, lambda events: len(events) > 50)
        assert {event["e"] for event in events} == {"aggTrade"}


async def test_a_forgotten_subscription_is_not_listed() -> None:
    async with running() as client:
        socket = await client.connect("/ws/btcusdt@trade/btcusdt@aggTrade")
        await inject(client, kind="forget", stream="@trade")
        listed = await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 1})
        assert listed["result"] == ["btcusdt@aggTrade"]


async def test_handshakes_are_refused_or_bring_nothing() -> None:
    async with running() as client:
        await inject(client, kind="refuse", status=502, count=1)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.connect(TRADES)
        assert refused.value.status == 502
        await inject(client, kind="mute", count=1)
        mute, loud = await client.connect("/ws"), await client.connect(TRADES)
        assert (await ask(mute, {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}))["result"] is None
        await collect(loud, lambda events: len(events) > 50)
        await mute.send_str('{"method":"LIST_SUBSCRIPTIONS","id":2}')
        assert json.loads(await mute.receive_str())["result"] == ["btcusdt@trade"], "the reply is all that comes"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "rest_429"}, 429), ({"kind": "rest_418", "retry_after_s": 7}, 418), ({"kind": "rest_403"}, 403),
        ({"kind": "rest_5xx", "status": 503}, 503),
    ],
)  # fmt: skip
async def test_rest_refuses_on_the_path_asked_for(fault: dict[str, Any], status: int) -> None:
    async with running() as client:
        await inject(client, path="time", count=1, **fault)
        base = f"http://127.0.0.1:{client.port}/api/v3"
        async with client.session.get(f"{base}/ping") as other, client.session.get(f"{base}/time") as hit:
            assert (other.status, hit.status) == (200, status)
            if status in (429, 418):
                assert hit.headers["Retry-After"] == str(fault.get("retry_after_s", 2))
        log = (await client.get("/_exchange/status"))["rest"]
        assert log["by_status"] == {"200": 1, str(status): 1}


async def test_the_database_is_late_while_the_memory_is_not() -> None:
    async with running() as client:
        socket = await client.connect(TRADES)
        (first, *_, last) = await collect(socket, lambda events: len(events) > 50)
        await inject(client, kind="rest_delay", delay_s=3600)
        late = await client.get(f"/api/v3/historicalTrades?symbol=BTCUSDT&fromId={first['t']}")
        newest = await client.get("/api/v3/trades?symbol=BTCUSDT&limit=1000")
        assert late == []
        assert last["t"] in [row["id"] for row in newest]


async def test_snapshots_are_old_or_at_the_edge_of_a_window() -> None:
    async with running() as client:
        socket = await client.connect("/ws/btcusdt@depth@100ms")
        await inject(client, kind="snapshot_edge")
        edges = await collect(socket, lambda events: len(events) > 3)
        edge = (await client.get("/api/v3/depth?symbol=BTCUSDT"))["lastUpdateId"]
        edges += await collect(socket, lambda more: bool(more) and more[-1]["U"] > edge)
        assert edge in [event["u"] for event in edges]
        await client.post("/_exchange/clear_faults")
        await inject(client, kind="snapshot_old", windows=3)
        await collect(socket, lambda events: len(events) > 8)
        newest = (await client.get("/_exchange/truth"))["topics"]["btcusdt@depth@100ms"]["ranges"][-1][1]
        assert (await client.get("/api/v3/depth?symbol=BTCUSDT"))["lastUpdateId"] < newest


async def test_ids_that_never_existed_are_nowhere() -> None:
    async with running() as client:
        socket = await client.connect(TRADES)
        events = await collect(socket, lambda events: len(events) > 5)
        await inject(client, kind="skip_ids", ids=4)
        last = await sent_so_far(client)
        events += await collect(socket, lambda events: bool(events) and events[-1]["t"] > last + 50)
        ids = [event["t"] for event in events]
        (before,) = [a for a, b in itertools.pairwise(ids) if b - a == 5]
        rows = await client.get(f"/api/v3/historicalTrades?symbol=BTCUSDT&fromId={before}&limit=3")
        assert [row["id"] for row in rows] == [before, before + 5, before + 6]
        assert len((await client.get("/_exchange/truth"))["topics"]["btcusdt@trade"]["ranges"]) == 2


async def test_the_market_goes_on_while_nobody_listens_and_counts_once_somebody_does() -> None:
    async with running() as client:
        socket = await client.connect(TRADES)
        await collect(socket, lambda events: len(events) > 5)
        await socket.close()
        watching = await client.connect("/ws/btcusdt@aggTrade")
        await collect(watching, lambda events: len(events) > 50)
        alone = (await client.get("/_exchange/truth"))["topics"]["btcusdt@trade"]["emitted"]
        again = await client.connect(TRADES)
        (event, *_) = await collect(again, lambda events: len(events) > 1)
        truth = (await client.get("/_exchange/truth"))["topics"]["btcusdt@trade"]
        assert truth["emitted"] > alone + 40
        assert len(truth["ranges"]) == 1
        assert truth["ranges"][0][0] <= event["t"] <= truth["ranges"][0][1]


async def test_faults_are_listed_with_how_often_they_acted_and_repeat_if_asked() -> None:
    async with running(faults=("close:code=1001,every_s=0.1,for_s=3600",)) as client:
        for _ in range(3):
            assert (await end_of(await client.connect(TRADES)))[0] == 1001
        (listed,) = (await client.get("/_exchange/faults"))["faults"]
        assert listed["acted"] >= 3
        await client.post("/_exchange/clear_faults")
        assert await collect(await client.connect(TRADES), lambda events: len(events) > 100)


async def test_an_odd_element_stands_at_the_head_of_an_array_message() -> None:
    async with running() as client:
        raw, combined = (
            await client.connect("/ws/!miniTicker@arr"),
            await client.connect("/stream?streams=!miniTicker@arr"),
        )
        await inject(client, kind="odd_element", element='{"s":"A B"}')
        # One may have been on its way before.
        *_, rows = await collect(raw, lambda came: any(rows[0] == {"s": "A B"} for rows in came))
        *_, wrapped = await collect(combined, lambda came: any(one["data"][0] == {"s": "A B"} for one in came))
        assert rows[1]["s"] == wrapped["data"][1]["s"] == "BTCUSDT"


async def test_one_refused_stream_name_refuses_its_list_and_is_not_named() -> None:
    async with running(messages_per_second=100) as client:
        socket = await client.connect()
        await inject(client, kind="refuse_stream", stream="@depth")
        names = ["btcusdt@trade", "btcusdt@depth"]
        refused = await ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 1})
        assert refused == {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 1}
        assert (await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 2}))["result"] == []
        assert (await ask(socket, {"method": "SUBSCRIBE", "params": names[:1], "id": 3}))["result"] is None
        await client.post("/_exchange/clear_faults")
        assert (await ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 4}))["result"] is None


async def test_a_client_that_leaves_before_its_answer_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as client:
        await inject(client, kind="slow_handshake", delay_s=0.2)
        await inject(client, kind="rest_trickle", path="time", over_s=0.5)
        upgrade = (
            f"GET {TRADES} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        for asking in (upgrade, "GET /api/v3/time HTTP/1.1\r\nHost: x\r\n\r\n"):
            _reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
            writer.write(asking.encode())
            await writer.drain()
            writer.transport.abort()
        exchange = client.exchange
        await until(lambda: exchange.connects_total and not exchange.connections)
        await client.get("/api/v3/time")  # which trickles for as long as the one that nobody reads
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_one_kind_of_stream_is_acknowledged_and_mute_and_counts_as_sent() -> None:
    async with running() as client:
        await inject(client, kind="mute", stream="@trade", count=1)
        socket = await client.connect("/ws/btcusdt@trade/btcusdt@aggTrade")
        events = await collect(socket, lambda events: len(events) > 20)
        assert {event["e"] for event in events} == {"aggTrade"}
        assert (await client.get("/_exchange/truth"))["topics"]["btcusdt@trade"]["emitted"] > 20


async def test_a_connection_may_ignore_the_time_unit_that_was_asked_for() -> None:
    async with running() as client:
        await inject(client, kind="ignore_unit", count=1)
        for size in (13, 16):
            socket = await client.connect(f"{TRADES}?timeUnit=MICROSECOND")
            (event, *_) = await collect(socket, bool)
            assert (len(str(event["E"])), len(str(event["T"]))) == (size, size)


async def test_messages_are_malformed_or_have_a_glitch_before_them() -> None:
    async with running() as client:
        socket = await client.connect(TRADES)
        events = await collect(socket, bool)
        await inject(client, kind="malformed", stream="@trade", count=1)
        await inject(client, kind="glitch", stream="@trade", count=1)
        events += await collect(socket, lambda events: len(events) > 50)
        assert sum(isinstance(event["p"], float) for event in events) == 1
        (at,) = [index for index, event in enumerate(events) if event["t"] > 10**12]
        assert events[at + 1]["t"] == events[at]["t"] - 10**12 == events[at - 1]["t"] + 1


async def test_rest_lacks_the_first_ids_that_it_is_asked_for() -> None:
    async with running() as client:
        (first, *_) = await collect(await client.connect(TRADES), lambda events: len(events) > 20)
        await inject(client, kind="rest_lacks", ids=3, count=1)
        path = f"/api/v3/historicalTrades?symbol=BTCUSDT&limit=10&fromId={first['t']}"
        replies = [[row["id"] for row in await client.get(path)] for _ in range(2)]
        assert replies == [list(range(first["t"] + skipped, first["t"] + 10)) for skipped in (3, 0)]
