"""The short form of the check of order books for those who join late, lost their place, or were frozen."""

from __future__ import annotations

import pytest

from tests.chaos import joiners


@pytest.mark.timeout(600)
async def test_every_subscriber_rebuilds_the_exchanges_books_wherever_it_begins() -> None:
    figures = await joiners.run(shards=2, symbols=6, rate=1000.0)
    assert figures["failures"] == []
    for name in ("there all the time", "late", "lost its place", "frozen"):
        assert figures[name]["equal"] == 6, name
