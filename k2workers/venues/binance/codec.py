"""Owns the step from Binance's messages to events. Never raises, whatever the bytes; keeps no view of them.

A combined data message is ``{"stream":"<name>","data":{…}}``. The name is found by its fixed prefix, and its typed
decoder reads the whole message in one pass. Everything else (other key order, replies, notices, garbage) takes the slow
way through a generic envelope.
"""

from __future__ import annotations

from collections.abc import Sequence

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


class _Stream:
    """One subscribed stream: how to read its messages. ``topic`` is -1 for an all-market stream."""

    __slots__ = ("decoder", "spec", "symbol", "topic")

    def __init__(self, spec: StreamSpec, topic: int) -> None:
        message = MESSAGE_OF[spec.event_type]
        data = message if topic >= 0 else list[message]  # type: ignore[valid-type]
        wrapped = msgspec.defstruct("Wrapped", [("data", data)], gc=False)
        self.decoder: msgspec.json.Decoder[msgspec.Struct] = msgspec.json.Decoder(wrapped)
        self.spec = spec
        self.topic = topic
        self.symbol = spec.symbol


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
            data = stream.decoder.decode(frame).data  # type: ignore[attr-defined]
            if stream.topic >= 0:
                if data.symbol_name not in (stream.symbol, None):
                    raise ValueError(f"stream {stream.spec.name} brought symbol {data.symbol_name}")
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
