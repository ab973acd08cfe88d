"""Owns the step from Binance's messages to events. Never raises, whatever the bytes; keeps no view of them.

A combined data message is ``{"stream":"<name>","data":{…}}``. Messages that lie together as a JSON array are decoded in one
call, as the venue writes them: in one unit of time, each decimal with its point, each level a pair. If anything else is among them (a
reply, a notice, garbage, a level with a third element), they are read one by one and take whatever can be understood, and so do the
elements of a message for the whole market.
"""

from __future__ import annotations

import itertools
import typing
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from k2workers.events import Event
from k2workers.venues.binance import values
from k2workers.venues.binance.messages import Envelope, RefusalDetail
from k2workers.venues.binance.stream_dialect import SPOT_STREAMS, StreamDialect
from k2workers.venues.binance.stream_shapes import (
    Nothing,
    Stream,
    ToldMarkets,
    Wrapped,
    any_of,
    lenient_reader,
    plain_shapes,
    plain_streams,
)
from k2workers.venues.binance.symbols import LONGEST, fault_of
from k2workers.venues.binance.written import PREFIX
from k2workers.venues.elements import Elements
from k2workers.venues.message_shape import NOTHING_WRITTEN, Written
from k2workers.venues.topics import topic_of
from k2workers.venues.venue import Outcome, Reply, StreamSpec, Topic

SHUTDOWN_EVENT = "serverShutdown"
MAX_TOPICS = 10_000
"""All-market streams open a topic for each symbol they show; past this many, new ones count as malformed."""

_PREFIX = PREFIX.encode()
_envelopes = msgspec.json.Decoder(Envelope)


class _Message(msgspec.Struct, gc=False):
    """A data message of any stream, its inside unread."""

    stream: str
    data: msgspec.Raw


_messages = msgspec.json.Decoder(_Message)


class BinanceCodec:
    """Fulfils ``venues.venue.Codec`` for the Binance market of this name."""

    def __init__(self, venue: str, specs: Sequence[StreamSpec], dialect: StreamDialect = SPOT_STREAMS) -> None:
        self._venue = venue
        self._dialect = dialect
        self.topics: list[Topic] = []
        self.last_reply = Reply(None, ok=True)
        self.malformed_cause = ""
        self.malformed_kind = ""
        self.odd_elements = 0
        self._units_ns = [dialect.unit_ns]
        """The units of time that have been seen, the one that was seen last first, behind the one that is expected."""
        self._topic_of: dict[tuple[str, str], int] = {}
        self._streams: dict[str, Stream] = {}
        self._kind_of_suffix: dict[str, str] = {}
        self._decoders: dict[int, msgspec.json.Decoder[list[Wrapped]]] = {}
        """By the unit of time."""
        self._told = ToldMarkets(dialect)
        self.written = NOTHING_WRITTEN
        self.add(specs)

    def add(self, specs: Sequence[StreamSpec]) -> None:
        """See ``venues.venue.Codec.add``."""
        for spec in specs:
            self._streams[spec.name] = Stream(
                spec, self._topic(spec, spec.symbol) if spec.symbol else -1, self._dialect
            )
            self._kind_of_suffix[_suffix(spec.name)] = spec.kind
        self._decoders.clear()  # streams of a type share one shape, which names every symbol that it may carry
        self._decoder(self._units_ns[0])
        self._write()

    def _write(self) -> None:
        streams, unit_ns = self._streams.values(), self._units_ns[0]
        self.written = Written(_PREFIX, plain_streams(streams, unit_ns, self._dialect, self._told.shapes))

    def _decoder(self, unit_ns: int) -> msgspec.json.Decoder[list[Wrapped]]:
        found = self._decoders.get(unit_ns)
        if found is None:
            plain = plain_shapes((stream.spec for stream in self._streams.values()), unit_ns, self._dialect)
            wrapped = any_of([stream.wrapped(plain) for stream in self._streams.values()] or [Nothing])
            found = self._decoders[unit_ns] = msgspec.json.Decoder(list[wrapped])  # type: ignore[valid-type]
        return found

    def decode_together(self, messages: memoryview, count: int, received_ns: int) -> dict[int, list[Event]] | None:
        """See ``venues.venue.Codec.decode_together``."""
        decoded = self._plain(messages)
        if len(decoded) != count:
            return None
        of_stream = defaultdict[type[Wrapped], list[typing.Any]](list)
        for message in decoded:
            of_stream[type(message)].append(message.data)
        runs: dict[int, list[Event]] = {}
        texts: list[str] = []
        books: list[typing.Any] = []
        unit_ns = self._units_ns[0]
        try:
            for wrapped, found in of_stream.items():
                stream = wrapped.stream
                if stream.topic >= 0:
                    runs[stream.topic] = stream.events(found, received_ns, unit_ns)
                else:
                    if stream.listed:
                        found = list(itertools.chain.from_iterable(found))  # noqa: PLW2901
                    for topic, event in self._all_market(stream, found, received_ns, unit_ns):
                        runs.setdefault(topic, []).append(event)
                if stream.shape.leveled:
                    books += found
                else:
                    stream.shape.gather(found, texts)
        except ValueError:
            return None
        if books and not self._have_plain_levels(books, messages):
            return None
        plain = self._dialect.all_have_points and values.have_one_point_each(texts)
        return runs if plain or values.are_decimals(texts) else None

    def _have_plain_levels(self, books: list[typing.Any], messages: memoryview) -> bool:
        """Whether all levels of these books, which stand in these messages, are of decimals."""
        count = sum([len(book.bids) + len(book.asks) for book in books])
        plain = values.are_plain_levels if self._dialect.all_have_points else values.are_levels_of_few_points
        if plain(messages, count):
            return True
        texts: list[str] = []
        for book in books:
            texts += values.texts_of(book.bids) + values.texts_of(book.asks)
        return values.are_decimals(texts)

    def _plain(self, messages: memoryview) -> Sequence[Wrapped]:
        """The messages if all are of known streams and written as the venue writes them; then their unit of time is the first known one."""
        for unit_ns in self._units_ns:
            try:
                decoded = self._decoder(unit_ns).decode(messages)
            except (ValueError, RecursionError):
                continue
            if unit_ns != self._units_ns[0]:  # asked here too: most reads need no call
                self._seen(unit_ns)
            if self._dialect.texts_of_market and decoded:
                self._learn_from(decoded[-1].stream, decoded[-1].data)
            return decoded
        return ()

    def decode(self, message: bytes, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        """See ``venues.venue.Codec.decode``."""
        self.odd_elements = 0
        self.malformed_kind = ""
        try:
            found = _messages.decode(message)
        except (ValueError, RecursionError):  # msgspec's and UTF-8 errors are ValueErrors
            return self._other(message)
        stream = self._streams.get(found.stream)
        return self._other(message) if stream is None else self._data(stream, found.data, received_ns, out)

    def _data(self, stream: Stream, content: msgspec.Raw, received_ns: int, out: list[tuple[int, Event]]) -> Outcome:
        """Read a message of this stream, or what of it can be read if it is one for the whole market."""
        try:
            unit_ns, elements = self._elements(stream, content)
        except ValueError as error:
            return self._malformed(str(error), stream.spec.kind)
        odd, cause = elements.odd, elements.cause
        for element in elements.sound:
            try:
                out += self._checked(stream, element, received_ns, unit_ns)
            except ValueError as error:
                odd, cause = odd + 1, str(error)
        if odd and stream.topic >= 0:
            return self._malformed(cause, stream.spec.kind)
        if odd:
            self.odd_elements, self.malformed_cause, self.malformed_kind = odd, cause, stream.spec.kind
        return Outcome.EVENTS

    def _elements(self, stream: Stream, content: msgspec.Raw) -> tuple[int, Elements[typing.Any]]:
        """The messages in this JSON, and their unit of time: the one that fits most of them. Raises ValueError if there is no list of them."""
        written = bytes(content)
        # One of the whole market that is documented to bring one in each message is called an array by its name (``!forceOrder@arr``): that is read too.
        is_list = stream.listed or (stream.topic < 0 and written.startswith(b"["))
        listed = written if is_list else b"[%b]" % written
        fewest: tuple[int, Elements[typing.Any]] | None = None
        for unit_ns in dict.fromkeys((*self._units_ns, *values.UNITS_NS)):
            elements = lenient_reader(stream.shape, unit_ns).read(listed)
            if not elements.odd:
                self._seen(unit_ns)
                return unit_ns, elements
            if fewest is None or elements.odd < fewest[1].odd:
                fewest = unit_ns, elements
        assert fewest is not None
        return fewest

    def _checked(self, stream: Stream, element: typing.Any, received_ns: int, unit_ns: int) -> list[tuple[int, Event]]:
        """The events of this one message. Raises ValueError if its values cannot be, or are of another symbol."""
        if stream.shape.leveled:
            element.bids, element.asks = values.pairs(element.bids), values.pairs(element.asks)
        texts: list[str] = []
        stream.shape.gather([element], texts)
        if not values.are_decimals(texts):
            raise ValueError(f"{values.odd_decimal(texts)!r} is no decimal")
        if stream.topic < 0:
            return self._all_market(stream, [element], received_ns, unit_ns)
        self._learn_from(stream, element)
        return [(stream.topic, event) for event in stream.events([element], received_ns, unit_ns)]

    def _learn_from(self, stream: Stream, message: typing.Any) -> None:
        """How the others of its shape are written."""
        if stream.topic >= 0 and self._told.changed_by(stream.shape, message):
            self._write()

    def _seen(self, unit_ns: int) -> None:
        """Try this unit first from now on."""
        if unit_ns != self._units_ns[0]:
            self._units_ns = [unit_ns, *(other for other in self._units_ns if other != unit_ns)]
            self._write()

    def _all_market(
        self, stream: Stream, elements: Iterable[typing.Any], received_ns: int, unit_ns: int
    ) -> list[tuple[int, Event]]:
        """The elements of an all-market stream, each on its symbol's topic; those of other markets are nobody's here."""
        own = (0, self._dialect.symbol_type)
        return [
            (self._topic_of_any(stream.spec, element.symbol), event)
            for element in elements
            if getattr(element, "symbol_type", 0) in own
            for event in stream.shape.events([element], received_ns, unit_ns)
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
            self.topics.append(Topic(topic_of(self._venue, spec.kind, symbol), spec.kind, symbol, spec.continuity))
        return position

    def _other(self, message: bytes) -> Outcome:
        """What is no data of a stream that was asked for."""
        try:
            envelope = _envelopes.decode(message)
        except (ValueError, RecursionError) as error:
            begin = message[len(_PREFIX) :].partition(b'"')[0] if message.startswith(_PREFIX) else b""
            return self._malformed(str(error), self._kind_of(begin.decode(errors="replace")))
        if envelope.e == SHUTDOWN_EVENT or envelope.stream == f"!{SHUTDOWN_EVENT}":
            return Outcome.SHUTDOWN_NOTICE
        if envelope.stream is not None:
            if envelope.stream in self._streams:
                return self._malformed("no data", self._kind_of(envelope.stream))
            outcome = self._malformed(f"stream {envelope.stream!r} was not asked for", "")
            return Outcome.UNKNOWN_STREAM if "@" in envelope.stream or envelope.stream.startswith("!") else outcome
        refusal = envelope.error
        if refusal is None and envelope.code is not None:
            refusal = RefusalDetail(envelope.code, envelope.msg)  # the flat form that the documents print
        if refusal is None and envelope.result is msgspec.UNSET:
            outcome = self._malformed("neither wrapped data, reply nor notice", "")
            data = envelope.s is not msgspec.UNSET or envelope.lastUpdateId is not msgspec.UNSET
            return outcome if data else Outcome.UNKNOWN_NOTICE
        request_id = envelope.id if isinstance(envelope.id, int) else None
        if refusal is not None:
            self.last_reply = Reply(request_id, ok=False, code=refusal.code, message=refusal.msg)
        else:
            result = envelope.result
            names = [name for name in result if isinstance(name, str)] if isinstance(result, list) else result
            self.last_reply = Reply(request_id, ok=True, result=names)
        return Outcome.REPLY

    def _kind_of(self, stream: str) -> str:
        """The kind of a stream of this name, whatever its symbol; empty if no such stream was asked for."""
        return self._kind_of_suffix.get(_suffix(stream), "")

    def _malformed(self, cause: str, kind: str) -> Outcome:
        self.malformed_cause, self.malformed_kind = cause, kind
        return Outcome.MALFORMED


def _suffix(stream: str) -> str:
    """What follows the symbol in the name of a stream; all of one that names none."""
    return stream if stream.startswith("!") else stream.partition("@")[2]
