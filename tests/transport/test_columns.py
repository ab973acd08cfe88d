"""Columns of events that are here as events: every value, exactly."""

from __future__ import annotations

import re
from array import array
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given

from k2workers.events import (
    DATA_SCHEMAS,
    ROW_OF,
    SCHEMAS,
    AveragePrice,
    BookSnapshot,
    Event,
    Gap,
    Kline,
    ReferencePrice,
    Trade,
)
from k2workers.transport.batches import columns_here
from k2workers.transport.columns import WORDS, StandardArrays, columns_of
from k2workers.transport.deliveries import MessageBatch, MessageColumns
from k2workers.venues.binance.streams import CHAIN
from tests.support.any_events import any_batch
from tests.support.samples import sample


def batch(*events: Event) -> MessageBatch:
    return MessageBatch("t", 3, 4, list(events), CHAIN)


def columns(*events: Event) -> MessageColumns:
    found = columns_of(batch(*events), StandardArrays())
    assert found is not None
    return found


def trade(number: int, price: str = "1.50", quantity: str = "0.1") -> Trade:
    return Trade(number, price, quantity, True, 1, 2, 3)


def assert_the_same(found: MessageColumns, events: list[Event]) -> None:
    """Each column holds what its field holds in each event: the same value, or an integer that counts it exactly."""
    assert (found.event_type, found.count, len(found)) == (type(events[0]), len(events), len(events))
    for field in found.fields:
        expected, decimals = [getattr(event, field) for event in events], found.decimals(field)
        values: list[Any] = list(found[field])
        if decimals is None:
            assert values == expected
        else:
            assert [Decimal(int(value)).scaleb(-decimals) for value in values] == [Decimal(text) for text in expected]
    assert found.events == events


@given(any_batch)
def test_columns_hold_what_the_events_hold_whatever_their_type(events: list[Event]) -> None:
    assert_the_same(columns(*events), events)
    made = columns_of(batch(*events), columns_here()[1])
    assert made is not None
    assert_the_same(made, events)


def test_prices_are_whole_numbers_of_the_smallest_decimal_in_the_column() -> None:
    found = columns(trade(7, "1.50"), trade(8, "-12.005"), trade(9, "3"))
    assert (found["price"], found.decimals("price")) == (array("q", [1_500, -12_005, 3_000]), 3)
    assert (found["trade_id"], found.decimals("trade_id")) == (array("q", [7, 8, 9]), None)
    assert (found["first_id"], found["buyer_is_maker"]) == (found["trade_id"], [True] * 3)


@pytest.mark.parametrize("odd", ["1e5", "", "+1", "1.", ".5", "1\n2", "٣", "9223372036854775808", "nan"])
def test_a_column_with_a_value_that_is_no_64_bit_decimal_has_the_venues_texts(odd: str) -> None:
    found = columns(trade(7, odd), trade(8, "1.5"))
    assert (found["price"], found.decimals("price")) == ([odd, "1.5"], None)
    assert found.decimals("quantity") == 1


def test_a_value_that_fits_only_without_the_decimals_of_its_neighbour_makes_texts() -> None:
    found = columns(trade(7, "9223372036854775807"), trade(8, "0.1"))
    assert (found["price"], found.decimals("price")) == (["9223372036854775807", "0.1"], None)


def test_text_that_is_no_number_stays_text_also_if_it_is_digits() -> None:
    found = columns(AveragePrice("5", "1.5", 1, 2, 3))
    assert (found["interval"], found.decimals("interval"), found.decimals("price")) == (["5"], None, 1)


def test_every_text_of_an_event_is_known_as_a_number_or_as_words() -> None:
    numbers = re.compile(
        r".*(price|quantity|without_rpi|interest|volume|average|index|rate|buffer|percent)\Z|(previous_)?close|open|high|low|price_change"
    )
    texts = {
        field.name
        for schema in DATA_SCHEMAS
        for field in msgspec.structs.fields(SCHEMAS[schema])
        if field.type in (str, str | None)
    }
    assert {name for name in texts if not numbers.fullmatch(name)} == WORDS


def test_a_price_that_the_venue_does_not_have_is_none() -> None:
    found = columns(ReferencePrice(None, 1, 2), ReferencePrice("1.5", 1, 2))
    assert (found["price"], found.decimals("price")) == ([None, "1.5"], None)


def test_times_beyond_64_bits_stay_whole() -> None:
    assert columns(Trade(2**64 - 1, "1", "1", True, 1, 2, 3))["trade_id"] == [2**64 - 1]


def test_what_the_feed_says_itself_has_no_columns() -> None:
    for event in (Gap(1, 2, "", 3), BookSnapshot(1, [], [], 2)):
        assert columns_of(batch(event), StandardArrays()) is None


def test_a_field_that_the_events_do_not_have_is_named_with_those_they_have() -> None:
    with pytest.raises(KeyError, match="Trade has no field 'bid_price'; it has trade_id, price"):
        columns(trade(7))["bid_price"]


def test_a_batch_in_columns_tells_the_same_as_the_batch() -> None:
    bar = sample_bar()
    found = columns(bar)
    assert found.batch() == batch(bar)
    assert (found.topic, found.sequence, found.publish_ns, found.continuity) == ("t", 3, 4, CHAIN)
    assert found["last_id"] == found["open_time_ns"]


def sample_bar() -> Kline:
    bar = sample(ROW_OF[Kline], 1)
    assert isinstance(bar, Kline)
    return bar
