"""Owns the step from Binance's messages to events. Never raises, whatever the bytes; keeps no view of them.

A combined data message is ``{"stream":"<name>","data":{…}}``. All messages of one read are decoded in one call, as one JSON
array whose elements tell their stream. If one of them is anything else (another key order, a reply, a notice, garbage), they
are read one by one.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Sequence

import msgspec

from k2workers.events import Event
from k2workers.venues.binance.messages import MESSAGE_OF, Envelope, Message, RefusalDetail, SymbolMessage
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
    taken: typing.ClassVar[list[typing.Any]]
    """Where the data of one read is gathered, by stream."""
    data: typing.Any


class _Stream:
    """One subscribed stream: how to read its messages. ``topic`` is -1 for an all-market stream."""

    __slots__ = ("decoder", "spec", "taken", "topic", "wrapped")

    def __init__(self, spec: StreamSpec, topic: int) -> None:
        message: type[msgspec.Struct] = MESSAGE_OF[spec.event_type]
        if spec.symbol and issubclass(message, SymbolMessage):
            # That the data are of the stream's own symbol is checked while decoding.
            own = ("symbol", typing.Literal[spec.symbol], msgspec.field(name="s"))
            message = msgspec.defstruct(message.__name__, [own], bases=(message,), gc=False)
        self.spec = spec
        self.topic = topic
        self.taken: list[typing.Any] = []
        self.wrapped = msgspec.defstruct(
            "Wrapped",
            [("data", message if topic >= 0 else list[message])],  # type: ignore[valid-type]
            bases=(_Wrapped,),
            namespace={"stream": self, "taken": self.taken},
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
        self._read: msgspec.json.Decoder[list[_Wrapped]] = msgspec.json.Decoder(list[_any_of(shapes)])  # type: ignore[misc]

    def decode_read(self, messages: Sequence[bytes], received_ns: int, runs: dict[int, list[Event]]) -> bool:
        """See ``venues.venue.Codec.decode_read``."""
        try:
            decoded = self._read.decode(b"[%b]" % b",".join(messages))
        except (ValueError, RecursionError):
            return False
        if len(decoded) != len(messages):
            return False
        for message in decoded:
            message.taken.append(message.data)
        whole = True
        shapes: Iterable[type[_Wrapped]] = map(type, decoded)
        for shape in dict.fromkeys(shapes):
            stream = shape.stream
            whole = whole and self._add(stream, received_ns, runs)
            stream.taken.clear()
        if not whole:
            runs.clear()
        return whole

    def _add(self, stream: _Stream, received_ns: int, runs: dict[int, list[Event]]) -> bool:
        unit_ns = self._unit_ns
        try:
            if stream.topic >= 0:
                runs[stream.topic] = [
                    event for message in stream.taken if (event := message.event(received_ns, unit_ns)) is not None
                ]
                return True
            found: list[tuple[int, Event]] = []
            for data in stream.taken:
                self._array(stream, data, received_ns, found)
        except ValueError:
            return False
        for topic, event in found:
            runs.setdefault(topic, []).append(event)
        return True

    def decode(self, frame: bytes, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        """See ``venues.venue.Codec.decode``."""
        if frame[:_PREFIX_LENGTH] == _PREFIX:
            stream = self._streams.get(frame[_PREFIX_LENGTH : frame.find(b'"', _PREFIX_LENGTH)])
            if stream is not None:
                return self._data(stream, frame, received_ns, out)
        return self._other(frame, received_ns, out)

    def _data(self, stream: _Stream, frame: bytes, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        before = len(out)
        try:
            data = stream.decoder.decode(frame).data
            if stream.topic >= 0:
                event = data.event(received_ns, self._unit_ns)
                if event is not None:
                    out.append((stream.topic, event))
            else:
                self._array(stream, data, received_ns, out)
        except (ValueError, RecursionError) as error:  # msgspec's and UTF-8 errors are ValueErrors
            del out[before:]
            return self._malformed(str(error))
        return Outcome.EVENTS

    def _array(self, stream: _Stream, data: list[Message], received_ns: int, out: list[tuple[int, Event]]) -> None:
        for message in data:
            event = message.event(received_ns, self._unit_ns)
            if event is not None:
                out.append((self._topic(stream.spec, message.symbol_name or ""), event))

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
