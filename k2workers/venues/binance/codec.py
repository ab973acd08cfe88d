"""Owns the step from Binance's messages to events. Never raises, whatever the bytes; keeps no view of them.

A combined data message is ``{"stream":"<name>","data":{…}}``. Messages that lie together as a JSON array are decoded in one
call; its elements tell their stream. If one of them is anything else (another key order, a reply, a notice, garbage), they
are read one by one.
"""

from __future__ import annotations

import itertools
import typing
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from k2workers.events import Event
from k2workers.venues.binance.messages import MESSAGE_OF, Envelope, Message, RefusalDetail
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


class _Stream:
    """One subscribed stream: how to read its messages. ``topic`` is -1 for an all-market stream."""

    __slots__ = ("decoder", "message", "spec", "topic", "wrapped")

    def __init__(self, spec: StreamSpec, topic: int) -> None:
        message: type[Message] = MESSAGE_OF[spec.event_type]
        if spec.symbol and "symbol" in message.__struct_fields__:
            # That the data are of the stream's own symbol is checked while decoding.
            own = ("symbol", typing.Literal[spec.symbol], msgspec.field(name="s"))
            message = msgspec.defstruct(message.__name__, [own], bases=(message,), gc=False)  # type: ignore[assignment]
        self.spec = spec
        self.topic = topic
        self.message = message
        self.wrapped = msgspec.defstruct(
            "Wrapped",
            [("data", message if topic >= 0 else list[message])],  # type: ignore[valid-type]
            bases=(_Wrapped,),
            namespace={"stream": self},
            tag_field="stream",
            tag=spec.name,
            gc=False,
        )
        self.decoder: msgspec.json.Decoder[_Wrapped] = msgspec.json.Decoder(self.wrapped)


def _any_of(shapes: Sequence[type]) -> typing.Any:
    """The union of types that are only known now."""
    return typing.Union.__getitem__(tuple(shapes))


class BinanceCodec:
    """Fulfils ``venues.venue.Codec``. ``time_unit_ns``: what one unit of the venue's times is worth."""

    def __init__(self, specs: Sequence[StreamSpec], time_unit_ns: int) -> None:
        self.topics: list[Topic] = []
        self.last_reply = Reply(None, ok=True)
        self.malformed_cause = ""
        self._unit_ns = time_unit_ns
        self._topic_of: dict[tuple[str, str], int] = {}
        self._streams: dict[bytes, _Stream] = {}
        for spec in specs:
            topic = self._topic(spec, spec.symbol) if spec.symbol else -1
            self._streams[spec.name.encode()] = _Stream(spec, topic)
        shapes = [stream.wrapped for stream in self._streams.values()]
        self._together: msgspec.json.Decoder[list[_Wrapped]] = msgspec.json.Decoder(list[_any_of(shapes)])  # type: ignore[misc]

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
        try:
            for shape, found in of_stream.items():
                stream = shape.stream
                if stream.topic >= 0:
                    runs[stream.topic] = stream.message.events(found, received_ns, self._unit_ns)
                else:
                    for topic, event in self._all_market(stream, itertools.chain.from_iterable(found), received_ns):
                        runs.setdefault(topic, []).append(event)
        except ValueError:
            return None
        return runs

    def decode(self, frame: bytes, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        """See ``venues.venue.Codec.decode``."""
        if frame[:_PREFIX_LENGTH] == _PREFIX:
            stream = self._streams.get(frame[_PREFIX_LENGTH : frame.find(b'"', _PREFIX_LENGTH)])
            if stream is not None:
                return self._data(stream, frame, received_ns, out)
        return self._other(frame, received_ns, out)

    def _data(self, stream: _Stream, frame: bytes, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        try:
            data = stream.decoder.decode(frame).data
            if stream.topic >= 0:
                out += [(stream.topic, event) for event in stream.message.events([data], received_ns, self._unit_ns)]
            else:
                out += self._all_market(stream, data, received_ns)
        except (ValueError, RecursionError) as error:  # msgspec's and UTF-8 errors are ValueErrors
            return self._malformed(str(error))
        return Outcome.EVENTS

    def _all_market(self, stream: _Stream, elements: Iterable[typing.Any], received_ns: int) -> list[tuple[int, Event]]:
        """The elements of an all-market stream, each on its symbol's topic."""
        return [
            (self._topic(stream.spec, element.symbol), event)
            for element in elements
            for event in stream.message.events([element], received_ns, self._unit_ns)
        ]

    def _topic(self, spec: StreamSpec, symbol: str) -> int:
        key = (spec.kind, symbol)
        position = self._topic_of.get(key)
        if position is None:
            if not symbol or " " in symbol or len(self.topics) >= MAX_TOPICS:
                raise ValueError(f"no topic for symbol {symbol!r} of {spec.name}")
            position = self._topic_of[key] = len(self.topics)
            self.topics.append(Topic(f"{VENUE_NAME}.{spec.kind}.{symbol}", spec.kind, symbol, spec.continuity))
        return position

    def _other(self, frame: bytes, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        try:
            envelope = _envelopes.decode(frame)
        except (ValueError, RecursionError) as error:
            return self._malformed(str(error))
        if envelope.e == SHUTDOWN_EVENT or envelope.stream == f"!{SHUTDOWN_EVENT}":
            return Outcome.SHUTDOWN_NOTICE
        if envelope.stream is not None:
            stream = self._streams.get(envelope.stream.encode(errors="replace"))
            if stream is not None:
                return self._data(stream, frame, received_ns, out)
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
            self.last_reply = Reply(request_id, ok=True, result=envelope.result)
        return Outcome.REPLY

    def _malformed(self, cause: str) -> Outcome:
        self.malformed_cause = cause
        return Outcome.MALFORMED
