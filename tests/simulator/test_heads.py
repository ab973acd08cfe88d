"""How far each stream had come, by time."""

from __future__ import annotations

import msgspec

from k2workers.simulator.heads import KEPT, Heads
from tests.simulator.support import collect, inject, running
from tests.support.waiting import until


class At(msgspec.Struct):
    lives: int
    last_id: int


def test_what_was_sent_some_time_ago_is_told_also_of_a_stream_that_fell_silent() -> None:
    heads = Heads()
    heads.sample({"a": At(0, 5)}, 10.0)
    heads.sample({"a": At(0, 6)}, 10.5)  # too soon to look
    heads.sample({"a": At(0, 7), "b": At(0, 1)}, 11.0)
    heads.sample({"a": At(1, 2), "b": At(0, 1)}, 12.0)
    assert [heads.at(time_s) for time_s in (9.9, 10.0, 11.5, 99.0)] == [
        {}, {"a": (0, 5)}, {"a": (0, 7), "b": (0, 1)}, {"a": (1, 2), "b": (0, 1)},
    ]  # fmt: skip


def test_only_so_much_is_kept_of_each_stream() -> None:
    heads = Heads()
    for second in range(KEPT + 3):
        heads.sample({"a": At(0, second)}, float(second))
    assert heads.at(2.0) == {}
    assert heads.at(3.0) == {"a": (0, 3)}


async def test_the_exchange_tells_it_of_what_it_sent_and_of_what_a_fault_withheld() -> None:
    async with running() as client:
        await collect(await client.connect("/ws/btcusdt@trade"), lambda events: len(events) > 3)
        first = (await client.get("/_exchange/heads"))["heads"]["btcusdt@trade"]
        await inject(client, kind="stall", stream="@trade")

        async def moved_on() -> bool:
            return bool((await client.get("/_exchange/heads"))["heads"]["btcusdt@trade"][1] > first[1])

        await until(moved_on)
        assert (await client.get("/_exchange/heads?before_s=3600"))["heads"] == {}
        assert "allowed is a number" in (await client.get("/_exchange/heads?before_s=long"))["msg"]
