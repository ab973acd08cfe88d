"""Owns what the messages of each subscribed stream look like to the decoder: one shape for all streams of a type, bounded to one unit of time. Pure."""

from __future__ import annotations

import functools
import typing
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from k2workers.events import Event
from k2workers.venues.binance import values
from k2workers.venues.binance.messages import Levels, StreamMessage, fitted
from k2workers.venues.binance.stream_dialect import StreamDialect
from k2workers.venues.binance.written import shape_of
from k2workers.venues.elements import ElementReader
from k2workers.venues.message_shape import MessageShape, PlainStream
from k2workers.venues.venue import StreamSpec

MOST_CHANGES = 16
"""To follow a venue that writes now so and now so costs more than to read its messages otherwise."""


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


class ToldMarkets:
    """Learns of which ``shapes`` the messages tell their market: that decides how they are written."""

    def __init__(self, dialect: StreamDialect) -> None:
        self.shapes: set[type[StreamMessage]] = set()
        self._may_tell = dialect.texts_of_market
        self._changes = 0

    def changed_by(self, shape: type[StreamMessage], message: typing.Any) -> bool:
        """Whether a message of this shape is the first that is written otherwise than those before it."""
        if shape not in self._may_tell or (message.symbol_type != 0) == (shape in self.shapes):
            return False
        self._changes += 1
        if self._changes > MOST_CHANGES:
            return False
        self.shapes ^= {shape}
        return True


def plain_streams(
    streams: Iterable[Stream], unit_ns: int, dialect: StreamDialect, with_market: Collection[type[StreamMessage]]
) -> list[PlainStream]:
    """How the messages of those streams are written that have a text; ``with_market`` are the shapes whose messages tell theirs."""
    shape_of_text: dict[tuple[type[StreamMessage], str], MessageShape | None] = {}
    found = []
    for stream in streams:
        message, symbol = stream.shape, stream.spec.symbol
        text = dialect.text_of(message, symbol, with_market=message in with_market) if stream.topic >= 0 else None
        if text is None:
            continue
        if (message, text) not in shape_of_text:
            shape_of_text[message, text] = shape_of(message, unit_ns, {message: text})
        shape = shape_of_text[message, text]
        assert shape is not None
        found.append(PlainStream(stream.spec.name, symbol, stream.topic, shape))
    return found


@functools.cache
def lenient_reader(shape: type[StreamMessage], unit_ns: int) -> ElementReader[typing.Any]:
    """Reads lists of messages of this shape whose times are in this unit, and whose levels may have more elements than two."""
    types = {values.Time: values.time_in(unit_ns), Levels: list[values.LongLevel]}
    return ElementReader(fitted(shape, types))


def any_of(shapes: Sequence[type]) -> typing.Any:
    """The union of types that are only known now."""
    return typing.Union.__getitem__(tuple(shapes))
