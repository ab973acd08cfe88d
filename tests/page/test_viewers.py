"""Who looks at the live page, and what each of them is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest

from k2workers.metrics.http_answers import HttpAnswer, HttpQuestion, HttpStream, Parts
from k2workers.page import viewers as under_test
from k2workers.page.viewers import MAX_VIEWERS, Viewers
from tests.support.waiting import until

ASKED = HttpQuestion("", "", "", "")


class Made:
    """What is made for the page: how often, and what next."""

    def __init__(self) -> None:
        self.count = 0
        self.lines = b"[]"

    def __call__(self) -> dict[str, bytes]:
        asyncio.get_running_loop()  # fails where it must not be called
        self.count += 1
        return {"now": b"%d" % self.count, "lines": self.lines}


@asynccontextmanager
async def looked_at(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Viewers, Made]]:
    monkeypatch.setattr(under_test, "PERIOD_S", 0.01)
    made = Made()
    viewers = Viewers(made)
    viewers.start(asyncio.get_running_loop().call_soon_threadsafe)
    yield viewers, made
    viewers.stop()


def seen_by(viewers: Viewers) -> Parts:
    answer = viewers.answer(ASKED)
    assert isinstance(answer, HttpStream)
    assert answer.content_type == "text/event-stream"
    return answer.parts


async def next_of(parts: Parts) -> bytes | None:
    return await asyncio.to_thread(next, parts, None)


async def test_nothing_is_made_while_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with looked_at(monkeypatch) as (viewers, made):
        turns = asyncio.get_running_loop().time() + 0.1
        await until(lambda: asyncio.get_running_loop().time() > turns)
        assert made.count == 0
        parts = seen_by(viewers)
        assert await next_of(parts) is not None
        parts.close()
        parts.close()
        assert viewers.count == 0
        count = made.count
        turns = asyncio.get_running_loop().time() + 0.1
        await until(lambda: asyncio.get_running_loop().time() > turns)
        assert made.count <= count + 1, "one may have been under way"


async def test_a_part_is_sent_only_when_it_is_another_and_all_viewers_get_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with looked_at(monkeypatch) as (viewers, made):
        first, second = seen_by(viewers), seen_by(viewers)
        begin = await next_of(first)
        assert begin is not None
        assert begin.startswith(b"event: now\ndata: ")
        assert begin.endswith(b"\n\nevent: lines\ndata: []\n\n")
        assert b"lines" not in (await next_of(first) or b"lines")
        made.lines = b"[1]"
        await until(lambda: _has(first, b"event: lines\ndata: [1]\n\n"))
        assert b"event: lines\ndata: [1]\n\n" in (await next_of(second) or b""), "the newest, however much it missed"
        for parts in (first, second):
            parts.close()


async def _has(parts: Parts, wanted: bytes) -> bool:
    return wanted in (await next_of(parts) or b"")


async def test_a_new_viewer_need_not_wait_for_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async with looked_at(monkeypatch) as (other, _):
        other.stop()
        monkeypatch.setattr(under_test, "PERIOD_S", 3_600.0)
        made = Made()
        viewers = Viewers(made)
        viewers.start(asyncio.get_running_loop().call_soon_threadsafe)
        parts = seen_by(viewers)
        assert await next_of(parts) == b"event: now\ndata: 1\n\nevent: lines\ndata: []\n\n"
        parts.close()
        viewers.stop()


async def test_for_whoever_comes_again_and_again_nothing_is_made_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "PERIOD_S", 3_600.0)
    made = Made()
    viewers = Viewers(made)
    viewers.start(asyncio.get_running_loop().call_soon_threadsafe)
    for _ in range(20):
        parts = seen_by(viewers)
        assert await next_of(parts) == b"event: now\ndata: 1\n\nevent: lines\ndata: []\n\n"
        parts.close()
    assert made.count == 1
    viewers.stop()


async def test_while_nothing_is_made_something_is_sent_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "IDLE_S", 0.01)
    viewers = Viewers(Made())
    parts = seen_by(viewers)
    assert await next_of(parts) == b":\n\n"
    viewers.stop()
    assert await next_of(parts) is None


async def test_the_end_lets_everybody_go_and_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async with looked_at(monkeypatch) as (viewers, _):
        parts = seen_by(viewers)
        viewers.stop()
        while await next_of(parts) is not None:
            pass
        refused = viewers.answer(ASKED)
        assert isinstance(refused, HttpAnswer)
        assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE


async def test_only_so_many_may_look_and_the_next_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async with looked_at(monkeypatch) as (viewers, _):
        all_of_them = [seen_by(viewers) for _ in range(MAX_VIEWERS)]
        refused = viewers.answer(ASKED)
        assert isinstance(refused, HttpAnswer)
        assert refused.body == b"503: 16 others look at the live page; 16 may"
        all_of_them[3].close()
        assert await next_of(all_of_them[3]) is None
        seen_by(viewers).close()
        for parts in all_of_them:
            parts.close()
        assert viewers.count == 0


def test_a_viewer_is_an_iterator() -> None:
    parts = seen_by(Viewers(Made()))
    assert isinstance(parts, Iterator)
    assert iter(parts) is parts
