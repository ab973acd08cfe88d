"""Shapes from texts: literals between fields, and a slot for each field of the event."""

from __future__ import annotations

import re

import pytest

from k2workers.errors import StateError
from k2workers.events import BookTicker, Trade
from k2workers.native.build import SOURCES
from k2workers.venues.message_shape import RECEIVED, Item, ShapePart, TimeUnit, message_shape

UNIT = TimeUnit(1, 9, 1_000)
ITEMS = {
    "trade_id": Item.ID, "price": Item.DECIMAL, "quantity": Item.DECIMAL, "buyer_is_maker": Item.FLAG, "trade_time": Item.TIME,
    "venue_time": Item.TIME, "symbol": Item.SYMBOL,
}  # fmt: skip


def test_a_text_is_its_literals_and_fields_in_order() -> None:
    text = '{"i":<trade_id>,"s":"<symbol>","x":<>,"p":"<price>","q":"<quantity>","m":<buyer_is_maker>,"T":<trade_time>,"E":<venue_time>}'
    shape = message_shape("a:", text, "", ITEMS, Trade, UNIT)
    assert shape.parts[:6] == (
        ShapePart(Item.LITERAL, literal=b'a:{"i":'),
        ShapePart(Item.ID, 0),
        ShapePart(Item.LITERAL, literal=b',"s":"'),
        ShapePart(Item.SYMBOL),
        ShapePart(Item.LITERAL, literal=b'","x":'),
        ShapePart(Item.SKIPPED_FLAG),
    )
    assert shape.parts[-2:] == (ShapePart(Item.TIME, 5, b"", 1, 9, 1_000), ShapePart(Item.LITERAL, literal=b"}"))
    assert shape.slots == {
        "trade_id": 0, "price": 1, "quantity": 2, "buyer_is_maker": 3, "trade_time_ns": 4, "venue_time_ns": 5, "received_ns": RECEIVED,
    }  # fmt: skip


def test_a_text_that_begins_and_ends_with_fields_has_no_empty_literals() -> None:
    text = "<update_id>,<bid_price>,<bid_quantity>,<ask_price>,<ask_quantity>"
    items = dict.fromkeys(("bid_price", "bid_quantity", "ask_price", "ask_quantity"), Item.DECIMAL)
    shape = message_shape("", text, "", {"update_id": Item.ID, **items}, BookTicker, UNIT)
    assert [part.item for part in shape.parts][::8] == [Item.ID, Item.DECIMAL]
    assert len(shape.parts) == 9


def test_a_text_that_lacks_a_field_of_the_event_is_no_shape() -> None:
    with pytest.raises(StateError, match="the shape of Trade lacks price"):
        message_shape("", "<trade_id>", "", ITEMS, Trade, UNIT)


def test_the_items_have_the_numbers_of_the_header() -> None:
    header = (SOURCES / "lane.h").read_text(encoding="utf-8")
    found = {name: int(number) for name, number in re.findall(r"ITEM_(\w+) = (\d+)", header)}
    assert found == {item.name: item.value for item in Item}
