"""Owns the answers to subscribers: the last value of each topic, and the batches that they missed (ZeroMQ's Clone pattern).

Requests (DEALER → ROUTER), one reply each but for ``last``; numbers are MessagePack:

* ``last``, topic or prefix → one message for each matching topic, holding the frame as it was published, then an
  empty one;
* ``since``, topic, sequence → ``since``, topic, [epoch, first sequence held, newest sequence], then frames from that
  sequence on, at most ``REPLY_BYTES``: the subscriber asks again for more, so a slow one costs nothing;
* ``newest``, topic or prefix → ``newest``, topic or prefix, [epoch, {topic: newest sequence}].
"""

from __future__ import annotations

import msgspec
import zmq

from k2workers.transport.ring import ReplayRing
from k2workers.transport.sockets import Context, SocketWatcher, bind, open_socket

REPLIES_WAITING = 100_000
"""For one subscriber; it may ask for the last values of all topics at once."""

REPLY_BYTES = 1_000_000
REPLY_FRAMES = 1_000

LAST, SINCE, NEWEST = b"last", b"since", b"newest"

pack = msgspec.msgpack.Encoder().encode
unpack_since = msgspec.msgpack.Decoder(tuple[int, int, int]).decode
unpack_newest = msgspec.msgpack.Decoder(tuple[int, dict[str, int]]).decode
_unpack_number = msgspec.msgpack.Decoder(int).decode


class ReplayServer:
    """Answers subscribers. Raises ConfigError, naming ``setting``, when the endpoint cannot be bound."""

    def __init__(
        self,
        context: Context,
        endpoint: str,
        ring: ReplayRing,
        epoch: int,
        *,
        setting: str = "snapshot_endpoint",
    ) -> None:
        self.replayed = 0
        """Frames given again so far."""
        self._ring = ring
        self._epoch = epoch
        self._socket = open_socket(context, zmq.ROUTER, send_high_water_mark=REPLIES_WAITING)
        self.endpoint = bind(self._socket, endpoint, setting=setting)
        self._watcher = SocketWatcher(self._socket, self._turn)

    def start(self) -> None:
        """Begin to answer; call once, inside the running loop."""
        self._watcher.start()

    def close(self) -> None:
        """Stop answering."""
        self._watcher.stop()
        self._socket.close()

    def _turn(self) -> bool:
        try:
            sender, *request = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return False
        for reply in self._replies(request):
            self._socket.send_multipart([sender, *reply], zmq.NOBLOCK)
        return True

    def _replies(self, request: list[bytes]) -> list[list[bytes]]:
        word, *rest = request or [b""]
        topic = rest[0].decode(errors="replace") if rest else ""
        if word == LAST and len(rest) == 1:
            return [*([frame] for frame in self._ring.last(topic)), [b""]]
        if word == NEWEST and len(rest) == 1:
            return [[NEWEST, rest[0], pack((self._epoch, self._ring.newest(topic)))]]
        if word == SINCE and len(rest) == 2:
            try:
                sequence = _unpack_number(rest[1])
            except msgspec.MsgspecError:
                return [[b""]]
            first, newest, frames = self._ring.since(
                topic, sequence, limit_bytes=REPLY_BYTES, limit_frames=REPLY_FRAMES
            )
            self.replayed += len(frames)
            return [[SINCE, rest[0], pack((self._epoch, first, newest)), *frames]]
        return [[b""]]
