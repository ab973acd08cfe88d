"""Names and patterns against what the venue lists."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.venues.binance.streams import stream_specs
from k2workers.venues.binance.symbols import NAMED_MOST, SymbolInfo, can_be_asked_alone, choose, fault_of

LISTED = [
    SymbolInfo("BTCUSDT", "TRADING"), SymbolInfo("ETHUSDT", "HALT"), SymbolInfo("OLDUSDT", "BREAK"),
    SymbolInfo("A@BUSDT", "TRADING"), SymbolInfo("İUSDT", "TRADING"), SymbolInfo("NULLUSDT", None),
    SymbolInfo("币安人生USDT", "TRADING"),
]  # fmt: skip


def test_a_symbol_that_is_named_is_served_whatever_its_status() -> None:
    choice = choose(["btcusdt", "ETHUSDT", "OLDUSDT"], LISTED)
    assert choice.served == {"BTCUSDT": "TRADING", "ETHUSDT": "HALT", "OLDUSDT": "BREAK"}
    assert (choice.unknown, choice.left_out, choice.awaited) == ({}, {}, 0)


def test_a_pattern_selects_what_trades_or_pauses_and_awaits_what_is_in_break() -> None:
    choice = choose(["*USDT"], LISTED)
    assert set(choice.served) == {"BTCUSDT", "ETHUSDT", "币安人生USDT"}
    assert choice.awaited == 1
    assert set(choice.left_out) == {"A@BUSDT", "İUSDT", "NULLUSDT"}
    # One that is also named is served, and awaited no longer.
    assert choose(["*USDT", "OLDUSDT"], LISTED).awaited == 0


def test_a_name_that_the_venue_does_not_list_is_told_with_the_nearest_and_the_rest_is_served() -> None:
    choice = choose(["BTCUDST", "BTCUSDT", "QQQ"], LISTED)
    assert list(choice.served) == ["BTCUSDT"]
    assert choice.unknown == {"BTCUDST": "BTCUSDT", "QQQ": ""}


@pytest.mark.parametrize("selector", ["OLDUSDT", "OLD*", "A@BUSDT", "NULLUSDT"])
def test_what_the_venue_lists_is_never_the_users_mistake(selector: str) -> None:
    assert not choose([selector], LISTED).mistake


def test_only_if_nothing_that_is_asked_for_is_listed_it_is_the_users_mistake() -> None:
    choice = choose(["BTCUDST", "NO*"], LISTED)
    assert re.search(r"did you mean BTCUSDT\?\n.*'NO\*'.*matches none", choice.mistake)
    assert choice.unknown == {"BTCUDST": "BTCUSDT"}
    # The name may be in a row that could not be read.
    assert not choose(["BTCUDST"], LISTED, complete=False).mistake


@pytest.mark.parametrize("status", [None, 5, "", [], {}])
def test_a_row_without_a_status_leaves_out_its_symbol_alone(status: Any) -> None:
    choice = choose(["*"], [SymbolInfo("AUSDT", status), SymbolInfo("BUSDT", "TRADING")])
    assert (list(choice.served), list(choice.left_out)) == (["BUSDT"], ["AUSDT"])


@pytest.mark.parametrize("name", ["", "A B", "A\tB", "A\nB", "A\x00B", "A@B", "!A", "İUSDT", "aUSDT", "ß", "A\u00a0B"])
def test_names_that_no_stream_can_carry(name: str) -> None:
    assert fault_of(name)


@pytest.mark.parametrize("name", ["BTCUSDT", "1000SATSUSDT", "币安人生USDT", "A_B-C.D", "ÄUSDT"])
def test_names_that_streams_carry(name: str) -> None:
    assert not fault_of(name)


@given(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=8))
def test_symbols_that_are_served_have_streams_of_their_own(names: list[str]) -> None:
    served = list(choose(["*"], [SymbolInfo(name, "TRADING") for name in names], complete=False).served)
    streams = [spec.name for spec in stream_specs(["trade", "depth"], served)]
    assert len(set(streams)) == len(streams)
    assert [name.partition("@")[0].upper() for name in streams] == served * 2


def test_a_few_plain_names_can_be_asked_for_alone() -> None:
    assert can_be_asked_alone(["BTCUSDT", "ETHUSDT"])
    assert not any(can_be_asked_alone([name]) for name in ("*", "A B", "币安", "A" * 21))
    assert not can_be_asked_alone([f"S{number}" for number in range(NAMED_MOST + 1)])


def test_a_status_that_is_no_word_can_be_compared_and_shown() -> None:
    choice = choose(["BTCUSDT"], [SymbolInfo("BTCUSDT", ["TRADING"])])
    assert (choice.served, choice.status_of) == ({}, {"BTCUSDT": "['TRADING']"})
    assert "['TRADING']" in choice.left_out["BTCUSDT"]
    assert fault_of("A" * 101) == "its name is far too long"
