"""Owns what a subscriber is given, a batch or a loss at a time, and the counts of it. Pure."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from k2workers.continuity import Continuity
from k2workers.events import ROW_OF, Event
from k2workers.transport.standing import PositionFields


class Lost(msgspec.Struct, frozen=True, gc=False):
    """Batches of this topic that were published and can no longer be fetched: sequences first to last, inclusive.

    They are no longer in the ring, or of a schema that this version does not know.

    ``first_id`` to ``last_id`` are the venue ids that will not come because of it, where they follow from the neighbours. (Should
    one come all the same, it comes as ``Backfilled``.) Events of
    an announced gap that may have been among them are not: that gap stays open. A hole that is known by ids only (between two
    lives of the aggregator) has the sequences 0 to -1; if the ids began anew in it, its ids are not known either.
    """

    topic: str
    first_sequence: int
    last_sequence: int
    first_id: int | None = None
    last_id: int | None = None

    @property
    def count(self) -> int:
        """How many batches; 0 if only ids are known."""
        return self.last_sequence - self.first_sequence + 1


class MessageBatch(msgspec.Struct, frozen=True, gc=False):
    """Consecutive events of one topic, as they were published. ``publish_ns`` wall-clock ns."""

    topic: str
    sequence: int
    publish_ns: int
    events: list[Event]
    continuity: Continuity
    """How the ids of the topic continue, and so what its guarantee is."""
    frame: bytes = b""
    """The same as it was published (``wire``), if frames were asked for and it is given as it came; else empty."""


Column = tuple[Any, int | None]
"""The values, and of scaled ones the number of decimals."""


class Rows(Protocol):
    """Where the columns of one batch come from."""

    def column(self, field: str) -> Column:
        """Of a field that the events have."""

    def events(self) -> list[Event]:
        """The same as events."""


class MessageColumns(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Consecutive events of one topic, as they were published, in columns. ``publish_ns`` wall-clock ns, ``count`` how many events.

    ``columns["price"]`` is the column of that field of ``event_type`` (``first_id`` and ``last_id`` are the venue's ids whatever their fields are
    called), one value an event, in their order:

    - ids, counts, and times (ns since the epoch): int64, in a numpy array, or in ``array.array("q")`` where numpy is not installed
    - flags: a numpy array of bool, or a list
    - prices, quantities and all other decimals: int64 too, *scaled*: the venue's value times 10 to the power of
      ``columns.decimals("price")``, one number for the column of this batch; of another batch it may be another. Exact, never rounded. A column with a value
      that has no such form (beyond 64 bits, with an exponent, an empty text, None) is a list of the venue's texts, and ``decimals`` is None
    - levels of books, and components of indexes: a list of the events' lists of tuples of texts
    - any other text: a list

    A column is made when it is first asked for, and is the caller's. Raises KeyError for a field that the events do not have.
    """

    topic: str
    sequence: int
    publish_ns: int
    continuity: Continuity
    """How the ids of the topic continue, and so what its guarantee is."""
    event_type: type[Event]
    count: int
    rows: Rows
    made: dict[str, Column] = {}
    """Columns that were asked for."""

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, field: str) -> Any:
        return self._column(field)[0]

    def decimals(self, field: str) -> int | None:
        """By which power of 10 the integers of this column are to be divided. None if they are not scaled: what is there is the value."""
        return self._column(field)[1]

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.event_type.__struct_fields__

    @property
    def events(self) -> list[Event]:
        """The same as events."""
        return self.rows.events()

    def batch(self) -> MessageBatch:
        """The same as it comes without ``columns``."""
        return MessageBatch(self.topic, self.sequence, self.publish_ns, self.events, self.continuity)

    def _column(self, field: str) -> Column:
        column = self.made.get(field)
        if column is None:
            row = ROW_OF[self.event_type]
            name = {"first_id": row.first, "last_id": row.last}.get(field, field)
            if name not in self.fields:
                raise KeyError(f"{self.event_type.__name__} has no field {field!r}; it has {', '.join(self.fields)}")
            column = self.made[field] = self.rows.column(name)
        return column


Delivery = tuple[MessageBatch | MessageColumns | Lost, PositionFields]
"""Something to give to the program, and where its topic stood before it."""


class ReassemblyCounters(msgspec.Struct, gc=False):
    """Totals since the subscriber was made."""

    batches: int = 0
    events: int = 0
    lost_batches: int = 0
    repaired_batches: int = 0
    duplicates_dropped: int = 0
    refused_batches: int = 0
    """Of an epoch that was left: two publishers speak at once. Not delivered."""
    books: int = 0
    """Whole books that were asked for and given."""
