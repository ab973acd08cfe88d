"""What a program has been given, in each form and mixed."""

from __future__ import annotations

from k2workers import wire
from k2workers.events import BookSnapshot, DepthUpdate, Event, Gap, Trade
from k2workers.transport.batches import columns_here
from k2workers.transport.deliveries import Lost, MessageBatch, MessageColumns
from k2workers.transport.items import Items, Message
from k2workers.transport.kept_books import KeptBooks
from k2workers.transport.reassembly import Reassembly
from tests.support.batches import CONTINUITY_OF, batch_of


def trades(*numbers: int) -> list[Event]:
    return [Trade(number, "1.5", "2", True, 1, 2, 3) for number in numbers]


class Program:
    """A program, and what is published for it."""

    def __init__(self) -> None:
        self.reassembly = Reassembly(patience_ns=0)
        self.items = Items(self.reassembly)
        self.sequence = 0

    def publish(self, *events: Event) -> None:
        self.sequence += 1
        stamped = wire.publication(batch_of("t", events), epoch=1, sequence=self.sequence, publish_ns=1)
        self.reassembly.take(stamped, 0)
        self.reassembly.tick(0)

    def at(self) -> tuple[int, int]:
        """Sequence and last id of its position."""
        topic = self.items.position().topics["t"]
        return topic.sequence, topic.last_id


def test_events_batches_and_columns_may_be_mixed_and_nothing_comes_twice() -> None:
    program = Program()
    program.items.prefer_columns(*columns_here())
    for numbers in ((1, 2, 3), (4, 5), (6, 7), (8,)):
        program.publish(*trades(*numbers))
    first = program.items.message()
    assert isinstance(first, Message) and (first.event, first.sequence) == (trades(1)[0], 1)
    assert program.at() == (0, 1)
    rest = program.items.columns()
    assert isinstance(rest, MessageColumns) and rest.events == trades(2, 3)
    batch = program.items.batch()
    assert isinstance(batch, MessageBatch) and batch.events == trades(4, 5)
    assert program.at() == (2, 5)
    columns = program.items.columns()
    assert isinstance(columns, MessageColumns) and list(columns["trade_id"]) == [6, 7]
    last = program.items.message()
    assert isinstance(last, Message) and last.event == trades(8)[0]
    assert program.at() == (4, 8)
    assert (program.items.message(), program.items.batch(), program.items.columns()) == (None, None, None)


def test_the_rest_of_a_batch_is_not_what_its_frame_holds() -> None:
    program = Program()
    program.items.keep_frames()
    for numbers in ((1,), (2, 3), (4, 5)):
        program.publish(*trades(*numbers))
    assert [program.items.message() is not None for _ in range(2)] == [True, True]
    rest, whole = program.items.batch(), program.items.batch()
    assert isinstance(rest, MessageBatch) and (rest.events, rest.frame) == (trades(3), b"")
    assert isinstance(whole, MessageBatch) and whole.events == trades(4, 5)
    assert wire.decode_events(whole.frame, wire.read_header(whole.frame)) == whole.events


def test_what_came_before_columns_were_asked_for_comes_in_columns_too() -> None:
    program = Program()
    program.publish(*trades(1, 2))
    program.items.prefer_columns(*columns_here())
    columns = program.items.columns()
    assert isinstance(columns, MessageColumns) and list(columns["price"]) == [15, 15]


def test_gaps_and_losses_come_among_columns_as_ever() -> None:
    program = Program()
    program.items.prefer_columns(*columns_here())
    program.publish(*trades(1))
    program.publish(Gap(2, 3, "why", 0))
    program.sequence += 1
    program.publish(*trades(7))
    given = [program.items.columns() for _ in range(4)]
    assert [type(item) for item in given] == [MessageColumns, MessageBatch, Lost, MessageColumns]
    assert isinstance(given[1], MessageBatch) and given[1].events == [Gap(2, 3, "why", 0)]
    assert given[2] == Lost("t", 3, 3, 4, 6)
    program.sequence += 1
    program.publish(*trades(9))
    assert program.items.message() == Lost("t", 5, 5, 8, 8)


def test_books_are_kept_as_of_what_was_given_in_whatever_form() -> None:
    program = Program()
    books = KeptBooks(["v.depth.t"])
    program.items = Items(program.reassembly, books)

    def change(number: int) -> DepthUpdate:
        return DepthUpdate(number, number, [("1", str(number))], [], 0, 0)

    def publish(*events: Event) -> None:
        program.sequence += 1
        made = batch_of("v.depth.t", events, CONTINUITY_OF[DepthUpdate])
        program.reassembly.take(wire.publication(made, epoch=1, sequence=program.sequence, publish_ns=1), 0)

    def reached() -> tuple[str, int]:
        book = books.book("v.t", 1, 0)
        return book.state, book.update_id

    publish(BookSnapshot(1, [], [], 0))
    publish(*map(change, (2, 3, 4)))
    publish(change(5))
    program.items.prefer_columns(*columns_here())
    publish(change(6))
    publish(change(7))
    assert reached() == ("stale", -2)
    for expected in (1, 2):
        program.items.message()
        assert reached() == ("whole", expected)
    for take, expected in ((program.items.batch, 4), (program.items.columns, 5), (program.items.columns, 6)):
        take()
        assert reached() == ("whole", expected)
    program.items.message()
    assert reached() == ("whole", 7)
    program.sequence += 1
    publish(change(9))
    program.reassembly.tick(0)
    assert isinstance(program.items.message(), Lost)
    assert reached() == ("stale", 7)
