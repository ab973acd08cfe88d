"""How events are written: lines, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json

import pytest

from k2workers import Lost
from k2workers.continuity import Continuity, Identity
from k2workers.errors import ConfigError
from k2workers.events import Backfilled, BookSnapshot, Event, Gap, ReferencePrice, Trade
from k2workers.processes.event_rows import CsvTable, json_row, line
from k2workers.transport.items import Message

AT_NS = 1_795_519_155_123_456_789
CONTINUITY = Continuity(identity=Identity.NUMBER)
TRADE = Trade(2**53 + 1, "100.50", "1.00", True, AT_NS, 2, 3)


def _message(event: Event) -> Message:
    return Message("v.trade.X", 5, AT_NS, event, CONTINUITY)


@pytest.mark.parametrize(
    ("lost", "words", "row"),
    [
        (
            Lost("t", 0, -1, 35, 81),
            "LOST t: 0 batches, ids 35 to 81",
            {"lost": "t", "first": 0, "last": -1, "first_id": 35, "last_id": 81},
        ),
        (Lost("t", 4, 5), "LOST t: 2 batches", {"lost": "t", "first": 4, "last": 5, "first_id": None, "last_id": None}),
    ],
)
def test_a_loss_is_printed_with_the_ids_that_are_known(lost: Lost, words: str, row: dict[str, object]) -> None:
    assert line(lost) == words
    assert json.loads(json_row(lost)) == row
    assert CsvTable().rows(lost) == []


def test_a_line_has_the_time_of_publication_and_every_field_no_longer_than_can_be_read() -> None:
    assert line(_message(Gap(1, 2, "x" * 100, 3))) == (
        f"11:19:15.123457 v.trade.X #5 Gap first_missing_id=1 last_missing_id=2 cause={'x' * 57}… noticed_ns=3"
    )


def test_json_has_the_names_of_the_fields_and_whole_integers_of_what_came_late_too() -> None:
    fields = {
        "type": "Trade", "trade_id": 2**53 + 1, "price": "100.50", "quantity": "1.00", "buyer_is_maker": True,
        "trade_time_ns": AT_NS, "venue_time_ns": 2, "received_ns": 3,
    }  # fmt: skip
    about = {"topic": "v.trade.X", "sequence": 5, "publish_ns": AT_NS}
    assert json.loads(json_row(_message(TRADE))) == {**about, **fields}
    assert json.loads(json_row(_message(Backfilled(TRADE)))) == {**about, "type": "Backfilled", "event": fields}


def test_a_table_has_one_header_and_a_row_an_event() -> None:
    table = CsvTable()
    written = [*table.rows(_message(TRADE)), *table.rows(_message(Gap(1, 2, "x", 3)))]
    written += table.rows(_message(Backfilled(TRADE)))
    assert written == [
        "topic,sequence,publish_ns,type,trade_id,price,quantity,buyer_is_maker,trade_time_ns,venue_time_ns,received_ns",
        f"v.trade.X,5,{AT_NS},Trade,{2**53 + 1},100.50,1.00,true,{AT_NS},2,3",
        f"v.trade.X,5,{AT_NS},Backfilled,{2**53 + 1},100.50,1.00,true,{AT_NS},2,3",
    ]
    with pytest.raises(
        ConfigError,
        match=r"csv: v\.trade\.X brings BookSnapshot into a table of Trade; allowed: .* --where type=Trade, or type=BookSnapshot",
    ):
        table.rows(_message(BookSnapshot(1, [], [], 2)))


def test_what_has_several_values_is_json_in_its_cell_and_what_has_none_is_empty() -> None:
    _, row = CsvTable().rows(_message(BookSnapshot(1, [("1", "2")], [], 2)))
    assert next(csv.reader(io.StringIO(row)))[5:7] == ['[["1","2"]]', "[]"]
    _, row = CsvTable().rows(_message(ReferencePrice(None, 1, 2)))
    assert row.endswith(",ReferencePrice,,1,2")
