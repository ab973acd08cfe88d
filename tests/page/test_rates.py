"""How fast totals rise that several processes tell."""

from __future__ import annotations

from k2workers.page.rates import Rates

S = 1_000_000_000


def test_each_process_is_judged_by_its_own_times_and_all_are_added_up() -> None:
    rates = Rates()
    rates.told("a", 1, {"trade": 100, "depth": 0}, 10 * S)
    rates.told("b", 2, {"trade": 7}, 11 * S)
    assert rates.a_second() == {}, "nothing is known of a total that was told once"
    rates.told("a", 1, {"trade": 150, "depth": 5}, 10 * S + S // 2)
    rates.told("b", 2, {"trade": 27}, 13 * S)
    assert rates.a_second() == {"depth": 10.0, "trade": 110.0}


def test_what_is_told_again_changes_nothing() -> None:
    rates = Rates()
    for at_ns, total in ((10 * S, 0), (11 * S, 4), (11 * S, 4), (11 * S, 4)):
        rates.told("a", 1, {"trade": total}, at_ns)
    assert rates.a_second() == {"trade": 4.0}


def test_a_kind_that_comes_later_counts_from_nothing() -> None:
    rates = Rates()
    rates.told("a", 1, {}, 10 * S)
    rates.told("a", 1, {"kline": 3}, 11 * S)
    assert rates.a_second() == {"kline": 3.0}


def test_a_new_life_begins_anew_and_is_no_fall() -> None:
    rates = Rates()
    rates.told("a", 1, {"trade": 1_000}, 10 * S)
    rates.told("a", 2, {"trade": 5}, 11 * S)
    assert rates.a_second() == {}
    rates.told("a", 2, {"trade": 9}, 12 * S)
    assert rates.a_second() == {"trade": 4.0}


def test_one_that_has_gone_no_longer_counts() -> None:
    rates = Rates()
    for at_ns in (10 * S, 11 * S):
        rates.told("a", 1, {"trade": at_ns // S}, at_ns)
    rates.gone("a")
    rates.gone("a")
    assert rates.a_second() == {}
