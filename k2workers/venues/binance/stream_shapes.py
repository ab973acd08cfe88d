"""Owns what the messages of each subscribed stream look like to the decoder: one shape for all streams of a type, bounded to one unit of time. Pure."""

from __future__ import annotations

import functools
import typing
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from k2workers.events import Event
from k2workers.venues.binance import values
from k2workers.venues.binance.messages import Levels, StreamMessage, fitted
from k2workers.venues.binance.stream_dialect import StreamDialect
from k2workers.venues.elements import ElementReader
from k2workers.venues.venue import StreamSpec


class Wrapped(msgspec.Struct, gc=False):
    """What the message of one stream looks like; each stream has a subclass."""

    stream: typing.ClassVar[Stream]
    data: typing.Any


class Nothing(Wrapped, tag_field="stream", tag="", gc=False):
    """What no message looks like: for a codec without streams."""

    data: typing.Annotated[int, msgspec.Meta(ge=1, le=0)]


class Stream:
    """One subscribed stream: how to read its messages. ``topic`` is -1 for an all-market stream."""

    __slots__ = ("listed", "shape", "spec", "symbol", "topic")

    def __init__(self, spec: StreamSpec, topic: int, dialect: StreamDialect) -> None:
        self.spec = spec
        self.topic = topic
        self.shape = dialect.messages[spec.event_type]
        self.listed = topic < 0 and not self.shape.alone
        """Whether a message is a list of many."""
        self.symbol = spec.symbol if hasattr(self.shape, "symbol") else ""
        """The symbol that every message must name; empty if they name none, or any."""

    def wrapped(self, plain: Mapping[tuple[type[Event], bool], type[StreamMessage]]) -> type[Wrapped]:
        """What its messages look like, whose insides are of these shapes."""
        message = plain[self.spec.event_type, self.topic >= 0]
        return msgspec.defstruct(  # type: ignore[return-value]
            "Wrapped",
            [("data", list[message] if self.listed else message)],  # type: ignore[valid-type]
            bases=(Wrapped,),
            namespace={"stream": self},
            tag_field="stream",
            tag=self.spec.name,
            gc=False,
        )

    def events(self, messages: list[typing.Any], received_ns: int, unit_ns: int) -> list[Event]:
        """The events of its messages. Raises ValueError if one of them is of another symbol, or contradicts itself."""
        if self.symbol:
            symbol = self.symbol
            for message in messages:
                if message.symbol != symbol:
                    raise ValueError(f"symbol {message.symbol!r} on stream {self.spec.name}")
        return self.shape.events(messages, received_ns, unit_ns)


def plain_shapes(
    specs: Iterable[StreamSpec], unit_ns: int, dialect: StreamDialect
) -> dict[tuple[type[Event], bool], type[StreamMessage]]:
    """What the messages of each event type look like on these streams, by the type and whether the stream is of one symbol.

    All streams of a type share one class, or the interpreter would look up every field of every message anew. Where they name
    their symbols, no other is accepted, and those that come share one string.
    """
    types: dict[typing.Any, typing.Any] = {values.Time: values.time_in(unit_ns)}
    if dialect.all_have_points:
        types |= {
            Levels: list[tuple[values.PLAIN_DECIMAL, values.PLAIN_DECIMAL]],
            values.Decimal: values.PLAIN_DECIMAL, values.Decimal | None: values.PLAIN_DECIMAL | None,
            values.SignedDecimal: values.PLAIN_SIGNED,
        }  # fmt: skip
    symbols: dict[tuple[type[Event], bool], list[str]] = defaultdict(list)
    for spec in specs:
        symbols[spec.event_type, bool(spec.symbol)] += [spec.symbol] if spec.symbol else []
    return {
        key: fitted(
            dialect.messages[key[0]], types | ({"symbol": typing.Literal.__getitem__(tuple(names))} if names else {})
        )
        for key, names in symbols.items()
    }


@functools.cache
def lenient_reader(shape: type[StreamMessage], unit_ns: int) -> ElementReader[typing.Any]:
    """Reads lists of messages of this shape whose times are in this unit, and whose levels may have more elements than two."""
    types = {values.Time: values.time_in(unit_ns), Levels: list[values.LongLevel]}
    return ElementReader(fitted(shape, types))


def any_of(shapes: Sequence[type]) -> typing.Any:
    """The union of types that are only known now."""
    return typing.Union.__getitem__(tuple(shapes))
