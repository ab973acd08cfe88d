"""Owns one WebSocket connection: bytes in, whole messages out. Holds no policy: it never reconnects.

The ``websockets`` library does the handshake, TLS, ping replies, the closing handshake and all
protocol errors; plain messages are cut out of the receive buffer without it
(``framing.py``). They are stamped with the time of the read. The client sends no keepalive pings: they cost message
rate and cause false disconnects; liveness is data and the venue's own pings (``last_read_ns``).

The size of the socket's receive buffer is left to the kernel: it grows with the connection's rate, and a size that we set
would be capped below what it grows to (tcp(7), tcp_moderate_rcvbuf).
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame
from websockets.protocol import Event as ProtocolEvent
from websockets.protocol import State

from k2workers.errors import StateError, VenueError
from k2workers.feed import dialing, handshake_refusal
from k2workers.feed.framing import FrameCutter, MessageAssembler
from k2workers.feed.gathering import Gathering
from k2workers.feed.handshake_refusal import END_OF_HEAD, MAX_BODY_BYTES, MAX_HEAD_BYTES, HandshakeRefused
from k2workers.feed.message_block import MessageBlock
from k2workers.feed.message_rate import MessageRate
from k2workers.network import tls

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""A larger message ends the connection with 1009; the venue's largest seen are 35 kB."""

COLLECT_AFTER_S = 0.5
"""After the end of a connection its parts (the library's, uvloop's, ours) still refer to each other, with 300 kB of buffers between
them. Their callbacks are through by then."""

REFUSAL_BODY_S = 2.0
"""How long to wait for the body of a refusal: it only adds words to the log."""

OnMessages = Callable[[int, MessageBlock, int], None]
"""Called for the messages of a read: line id, the messages (valid during the call), wall-clock time of the read in ns."""

OnFrames = Callable[[int, bytearray, int, int, int], tuple[int, int, int]]
"""Called for plain frames before ``OnMessages`` is: line id, the buffer, where they begin and what is filled, time of the read. Returns where it
stopped, where the frames end that are for ``OnMessages``, and how many frames it took. See ``feed.intake.Intake.take``."""

ReadRefusal = Callable[[str, int, Mapping[str, str], bytes, float], VenueError]
"""The venue's reading of an answer other than 101: see ``venues.venue.Venue.read_refusal``."""

OnClosed = Callable[[int, str], None]
"""Called once when an opened line has ended: line id, cause (a label value such as ``closed_1006``)."""


class _Connection(ClientConnection):
    """The library's connection with our own way for messages: no queue, no task, no copy per message.

    It receives the venue's reply to the handshake; then ``_FrameReader`` takes its place.
    """

    def __init__(self, line: Line, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = line
        self._assembler = MessageAssembler()
        self._reply: bytes | None = b""
        """What has come of the head of the reply to the handshake; None once it is complete."""
        self._refusal: HandshakeRefused | None = None
        self.received_ns = 0
        """Wall-clock time of the last read."""

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            self._more_of_refusal(self._refusal, data)
        elif self._reply is None:  # the end of a connection
            super().data_received(data)
        else:
            self._reply += data
            head, end, rest = self._reply.partition(END_OF_HEAD)
            if end or len(head) > MAX_HEAD_BYTES:
                self._reply = None
                self._take_reply(head, end, rest)

    def _take_reply(self, head: bytes, end: bytes, rest: bytes) -> None:
        self._refusal = handshake_refusal.read(head, b"")
        if self._refusal is not None:
            asyncio.get_running_loop().call_later(REFUSAL_BODY_S, self.transport.abort)
            self._more_of_refusal(self._refusal, rest)
            return
        super().data_received(head + end)
        if self.protocol.state is State.OPEN:
            reader = _FrameReader(self, self._line)
            self.transport.set_protocol(reader)
            reader.take(rest)
        elif rest:
            super().data_received(rest)

    def _more_of_refusal(self, refusal: HandshakeRefused, data: bytes) -> None:
        refusal.body += data[: MAX_BODY_BYTES - len(refusal.body)]
        if refusal.complete:
            self.transport.abort()

    def deliver(self, messages: MessageBlock) -> None:
        """Pass on messages of the last read."""
        self._line.frames_received += len(messages)
        self._line.on_messages(self._line.number, messages, self.received_ns)

    def take_plain(self, buffer: bytearray, begin: int, filled: int) -> tuple[int, int]:
        """Pass on what the native lane can take (see ``framing.TakePlain``)."""
        line = self._line
        if line.on_frames is None:
            return begin, begin
        stopped_at, span_end, frames = line.on_frames(line.number, buffer, begin, filled, self.received_ns)
        line.frames_received += frames
        return stopped_at, span_end

    def from_cutter(self, data: bytes) -> bool:
        """Take bytes that are not plain messages; whether data may still follow."""
        super().data_received(data)
        return self.protocol.close_rcvd is None and self.protocol.parser_exc is None

    def process_event(self, event: ProtocolEvent) -> None:
        if self.response is None or not isinstance(event, Frame):
            super().process_event(event)
            return
        message = self._assembler.add(event)
        if message is not None:
            self.deliver(MessageBlock.of([message]))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._refusal is not None:
            self.protocol.handshake_exc = self._refusal  # the library has only seen that the connection ended
        self._line.lost(f"closed_{self.protocol.close_code}")


class _FrameReader(asyncio.BufferedProtocol):
    """Receives everything after the handshake, straight into the frame cutter's buffer; passes all other events to the connection.

    An object of its own, because uvloop takes a protocol that also is an ``asyncio.Protocol`` for an unbuffered one.
    """

    def __init__(self, connection: _Connection, line: Line) -> None:
        self._connection = connection
        self._line = line
        take_plain = None if line.on_frames is None else connection.take_plain
        self._cutter = FrameCutter(connection.deliver, connection.from_cutter, MAX_MESSAGE_BYTES, take_plain)
        self.eof_received = connection.eof_received  # type: ignore[method-assign]
        self.connection_lost = connection.connection_lost  # type: ignore[method-assign]
        self.pause_writing = connection.pause_writing  # type: ignore[method-assign]
        self.resume_writing = connection.resume_writing  # type: ignore[method-assign]

    def take(self, data: bytes) -> None:
        """Frames that came with the reply to the handshake."""
        self._note_time(len(data))
        self._cutter.take(data)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._cutter.room()

    def buffer_updated(self, nbytes: int) -> None:
        line = self._line
        frames_before = line.frames_received
        self._note_time(nbytes)
        self._cutter.filled(nbytes)
        rest_ns = line.gathering.rest_ns(line.last_read_ns, line.frames_received - frames_before, nbytes)
        if rest_ns:
            # On purpose the whole loop: there is nothing else to do, and uvloop's timers know no microseconds.
            time.sleep(rest_ns / 1e9)

    def _note_time(self, size: int) -> None:
        self._connection.received_ns = time.time_ns()
        self._line.last_read_ns = time.monotonic_ns()
        self._line.bytes_received += size


class Line:
    """One connection of a route. Call ``open`` once; then ``send``, and ``close`` or ``abort``.

    ``pace`` and ``rate`` are this line's own. ``on_messages`` runs inside the socket's read callback and must not block.
    """

    def __init__(
        self,
        number: int,
        url: str,
        on_messages: OnMessages,
        on_closed: OnClosed,
        gathering: Gathering,
        rate: MessageRate,
        on_frames: OnFrames | None = None,
    ) -> None:
        self.number = number
        self.on_frames = on_frames
        self.gathering = gathering
        self.url = url
        self.on_messages = on_messages
        self.bytes_received = 0
        self.frames_received = 0
        self.opened_ns = 0
        self.last_read_ns = 0
        self._on_closed = on_closed
        self._rate = rate
        self._sending = asyncio.Lock()
        self._connection: ClientConnection | None = None
        self._ended = False

    async def open(
        self,
        *,
        ssl_context: ssl.SSLContext | None,
        timeout_s: float,
        close_timeout_s: float,
        read_refusal: ReadRefusal = lambda asked, status, *_: VenueError(
            f"{asked} answered HTTP {status}", status=status
        ),
        ca_setting: str = "ca_bundle",
    ) -> None:
        """Connect, then shake hands; ``timeout_s`` is for each. Raises VenueError with the reason in words, as ``read_refusal``
        understands an answer other than 101; ``ca_setting`` is where the user would add a CA."""
        secure = self.url.startswith("wss:")
        try:
            self._connection = await connect(
                self.url,
                create_connection=self._make,  # type: ignore[arg-type]
                compression=None,
                ping_interval=None,
                open_timeout=timeout_s,
                close_timeout=close_timeout_s,
                max_size=MAX_MESSAGE_BYTES,
                ssl=ssl_context if secure else None,
                **await dialing.way_to(self.url, ssl_context, timeout_s),
            )
        except HandshakeRefused as refusal:
            _collect_soon()
            raise read_refusal(self.url, refusal.status, refusal.headers, refusal.body, time.time()) from None
        except (OSError, websockets.WebSocketException) as error:
            _collect_soon()
            raise VenueError(f"cannot connect to {self.url}: {tls.reason(error, ca_setting)}") from error
        self.opened_ns = self.last_read_ns = time.monotonic_ns()

    def _make(self, *args: Any, **kwargs: Any) -> _Connection:
        return _Connection(self, *args, **kwargs)

    async def send(self, text: bytes) -> None:
        """Send one UTF-8 text message when its turn comes: in order, at the line's rate. Returns once it is sent.

        Does nothing on a connection that is closing. Pongs and the closing handshake wait for nothing.
        """
        connection = self._connection
        if connection is None:
            raise StateError(f"line {self.number} is not open")
        async with self._sending:
            while (wait_ns := self._rate.wait_ns(time.monotonic_ns())) > 0:
                await asyncio.sleep(wait_ns / 1e9)
            if connection.protocol.state is State.OPEN:
                connection.protocol.send_text(text)
                connection.send_data()
                self._rate.sent(time.monotonic_ns())

    async def close(self, code: int, reason: str) -> None:
        """Close with a handshake (the code is ``rotation.closing.CLOSE_CODE``); messages that arrive before the venue's close reply are still delivered."""
        if self._connection is not None:
            await self._connection.close(code, reason)

    def abort(self) -> None:
        """Drop the connection at once; nothing more is delivered."""
        self.on_messages, self.on_frames = _ignore, None
        if self._connection is not None:
            self._connection.transport.abort()

    def lost(self, cause: str) -> None:
        """The connection has ended (called by the connection itself)."""
        _collect_soon()
        if self._connection is not None and not self._ended:
            self._ended = True
            self._on_closed(self.number, cause)


def _collect_soon() -> None:
    """Collect the garbage that an ended connection leaves. By itself the collector would run only after hundreds of them (``GC_THRESHOLDS``)."""
    asyncio.get_running_loop().call_later(COLLECT_AFTER_S, gc.collect)


def _ignore(_line: int, _messages: MessageBlock, _received_ns: int) -> None:
    """An aborted line's late messages go nowhere."""
