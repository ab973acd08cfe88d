from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.errors import ConfigError
from k2workers.processes.sharding import assign

SYMBOLS = st.sets(st.text(st.characters(min_codepoint=48, max_codepoint=90), min_size=1, max_size=8), max_size=80)


def shards_of(symbols: set[str], shards: int) -> list[list[str]]:
    return assign(sorted(symbols), shards, streams_per_symbol=4, streams_per_connection=1024)


@given(SYMBOLS, st.integers(1, 16))
def test_every_symbol_is_served_exactly_once(symbols: set[str], shards: int) -> None:
    served = [symbol for names in shards_of(symbols, shards) for symbol in names]
    assert sorted(served) == sorted(symbols)


@given(SYMBOLS, st.integers(1, 300))
def test_no_shard_holds_two_symbols_more_than_another_and_none_is_empty(symbols: set[str], shards: int) -> None:
    sizes = [len(names) for names in shards_of(symbols, shards)]
    assert len(sizes) == min(shards, len(symbols))
    assert all(sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1


@given(SYMBOLS, st.integers(1, 16), st.randoms())
def test_the_order_of_the_list_does_not_matter(symbols: set[str], shards: int, random: Random) -> None:
    shuffled = sorted(symbols)
    random.shuffle(shuffled)
    again = assign(shuffled, shards, streams_per_symbol=4, streams_per_connection=1024)
    assert again == shards_of(symbols, shards)


@given(SYMBOLS, st.text(st.characters(min_codepoint=48, max_codepoint=90), min_size=9, max_size=9), st.integers(1, 8))
def test_one_symbol_more_or_less_moves_few_others(symbols: set[str], further: str, shards: int) -> None:
    before = {symbol: shard for shard, names in enumerate(shards_of(symbols, shards)) for symbol in names}
    after = {symbol: shard for shard, names in enumerate(shards_of(symbols | {further}, shards)) for symbol in names}
    assert sum(after[symbol] != shard for symbol, shard in before.items()) <= 5


@pytest.mark.parametrize("shards", [2, 8, 16, 64])
def test_on_average_hardly_two_others_move(shards: int) -> None:
    symbols = [f"SYM{number}USDT" for number in range(200)]
    moves, before = [], dict[str, int]()
    for count in range(1, len(symbols)):
        placed = shards_of(set(symbols[:count]), shards)
        after = {symbol: shard for shard, names in enumerate(placed) for symbol in names}
        moves.append(sum(after[symbol] != shard for symbol, shard in before.items()))
        before = after
    # An assignment by position would move most of them each time.
    assert sum(moves) / len(moves) < 3
    assert max(moves) <= 8


def test_the_assignment_is_the_same_on_every_host() -> None:
    placed = shards_of({"BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "币安人生USDT"}, 3)
    assert placed == [["ETHUSDT", "SOLUSDT"], ["BTCUSDT", "币安人生USDT"], ["BNBUSDT"]]


def test_more_streams_than_connections_carry_names_the_shards_needed() -> None:
    symbols = [f"S{number}" for number in range(1000)]
    with pytest.raises(ConfigError, match="at least 4 shards"):
        assign(symbols, 2, streams_per_symbol=4, streams_per_connection=1024)
    assert max(map(len, assign(symbols, 4, streams_per_symbol=4, streams_per_connection=1024))) <= 256


def test_a_symbol_with_too_many_streams_is_refused() -> None:
    with pytest.raises(ConfigError, match="exceed"):
        assign(["A"], 2, streams_per_symbol=2000, streams_per_connection=1024)


def test_symbols_without_streams_of_their_own_fit_into_any_shard() -> None:
    assert assign(["A", "B"], 1, streams_per_symbol=0, streams_per_connection=1) == [["A", "B"]]
