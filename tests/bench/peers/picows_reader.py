"""picows alone: a listener's callback that decodes each message into a typed struct (way ``msgspec``) or only counts (``raw``).

As fast as its documentation has it: the core API instead of the async one, its own transports (aiofastnet), uvloop, and the
payload as a view of the receive buffer, which msgspec reads where it is.
"""

from __future__ import annotations

import ssl

import uvloop
from meter import PeerMeter, asked
from picows import WSFrame, WSListener, WSTransport, ws_connect
from typed import decoder

ASKED = asked()
METER = PeerMeter(ASKED)
DECODE = decoder(ASKED.kind).decode


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


async def main() -> None:
    """Read until the meter ends the process."""
    context = ssl.create_default_context(cafile=ASKED.ca_bundle) if ASKED.ca_bundle else None
    transport, _ = await ws_connect(
        {"msgspec": Typed, "raw": Raw}[ASKED.way],
        f"{ASKED.base_url}/stream?streams={'/'.join(ASKED.streams)}",
        ssl_context=context,
    )
    await transport.wait_disconnected()


if __name__ == "__main__":
    uvloop.run(main())
