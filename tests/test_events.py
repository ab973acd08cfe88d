"""The table of event types: every type has its row, and every row is true of its type."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from k2workers import wire
from k2workers.errors import StateError
from k2workers.events import (
    LATE,
    TABLE,
    Backfilled,
    DepthUpdate,
    Event,
    EventRow,
    Gap,
    Kline,
    Part,
    Trade,
    Void,
    covered_ids,
    learned_ns,
    without_ids_through,
)
from k2workers.venues.binance.futures_streams import FUTURES_KINDS
from k2workers.venues.binance.streams import KINDS
from tests.support.batches import batch_of
from tests.support.samples import MINUTE_NS, sample

each_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.type.__name__)


def test_every_type_of_events_has_one_row_and_a_number_of_its_own() -> None:
    types = {
        found
        for found in (*Event.__subclasses__(), *Kline.__subclasses__())
        if found.__module__.startswith("k2workers.")
    }
    assert {row.type for row in TABLE} == types - {Backfilled}
    assert len({row.number for row in TABLE}) == len({row.type for row in TABLE}) == len(TABLE)
    assert max(row.number for row in TABLE) < LATE


@each_row
def test_its_fields_are_there_and_the_time_we_learned_of_it_is_the_last(row: EventRow) -> None:
    fields = row.type.__struct_fields__
    assert row.first in fields
    assert row.last in fields
    assert fields[-1] == row.learned
    assert fields[-1].endswith("_ns")


@each_row
def test_its_bytes_give_back_the_ids_and_the_time_without_decoding(row: EventRow) -> None:
    event = sample(row, 2**60 + 5 if row.learned == row.first else 3, learned_ns=2**60 + 5)
    batch = batch_of("t", [event])
    assert (batch.schema, batch.first_id, batch.last_id) == (row.number, event.first_id, event.last_id)
    assert wire.newest_received_ns(batch.events) == learned_ns(event) == 2**60 + 5
    assert wire.decode_batch(batch) == [event]


@each_row
def test_an_event_of_several_ids_can_be_cut_and_one_of_a_single_id_is_never_asked_to(row: EventRow) -> None:
    event = sample(row, 3)
    if row.first == row.last:
        with pytest.raises(StateError, match=row.type.__name__):
            without_ids_through(event.first_id - 1, event)
    else:
        cut = without_ids_through(event.first_id, event)
        assert (cut.first_id, cut.last_id) == (event.first_id + 1, event.last_id)
        assert msgspec.structs.replace(cut, **{row.first: event.first_id}) == event


def test_every_type_that_a_venue_sends_is_sent_by_a_stream() -> None:
    assert {row.type for row in TABLE if row.part is Part.DATA} == {
        kind.event_type for kinds in (KINDS, FUTURES_KINDS) for kind in kinds.values()
    }


def test_what_is_no_longer_missing_with_an_event_are_its_ids_and_of_a_bar_all_times_until_the_next() -> None:
    bar = sample(next(row for row in TABLE if row.type is Kline), 2)
    assert covered_ids(bar) == (2 * MINUTE_NS, 3 * MINUTE_NS - 1)
    assert covered_ids(Void(3, 4, 0)) == (3, 4)
    assert covered_ids(Backfilled(Trade(5, "", "", True, 0, 0, 0))) == (5, 5)


def test_levels_stay_whole_when_a_depth_event_is_cut() -> None:
    diff = DepthUpdate(1, 9, [("1", "2")], [("3", "0")], 4, 5)
    assert without_ids_through(4, diff) == DepthUpdate(5, 9, [("1", "2")], [("3", "0")], 4, 5)
    assert without_ids_through(4, Gap(1, 9, "why", 5)) == Gap(5, 9, "why", 5)


def test_the_protocol_page_gives_the_fields_of_every_type_in_wire_order_and_marks_the_ids() -> None:
    page = (Path(__file__).parents[1] / "k2workers" / "transport" / "PROTOCOL.md").read_text(encoding="utf-8")
    table = "\n".join(
        f"| {row.number} | `{row.type.__name__}` | "
        + ", ".join(f"**{name}**" if name in (row.first, row.last) else name for name in row.type.__struct_fields__)
        + " |"
        for row in TABLE
    )
    assert f"| schema | event | fields |\n|---|---|---|\n{table}\n\n" in page
