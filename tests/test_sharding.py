from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.errors import ConfigError
from k2workers.sharding import assign, capacity

SYMBOLS = st.sets(st.text(st.characters(min_codepoint=48, max_codepoint=90), min_size=1, max_size=8), max_size=80)


def shards_of(symbols: set[str], shards: int) -> list[list[str]]:
    return assign(sorted(symbols), shards, streams_per_symbol=4, streams_per_connection=1024)


@given(SYMBOLS, st.integers(1, 16))
def test_every_symbol_is_served_exactly_once(symbols: set[str], shards: int) -> None:
    served = [symbol for names in shards_of(symbols, shards) for symbol in names]
    assert sorted(served) == sorted(symbols)


@given(SYMBOLS, st.integers(1, 16))
def test_no_shard_holds_more_than_its_capacity(symbols: set[str], shards: int) -> None:
    assert max(map(len, shards_of(symbols, shards))) <= capacity(len(symbols), shards)


@given(SYMBOLS, st.integers(1, 16), st.randoms())
def test_the_order_of_the_list_does_not_matter(symbols: set[str], shards: int, random: object) -> None:
    shuffled = sorted(symbols)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = assign(shuffled, shards, streams_per_symbol=4, streams_per_connection=1024)
    assert again == shards_of(symbols, shards)


def test_adding_a_symbol_moves_few_others() -> None:
    symbols = {f"SYM{number}USDT" for number in range(200)}
    before = {symbol: shard for shard, names in enumerate(shards_of(symbols, 8)) for symbol in names}
    moved = 0
    for number in range(200, 240):
        symbols.add(f"SYM{number}USDT")
        after = {symbol: shard for shard, names in enumerate(shards_of(symbols, 8)) for symbol in names}
        moved += sum(1 for symbol, shard in before.items() if after[symbol] != shard)
        before = after
    # 40 additions; an assignment by position would have moved most of 200 symbols each time.
    assert moved <= 3 * 40


def test_more_streams_than_connections_carry_names_the_shards_needed() -> None:
    symbols = [f"S{number}" for number in range(1000)]
    with pytest.raises(ConfigError, match="at least 4 shards"):
        assign(symbols, 2, streams_per_symbol=4, streams_per_connection=1024)
    assert max(map(len, assign(symbols, 4, streams_per_symbol=4, streams_per_connection=1024))) <= 256


def test_a_symbol_with_too_many_streams_is_refused() -> None:
    with pytest.raises(ConfigError, match="exceed"):
        assign(["A"], 2, streams_per_symbol=2000, streams_per_connection=1024)
