"""picows alone: a listener's callback that decodes each message into a typed struct (way ``msgspec``), only counts (``raw``), or
also encodes what it decoded and pushes it over ZeroMQ, 64 at a time (``push``).

As fast as its documentation has it: the core API instead of the async one, its own transports (aiofastnet), uvloop, and the
payload as a view of the receive buffer, which msgspec reads where it is.
"""

from __future__ import annotations

import ssl

import msgspec
import uvloop
import zmq
from meter import PeerMeter, asked
from picows import WSFrame, WSListener, WSTransport, ws_connect
from typed import decoder

ASKED = asked()
METER = PeerMeter(ASKED)
DECODE = decoder(ASKED.kind).decode
BATCH = 64


class Typed(WSListener):
    """Decodes."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """The library's callback for each frame."""
        message = DECODE(frame.get_payload_as_memoryview())
        if METER.count():
            METER.finish(message.data.id)


class Raw(WSListener):
    """Looks at nothing: what the library itself costs."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """The library's callback for each frame."""
        if METER.count():
            METER.finish(ASKED.id_in(frame.get_payload_as_bytes()))


class Pushing(WSListener):
    """Does the least that a worker of one's own would: no ids are checked, and no topics are kept apart."""

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._events: list[object] = []
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(ASKED.push)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """The library's callback for each frame."""
        data = DECODE(frame.get_payload_as_memoryview()).data
        self._events.append(msgspec.structs.astuple(data))
        last = METER.count()
        if last or len(self._events) >= BATCH:
            self._socket.send(self._encode(self._events))
            self._events.clear()
        if last:
            self._socket.close(linger=10_000)
            zmq.Context.instance().term()  # returns when all has been sent, which is part of the path
            METER.stop()
            METER.finish(data.id)


async def main() -> None:
    """Read until the meter ends the process."""
    context = ssl.create_default_context(cafile=ASKED.ca_bundle) if ASKED.ca_bundle else None
    transport, _ = await ws_connect(
        {"msgspec": Typed, "raw": Raw, "push": Pushing}[ASKED.way],
        f"{ASKED.base_url}/stream?streams={'/'.join(ASKED.streams)}",
        ssl_context=context,
    )
    await transport.wait_disconnected()


if __name__ == "__main__":
    uvloop.run(main())
