"""The file of a capture program: what was saved whole counts, and nothing else."""

from __future__ import annotations

from pathlib import Path

from k2workers import Lost, MessageBatch, Position
from k2workers.events import Backfilled, Gap, Trade
from k2workers.transport.position import TopicPosition
from k2workers.venues.binance.streams import KINDS
from tests.chaos import capture
from tests.chaos.ledger import Ledger

TOPIC = "binance.trade.BTCUSDT"


def trade(number: int) -> Trade:
    return Trade(number, "1.0", "2.0", False, 0, 0, 0)


def record(sequence: int, *items: MessageBatch | Lost) -> bytes:
    position = Position({TOPIC: TopicPosition(1, sequence, 0, 0, 0, [])})
    return capture.framed(position, [row for item in items for row in capture.written(item)])


def batch(*events: Trade | Gap | Backfilled) -> MessageBatch:
    return MessageBatch(TOPIC, 1, 0, list(events), KINDS["trade"].continuity)


def test_what_a_death_cut_off_is_dropped_and_the_last_whole_record_is_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "captured"
    whole = record(1, batch(trade(1), Gap(2, 2, "test", 0), trade(3))) + record(2, batch(Backfilled(trade(2))))
    path.write_bytes(whole + record(3, batch(trade(4)))[:-1])
    ledger = Ledger()
    assert capture.read(path, ledger) == len(whole)
    assert list(ledger.chains[TOPIC].got) == [(1, 3)]
    position = capture.last_position(path)
    assert position is not None
    assert position.topics[TOPIC].sequence == 2
    assert path.read_bytes() == whole


def test_a_file_that_grows_is_judged_from_where_it_was_left(tmp_path: Path) -> None:
    path, ledger = tmp_path / "captured", Ledger()
    path.write_bytes(record(1, batch(trade(1))))
    begin = capture.read(path, ledger)
    with path.open("ab") as file:
        file.write(record(2, Lost(TOPIC, 2, 3, 2, 4), batch(trade(5))))
    capture.read(path, ledger, begin)
    assert list(ledger.chains[TOPIC].lost) == [(2, 4)]
    assert ledger.broken_rules() == []


def test_a_program_that_saved_nothing_begins_anew(tmp_path: Path) -> None:
    assert capture.last_position(tmp_path / "captured") is None
    (tmp_path / "captured").write_bytes(b"\0\0")
    assert capture.last_position(tmp_path / "captured") is None
