"""Owns the step from Binance's messages to events. Never raises, whatever the bytes; keeps no view of them.

A combined data message is ``{"stream":"<name>","data":{…}}``. Messages that lie together as a JSON array are decoded in one
call; its elements tell their stream. If one of them is anything else (a reply, a notice, garbage), they are read one by one, and so
are the elements of a message for the whole market if one of those is odd.
"""

from __future__ import annotations

import itertools
import typing
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from k2workers.events import Event
from k2workers.venues.binance.messages import MESSAGE_OF, Envelope, RefusalDetail, StreamMessage
from k2workers.venues.binance.symbols import LONGEST, fault_of
from k2workers.venues.elements import ElementReader
from k2workers.venues.venue import Outcome, Reply, StreamSpec, Topic

VENUE_NAME = "binance"
SHUTDOWN_EVENT = "serverShutdown"
MAX_TOPICS = 10_000
"""All-market streams open a topic for each symbol they show; past this many, new ones count as malformed."""

_PREFIX = b'{"stream":"'
_PREFIX_LENGTH = len(_PREFIX)
_envelopes = msgspec.json.Decoder(Envelope)


class _Wrapped(msgspec.Struct, gc=False):
    """What the message of one stream looks like; each stream has a subclass."""

    stream: typing.ClassVar[_Stream]
    data: typing.Any


class _Nothing(_Wrapped, tag_field="stream", tag="", gc=False):
    """What no message looks like: for a codec without streams."""

    data: typing.Annotated[int, msgspec.Meta(ge=1, le=0)]


class _Stream:
    """One subscribed stream: how to read its messages. ``topic`` is -1 for an all-market stream."""

    __slots__ = ("elements", "message", "spec", "symbol", "topic", "wrapped")

    def __init__(self, spec: StreamSpec, topic: int, message: type[StreamMessage]) -> None:
        self.spec = spec
        self.topic = topic
        self.message = message
        self.symbol = spec.symbol if "symbol" in message.__struct_fields__ else ""
        """The symbol that every message must name; empty if they name none, or any."""
        self.elements = ElementReader(message) if topic < 0 else None
        self.wrapped = msgspec.defstruct(
            "Wrapped",
            [("data", message if topic >= 0 else list[message])],  # type: ignore[valid-type]
            bases=(_Wrapped,),
            namespace={"stream": self},
            tag_field="stream",
            tag=spec.name,
            gc=False,
        )

    def events(self, messages: list[typing.Any], received_ns: int, unit_ns: int) -> list[Event]:
        """The events of its messages. Raises ValueError if one of them is of another symbol."""
        if self.symbol:
            symbol = self.symbol
            for message in messages:
                if message.symbol != symbol:
                    raise ValueError(f"symbol {message.symbol!r} on stream {self.spec.name}")
        return self.message.events(messages, received_ns, unit_ns)


def _shapes(specs: Iterable[StreamSpec]) -> dict[type[Event], type[StreamMessage]]:
    """What the messages of each event type look like on these streams.

    All streams of a type share one class, or the interpreter would look up every field of every message anew. Where they name
    their symbols, no other is accepted, and those that come share one string.
    """
    symbols: dict[type[Event], list[str]] = defaultdict(list)
    for spec in specs:
        symbols[spec.event_type] += [spec.symbol] if spec.symbol else []
    shapes: dict[type[Event], type[StreamMessage]] = {}
    for event_type, names in symbols.items():
        shape = MESSAGE_OF[event_type]
        if names and "symbol" in shape.__struct_fields__:
            own = ("symbol", typing.Literal.__getitem__(tuple(names)), msgspec.field(name="s"))
            kw_only = bool(shape.__struct_defaults__)  # as the shape itself is, or the field would change its place
            shape = msgspec.defstruct(shape.__name__, [own], bases=(shape,), gc=False, kw_only=kw_only)  # type: ignore[assignment]
        shapes[event_type] = shape
    return shapes


def _any_of(shapes: Sequence[type]) -> typing.Any:
    """The union of types that are only known now."""
    return typing.Union.__getitem__(tuple(shapes))


class BinanceCodec:
    """Fulfils ``venues.venue.Codec``. ``time_unit_ns``: what one unit of the venue's times is worth."""

    def __init__(self, specs: Sequence[StreamSpec], time_unit_ns: int) -> None:
        self.topics: list[Topic] = []
        self.last_reply = Reply(None, ok=True)
        self.malformed_cause = ""
        self.odd_elements = 0
        self._unit_ns = time_unit_ns
        self._topic_of: dict[tuple[str, str], int] = {}
        self._streams: dict[bytes, _Stream] = {}
        self._specs: list[StreamSpec] = []
        self._one: msgspec.json.Decoder[_Wrapped]
        self._together: msgspec.json.Decoder[list[_Wrapped]]
        self.add(specs)

    def add(self, specs: Sequence[StreamSpec]) -> None:
        """See ``venues.venue.Codec.add``."""
        self._specs += specs
        # Anew for all: streams of a type share one shape, which names every symbol that it may carry.
        shapes = _shapes(spec for spec in self._specs if spec.symbol)
        for spec in self._specs:
            topic = self._topic(spec, spec.symbol) if spec.symbol else -1
            message = shapes[spec.event_type] if spec.symbol else MESSAGE_OF[spec.event_type]
            self._streams[spec.name.encode()] = _Stream(spec, topic, message)
        wrapped = _any_of([stream.wrapped for stream in self._streams.values()] or [_Nothing])
        self._one = msgspec.json.Decoder(wrapped)
        self._together = msgspec.json.Decoder(list[wrapped])  # type: ignore[valid-type]

    def decode_together(self, messages: memoryview, count: int, received_ns: int) -> dict[int, list[Event]] | None:
        """See ``venues.venue.Codec.decode_together``."""
        try:
            decoded = self._together.decode(messages)
        except (ValueError, RecursionError):
            return None
        if len(decoded) != count:
            return None
        of_stream = defaultdict[type[_Wrapped], list[typing.Any]](list)
        for message in decoded:
            of_stream[type(message)].append(message.data)
        runs: dict[int, list[Event]] = {}
        unit_ns = self._unit_ns
        try:
            for shape, found in of_stream.items():
                stream = shape.stream
                if stream.topic >= 0:
                    runs[stream.topic] = stream.events(found, received_ns, unit_ns)
                else:
                    for topic, event in self._all_market(stream, itertools.chain.from_iterable(found), received_ns):
                        runs.setdefault(topic, []).append(event)
        except ValueError:
            return None
        return runs

    def decode(self, message: bytes, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        """See ``venues.venue.Codec.decode``."""
        self.odd_elements = 0
        if (
            message[:_PREFIX_LENGTH] == _PREFIX
            and message[_PREFIX_LENGTH : message.find(b'"', _PREFIX_LENGTH)] in self._streams
        ):
            return self._data(message, received_ns, out)
        return self._other(message, received_ns, out)

    def _data(self, message: bytes, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        try:
            decoded = self._one.decode(message)
            stream = decoded.stream
            if stream.topic >= 0:
                out += [(stream.topic, event) for event in stream.events([decoded.data], received_ns, self._unit_ns)]
            else:
                out += self._all_market(stream, decoded.data, received_ns)
        except (ValueError, RecursionError) as error:  # msgspec's and UTF-8 errors are ValueErrors
            return self._elementwise(message, str(error), received_ns, out)
        return Outcome.EVENTS

    def _elementwise(self, message: bytes, cause: str, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        """What of a message for the whole market can be read, if it is one."""
        try:
            envelope = _envelopes.decode(message)
            stream = self._streams[(envelope.stream or "").encode(errors="replace")]
            if stream.elements is None:
                return self._malformed(cause)
            elements = stream.elements.read(envelope.data)
        except (ValueError, RecursionError, KeyError):
            return self._malformed(cause)
        self.odd_elements, self.malformed_cause = elements.odd, elements.cause
        for element in elements.sound:
            try:
                out += self._all_market(stream, [element], received_ns)
            except ValueError as error:
                self.odd_elements += 1
                self.malformed_cause = str(error)
        return Outcome.EVENTS

    def _all_market(self, stream: _Stream, elements: Iterable[typing.Any], received_ns: int) -> list[tuple[int, Event]]:
        """The elements of an all-market stream, each on its symbol's topic."""
        return [
            (self._topic_of_any(stream.spec, element.symbol), event)
            for element in elements
            for event in stream.message.events([element], received_ns, self._unit_ns)
        ]

    def _topic_of_any(self, spec: StreamSpec, symbol: str) -> int:
        position = self._topic_of.get((spec.kind, symbol))
        if position is None:
            fault = fault_of(symbol) or ("there are too many" if len(self.topics) >= MAX_TOPICS else "")
            if fault:
                raise ValueError(f"no topic for symbol {symbol[:LONGEST]!r} of {spec.name}: {fault}")
            position = self._topic(spec, symbol)
        return position

    def _topic(self, spec: StreamSpec, symbol: str) -> int:
        position = self._topic_of.setdefault((spec.kind, symbol), len(self.topics))
        if position == len(self.topics):
            self.topics.append(Topic(f"{VENUE_NAME}.{spec.kind}.{symbol}", spec.kind, symbol, spec.continuity))
        return position

    def _other(self, message: bytes, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        try:
            envelope = _envelopes.decode(message)
        except (ValueError, RecursionError) as error:
            return self._malformed(str(error))
        if envelope.e == SHUTDOWN_EVENT or envelope.stream == f"!{SHUTDOWN_EVENT}":
            return Outcome.SHUTDOWN_NOTICE
        if envelope.stream is not None:
            if envelope.stream.encode(errors="replace") in self._streams:
                return self._data(message, received_ns, out)
            self.malformed_cause = f"stream {envelope.stream!r} was not asked for"
            return Outcome.UNKNOWN_STREAM
        refusal = envelope.error
        if refusal is None and envelope.code is not None:
            refusal = RefusalDetail(envelope.code, envelope.msg)  # the flat form that the documents print
        if refusal is None and envelope.result is msgspec.UNSET:
            return self._malformed("neither data, reply nor notice")
        request_id = envelope.id if isinstance(envelope.id, int) else None
        if refusal is not None:
            self.last_reply = Reply(request_id, ok=False, code=refusal.code, message=refusal.msg)
        else:
            result = envelope.result
            names = [name for name in result if isinstance(name, str)] if isinstance(result, list) else result
            self.last_reply = Reply(request_id, ok=True, result=names)
        return Outcome.REPLY

    def _malformed(self, cause: str) -> Outcome:
        self.malformed_cause = cause
        return Outcome.MALFORMED
