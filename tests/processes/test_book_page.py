"""What ``/book/`` answers, from books over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import zmq

from k2workers import wire
from k2workers.continuity import MADE
from k2workers.events import BookSnapshot, Gap
from k2workers.metrics.http_answers import HttpAnswer, HttpQuestion
from k2workers.processes.book_page import BookPage
from k2workers.sequencing.book_topics import levels_event
from k2workers.sequencing.order_book import OrderBook
from k2workers.transport.books_server import BooksServer

SYMBOLS = {"v": ["BTCUSDT", "ETHUSDT"], "other": []}


class Kept:
    """A page, and the books that it asks for."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.books = {"v.depth.BTCUSDT": OrderBook()}
        self.page = BookPage({"v": "v.depth.", "other": "other.depth_1s."}, SYMBOLS.__getitem__)
        self.server = self.serve()

    def serve(self) -> BooksServer:
        server = BooksServer(self.context, "tcp://127.0.0.1:*", lambda _: [], lambda _: None, levels_of=self.levels_of)
        server.start()
        self.page.listening(server.endpoint)
        return server

    def levels_of(self, topic: str, count: int) -> bytes:
        if topic not in self.books:
            return b""
        batch = wire.batch_of(topic, [levels_event(self.books[topic], count, 9)], MADE.number)
        return wire.publication(batch, epoch=0, sequence=0, publish_ns=0)

    async def get(self, name: str, query: str = "", known: str = "") -> HttpAnswer:
        return await asyncio.to_thread(self.page.answer, HttpQuestion(name, query, known, ""))


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    made = Kept()
    made.books["v.depth.BTCUSDT"].take(BookSnapshot(7, [(str(n), "1") for n in range(1, 40)], [("50", "2")], 3))
    yield made
    made.page.close()
    made.server.close()
    made.context.term()


def data(answer: HttpAnswer) -> Any:
    return json.loads(answer.body)


async def test_a_book_is_its_best_levels_with_its_id_and_state(kept: Kept) -> None:
    answer = await kept.get("v/BTCUSDT", "levels=2")
    assert answer.status == 200
    assert data(answer) == {
        "venue": "v", "symbol": "BTCUSDT", "update_id": 7, "bids": [["39", "1"], ["38", "1"]], "asks": [["50", "2"]],
        "state": "whole", "venue_time_ns": 0, "received_ns": 3, "at_ns": 9,
    }  # fmt: skip
    assert len(data(await kept.get("v/BTCUSDT"))["bids"]) == 20
    kept.books["v.depth.BTCUSDT"].take(Gap(8, 8, "", 0))
    stale = data(await kept.get("v/BTCUSDT"))
    assert (stale["state"], stale["bids"], stale["asks"]) == ("stale", [], [])


async def test_who_has_the_book_already_is_told_so(kept: Kept) -> None:
    tag = dict((await kept.get("v/BTCUSDT")).headers)["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}'):
        assert (await kept.get("v/BTCUSDT", known=known)).status == 304
    assert (await kept.get("v/BTCUSDT", known='"x"')).status == 200
    kept.books["v.depth.BTCUSDT"].take(Gap(8, 8, "", 0))
    assert (await kept.get("v/BTCUSDT", known=tag)).status == 200, "it is stale now"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("v/BTCUSD", "; did you mean /book/v/BTCUSDT?"), ("v/btcusdt", "; did you mean /book/v/BTCUSDT?"),
        ("v/NOTHING", "; books are kept of v, other"), ("othr/BTCUSDT", "; did you mean /book/other/SYMBOL?"),
        ("other/BTCUSDT", "; books are kept of v, other"), ("", "; books are kept of v, other"),
    ],
)  # fmt: skip
async def test_a_book_that_is_not_kept_is_not_found_and_the_nearest_is_named(kept: Kept, name: str, hint: str) -> None:
    answer = await kept.get(name)
    assert (answer.status, answer.body.decode()) == (404, f"404: no book of {name!r} is kept{hint}")


@pytest.mark.parametrize("levels", ["0", "1001", "x", "", "-1", "1.5", "99999999999"])
async def test_a_number_of_levels_that_cannot_be_is_a_mistake(kept: Kept, levels: str) -> None:
    answer = await kept.get("v/BTCUSDT", f"levels={levels}")
    assert (answer.status, answer.body.decode()) == (400, f"400: levels = {levels!r}; allowed: 1 to 1000")


async def test_where_no_books_are_kept_that_is_said() -> None:
    page = BookPage({}, SYMBOLS.__getitem__)
    answer = page.answer(HttpQuestion("v/X", "", "", ""))
    assert (answer.status, b"books are kept of streams such as depth" in answer.body) == (404, True)
    page.close()


async def test_it_asks_the_books_process_that_told_last_where_it_is(kept: Kept) -> None:
    with pytest.raises(TimeoutError):
        BookPage({"v": "v.depth."}, SYMBOLS.__getitem__).answer(HttpQuestion("v/BTCUSDT", "", "", ""))
    client = kept.page._process._client
    kept.page.listening(kept.server.endpoint)
    assert kept.page._process._client is client
    kept.server.close()
    kept.server = kept.serve()
    assert kept.page._process._client is not client
    assert (await kept.get("v/BTCUSDT")).status == 200


async def test_however_many_ask_answers_are_made_for_a_quarter_of_the_time(kept: Kept) -> None:
    began_s = time.monotonic()
    worked: list[float] = []

    def ask() -> None:
        before_s = time.thread_time()
        for _ in range(20):
            assert kept.page.answer(HttpQuestion("v/BTCUSDT", "levels=1000", "", "")).status == 200
            assert kept.page.answer(HttpQuestion("v/NOTHING", "", "", "")).status == 404
        worked.append(time.thread_time() - before_s)

    await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(4)))
    assert sum(worked) < (time.monotonic() - began_s) / 2
