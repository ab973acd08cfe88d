"""A market that leaves the levels that the venue's book told, on the running program: what is told is the venue's book all the while, or shorter, and soon whole again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.chaos.book_judge import wrong_in
from tests.chaos.rig import Rig
from tests.support.waiting import until

SYMBOLS = 3


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("venue", ["binance", "binance_usdm"])
async def test_what_is_told_is_the_venues_book_however_far_the_market_goes(venue: str, tmp_path: Path) -> None:
    async with Rig(
        tmp_path, shards=1, symbols=SYMBOLS, rate=600, kinds=("depth",), venue=venue, watch_books=True,
        settings={"K2_BOOK_LEVELS": "100"}, exchange_args=("--book-depth", "600"),
    ) as rig:  # fmt: skip
        watch = rig.book_watch
        assert watch is not None

        async def goes_on() -> None:
            """Much of each book is known, and told for a while."""
            await until(lambda: asyncio.to_thread(known), "books of which much is known")
            begun = watch.figures().get("told_equal", 0)
            await until(lambda: watch.figures().get("told_equal", 0) > begun + 50, "what is told")

        def known() -> bool:
            pages = [json.loads(rig.feed.http(f"/book/{venue}/{symbol}?levels=100")[1]) for symbol in rig.symbols]
            return all(len(page[side]) > 75 for page in pages for side in ("bids", "asks"))

        async def short(times: int) -> bool:
            return await rig.gauge("k2_books_ran_short_total") >= times * SYMBOLS

        await goes_on()
        for times in (1, 2):
            await rig.inject("walk", symbol="*", levels=70)
            await until(lambda times=times: short(times), "books that run short")
            await goes_on()
        stale = watch.figures().get("told_stale", 0)
        await rig.inject("walk", symbol="*", levels=250)  # nothing is known there
        await until(lambda: watch.figures().get("told_stale", 0) > stale, "a stale book")
        await goes_on()
        figures = await watch.end()
        assert wrong_in(figures) == []
        assert figures["changes_equal_as_far_as_known"] > 100, "the venue's book is deeper than what it told"
        differ = await asyncio.to_thread(rig.feed.metrics, "k2_books_compared_total")
        assert not sum(count for name, count in differ.items() if "different" in name), differ
