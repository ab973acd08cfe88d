"""The judge of the long proofs: what it must find, and what it must let pass."""

from __future__ import annotations

from typing import Any

import pytest

from k2workers.events import Backfilled, BookSnapshot, DepthUpdate, Event, Gap, Kline, Trade, Void
from tests.chaos.ledger import Ledger, compare_bars, compare_chains, values_of

TRADES, BARS, DEPTH = "binance.trade.BTCUSDT", "binance.kline_1s.BTCUSDT", "binance.depth.BTCUSDT"
S = 1_000_000_000


def trade(number: int) -> Trade:
    return Trade(number, "1.0", "2.0", False, 0, 0, 0)


def gap(first: int, last: int) -> Gap:
    return Gap(first, last, "test", 0)


def bar(second: int, *, final: bool = True, close: str = "1") -> Kline:
    return Kline(second * S, second * S + S - 1_000, "1", "1", "1", close, "1", "1", "1", "1", 1, 1, 1, final, 0, 0)


def told(topic: str, *items: Event | tuple[int, int]) -> Ledger:
    """A pair of ids is a ``Lost``."""
    ledger = Ledger()
    for item in items:
        if isinstance(item, tuple):
            ledger.lose(topic, *item, 1)
        else:
            ledger.take(topic, item)
    return ledger


GOOD: list[tuple[str, list[Any]]] = [
    (TRADES, [trade(5), trade(6), gap(7, 9), trade(10), Backfilled(trade(8)), Void(9, 9, 0), Backfilled(trade(7))]),
    (TRADES, [trade(5), (6, 9), trade(10)]),
    (TRADES, [trade(5), Void(6, 7, 0), trade(8)]),
    (
        DEPTH,
        [DepthUpdate(1, 5, [], [], 0, 0), gap(6, 9), BookSnapshot(12, [], [], 0), DepthUpdate(13, 14, [], [], 0, 0)],
    ),
    (BARS, [bar(1), bar(2, final=False), bar(2), gap(3 * S, 4 * S - 1), bar(4), Backfilled(bar(3))]),
    (TRADES, [trade(5), (6, 9), trade(10), Backfilled(trade(7))]),
    (TRADES, [trade(5), Backfilled(trade(6)), trade(7)]),
    (BARS, [bar(1), (2 * S, 4 * S - 1), bar(4)]),
    (BARS, [bar(1), Void(2 * S, 3 * S - 1, 0), bar(3)]),
]

BAD: list[tuple[str, list[Any], str]] = [
    (TRADES, [trade(5), trade(7), gap(6, 6)], "silent [(6, 6)]"),
    (TRADES, [trade(5), trade(6), trade(6)], "repeated 1"),
    (TRADES, [trade(5), gap(6, 6), trade(7), Backfilled(trade(6)), Backfilled(trade(6))], "repeated"),
    (TRADES, [trade(5), gap(7, 8)], "silent [(6, 6)]"),
    (TRADES, [trade(5), Backfilled(trade(7)), trade(8)], "silent [(6, 6)]"),
    (TRADES, [trade(5), (7, 8)], "silent [(6, 6)]"),
    (BARS, [bar(1), bar(3)], "skipped silently"),
    (BARS, [bar(1), bar(2, final=False), bar(3)], "skipped silently"),
    (BARS, [bar(1), bar(1)], "bars repeated 1"),
    (BARS, [bar(1), bar(1, final=False)], "bars after their final 1"),
    (BARS, [bar(1), bar(2), bar(1, final=False)], "bars back 1"),
]


@pytest.mark.parametrize(("topic", "items"), GOOD)
def test_what_readme_allows_passes(topic: str, items: list[Any]) -> None:
    ledger = told(topic, *items)
    assert ledger.broken_rules() == []
    assert not any(chain.open for chain in ledger.chains.values())
    assert not any(bars.open for bars in ledger.bars.values())


@pytest.mark.parametrize(("topic", "items", "words"), BAD)
def test_what_no_subscriber_may_see_is_found(topic: str, items: list[Any], words: str) -> None:
    assert words in " ".join(told(topic, *items).broken_rules())


def test_a_bar_that_is_announced_and_does_not_come_stays_a_hole() -> None:
    ledger = told(BARS, bar(1), gap(2 * S, 3 * S - 1), bar(3))
    assert ledger.broken_rules() == []
    assert ledger.open_gaps() == [BARS]


def test_a_run_of_trades_is_judged_as_its_events_are() -> None:
    one, other = Ledger(), Ledger()
    for events in ([trade(5), trade(6)], [gap(7, 7)], [trade(8), trade(9)], [trade(9), trade(10)], [trade(12)]):
        one.take_batch(TRADES, events)
        for event in events:
            other.take(TRADES, event)
    assert list(one.chains[TRADES].got) == list(other.chains[TRADES].got)
    assert one.chains[TRADES].silent == other.chains[TRADES].silent == [(11, 11)]
    assert one.chains[TRADES].repeated and other.chains[TRADES].repeated


def test_ids_that_did_not_come_are_named_or_silent() -> None:
    ledger = told(TRADES, trade(5), gap(6, 7), trade(8), (9, 10), trade(11), trade(13))
    counts = compare_chains(ledger, {TRADES: {"ranges": [(1, 13)]}})
    assert counts == {"emitted": 9, "lost": 5, "named": 4, "silent": 1, "wrongly_lost": 0}


def test_bars_are_held_against_the_exchange_by_their_values() -> None:
    ledger = told(BARS, bar(1), bar(2, close="7"))
    rows = [[second * 1000, *values_of(bar(second))[:5], 0, "1", 1, "1", "1", "0"] for second in range(4)]
    result = compare_bars(ledger, {"BTCUSDT": rows}, "binance.kline_1s.")
    assert (result["finals"], result["missing"], result["different"]) == (3, 1, 1)
