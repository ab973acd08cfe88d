"""The short form of the long proof of restarts."""

from __future__ import annotations

import pytest

from tests.chaos import lives


@pytest.mark.timeout(600)
async def test_nothing_is_silent_or_repeated_when_aggregator_and_subscribers_die_while_gaps_are_open() -> None:
    figures = await lives.run(0.3, shards=2, symbols=4, rate=500.0)
    assert figures["failures"] == []
    assert figures["aggregator_deaths"] >= 1
    assert figures["readers"]["never ended"]["emitted"] > 1_000
