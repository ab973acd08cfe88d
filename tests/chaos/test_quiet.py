"""A quiet market is no trouble: the judge of it, and a short form of the real run."""

from __future__ import annotations

from typing import Any

from tests.chaos import quiet

CALM: dict[str, Any] = {
    "unready": {}, "reconnects": 0, "connects": 0, "weight": {"mean_share": 0.01, "peak_share": 0.2},
    "by_kind": {"trade": {"lost": 0}, "agg_trade": {"lost": 0}, "book_ticker": {"lost": 3}},
}  # fmt: skip


def test_each_false_alarm_is_named() -> None:
    assert quiet.wrong(CALM) == []
    assert quiet.wrong(
        CALM
        | {"unready": {"streams_silent: worker-0 has 1": 3}, "reconnects": 2, "connects": 3}
        | {"weight": {"mean_share": 0.1, "peak_share": 0.31}, "by_kind": {"trade": {"lost": 1}}}
    ) == [
        "not ready: streams_silent: worker-0 has 1 (3 looks)", "2 reconnects", "3 connects",
        "peak_share of the weight 31%", "trade lost 1",
    ]  # fmt: skip


def test_the_worst_minute_counts_and_not_only_the_mean() -> None:
    looks = quiet.Looks(6_000)
    for second in range(601):
        looks.look(float(second), [], 1_000 + (1_500 if second >= 300 else 0))
    assert looks.weight() == {"mean_share": 0.025, "peak_share": 0.25}
    assert looks.looks == 601


async def test_a_quiet_market_is_taken_for_what_it_is() -> None:
    figures = await quiet.run(0.75, symbols=30, shards=2, seed=1)
    assert figures["failures"] == [], figures
