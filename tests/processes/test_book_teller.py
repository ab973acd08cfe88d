"""What is told of books, on its way to an aggregator that dies, stands still, or is another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from k2workers import wire
from k2workers.book_events import BookTop
from k2workers.events import BookSnapshot, Gap, Status
from k2workers.processes import book_teller
from k2workers.processes.book_teller import BOOKS_A_BUNDLE, GATHER_S, BookTeller
from k2workers.processes.child_settings import BookTopicsSettings
from k2workers.sequencing.order_book import OrderBook
from k2workers.transport.bundle_protocol import MAKER
from tests.support.waiting import until
from tests.transport.support import Receiver

X = "v.depth.X"


class Teller:
    """Books, and the teller of what becomes of them."""

    def __init__(self, endpoint: str, *kinds: str, pace_ns: int = 0) -> None:
        self.books: dict[str, OrderBook] = {}
        settings = BookTopicsSettings(
            bundle_endpoint=endpoint, kinds=kinds or ("book_top",), prefixes=("v.depth.",), pace_ns=pace_ns
        )
        self.teller = BookTeller(settings, self.books)

    def whole(self, number: int, topic: str = X) -> None:
        book = self.books.setdefault(topic, OrderBook())
        book.take(BookSnapshot(number, [("1", str(number))], [("2", "2")], number))
        self.teller.changed(topic, book, at_once=False)

    def stale(self, topic: str = X) -> None:
        self.books[topic].take(Gap(1, 1, "", 0))
        self.teller.changed(topic, self.books[topic], at_once=True)


def told(receiver: Receiver, topic: str = "v.book_top.X") -> list[tuple[int, str]]:
    """Id and state of everything that was told of it."""
    found: list[tuple[int, str]] = []
    for batch in (batch for bundle in receiver.got for batch in bundle if batch.topic == topic):
        found += [(event.update_id, event.state) for event in wire.decode_batch(batch) if isinstance(event, BookTop)]
    return found


@pytest.fixture
async def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/push"


@pytest.fixture
async def teller(endpoint: str) -> AsyncIterator[Teller]:
    made = Teller(endpoint)
    made.teller.start()
    yield made
    made.teller.close()


async def test_an_aggregator_is_told_everything_as_it_is_when_it_comes_and_then_what_changes(
    teller: Teller, endpoint: str
) -> None:
    teller.whole(1)
    teller.whole(2)
    receiver = Receiver(endpoint)
    receiver.start()
    await until(lambda: told(receiver) == [(2, "whole")])
    teller.whole(3)
    await until(lambda: told(receiver)[1:] == [(3, "whole")])
    teller.stale()
    await until(lambda: told(receiver)[2:] == [(3, "stale")])
    assert all(worker.startswith(MAKER + b"books#") for worker in receiver.by_worker)
    receiver.close()
    teller.whole(4)
    teller.whole(5)
    second = Receiver(endpoint)
    second.start()
    await until(lambda: told(second) == [(5, "whole")], "another one hears of now, and of nothing that was")
    assert teller.teller.told >= 4
    second.close()


async def test_who_has_much_to_do_learns_that_a_stale_book_waits_to_be_told(teller: Teller, endpoint: str) -> None:
    receiver = Receiver(endpoint)
    receiver.start()
    teller.whole(1)
    await until(lambda: told(receiver))
    teller.whole(2)
    time.sleep(2 * GATHER_S)  # noqa: ASYNC251 - as one that takes a long row of changes
    assert not teller.teller.in_haste, "that it has changed can wait"
    teller.stale()
    time.sleep(2 * GATHER_S)  # noqa: ASYNC251
    assert teller.teller.in_haste
    while teller.teller.in_haste:
        await asyncio.sleep(0)
    await until(lambda: told(receiver)[-1] == (2, "stale"))
    receiver.close()


async def test_one_that_does_not_read_is_told_later_how_it_is_by_then(teller: Teller, endpoint: str) -> None:
    receiver = Receiver(endpoint, high_water_mark=1)
    receiver.start()
    teller.whole(1)
    await until(lambda: told(receiver))
    receiver.bundle_receiver._watcher.stop()
    number = 1
    while not teller.teller.refused:
        number += 1
        teller.whole(number)
        await asyncio.sleep(0)
    teller.stale()
    receiver.bundle_receiver._watcher.start()
    await until(lambda: told(receiver)[-1] == (number, "stale"))
    numbers = [update_id for update_id, _ in told(receiver)]
    assert numbers == sorted(numbers)
    receiver.close()


async def test_very_many_books_go_in_several_bundles(teller: Teller, endpoint: str) -> None:
    receiver = Receiver(endpoint)
    receiver.start()
    for number in range(2 * BOOKS_A_BUNDLE + 1):
        teller.whole(1, f"v.depth.X{number}")
    await until(lambda: sum(map(len, receiver.got)) > 2 * BOOKS_A_BUNDLE)
    assert max(map(len, receiver.got)) == BOOKS_A_BUNDLE
    receiver.close()


async def test_it_says_steadily_that_it_lives_and_how_many_books_are_whole(teller: Teller, endpoint: str) -> None:
    receiver = Receiver(endpoint)
    receiver.start()
    teller.whole(1)
    teller.whole(1, "v.depth.Y")
    teller.stale()

    def said() -> list[object]:
        batches = [batch for bundle in receiver.got for batch in bundle if batch.topic == "status.books"]
        return [event.data for batch in batches for event in wire.decode_batch(batch) if isinstance(event, Status)]

    await until(lambda: len(said()) > 1)
    assert said()[-1] == {"books": 2, "whole": 1}
    receiver.close()


async def test_best_prices_do_not_wait_for_the_pace_of_levels(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_teller, "AGAIN_S", 3_600.0)
    made = Teller(endpoint, "book_top", "book_5", pace_ns=3_600 * 10**9)
    made.teller.start()
    receiver = Receiver(endpoint)
    receiver.start()
    for number in (1, 2, 3):
        made.whole(number)
        await until(lambda number=number: told(receiver)[-1:] == [(number, "whole")])
    levels = [batch for bundle in receiver.got for batch in bundle if batch.topic == "v.book_5.X"]
    assert len(levels) == 1
    made.teller.close()
    receiver.close()


async def test_levels_come_when_their_pace_allows_though_nothing_more_changes(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_teller, "AGAIN_S", 3_600.0)
    made = Teller(endpoint, "book_5", pace_ns=50_000_000)
    made.teller.start()
    receiver = Receiver(endpoint)
    receiver.start()
    made.whole(1)
    await until(lambda: receiver.got)
    made.whole(2)
    await until(lambda: len([batch for bundle in receiver.got for batch in bundle if batch.topic == "v.book_5.X"]) == 2)
    made.teller.close()
    receiver.close()
