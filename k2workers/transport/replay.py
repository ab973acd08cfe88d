"""Owns what a late joiner can ask for: the last published batch of each topic (the Clone pattern's snapshot).

Request (DEALER → ROUTER): frames ``last``, topic or prefix. Reply: one message for each matching topic, holding the frame as
it was published, then one empty message as the end.
"""

from __future__ import annotations

import zmq

from k2workers.transport.sockets import Context, SocketWatcher, bind, open_socket

MAX_TOPICS = 100_000
"""Topics whose last batch is kept; past it the oldest topic is forgotten."""

LAST = b"last"


class LastValues:
    """The last published frame of every topic."""

    def __init__(self, max_topics: int = MAX_TOPICS) -> None:
        self._frames: dict[str, bytes] = {}
        self._max_topics = max_topics

    def put(self, topic: str, frame: bytes) -> None:
        """Remember ``frame`` as the newest of its topic."""
        if topic not in self._frames and len(self._frames) >= self._max_topics:
            del self._frames[next(iter(self._frames))]
        self._frames[topic] = frame

    def matching(self, wanted: str) -> list[bytes]:
        """The frames of one topic, or of all topics that begin with a prefix ending in a dot."""
        if not wanted.endswith(".") and wanted:
            frame = self._frames.get(wanted)
            return [frame] if frame is not None else []
        return [frame for topic, frame in self._frames.items() if topic.startswith(wanted)]

    def __len__(self) -> int:
        return len(self._frames)


class LastValueServer:
    """Answers late joiners. Raises ConfigError, naming ``setting``, when the endpoint cannot be bound."""

    def __init__(
        self, context: Context, endpoint: str, values: LastValues, *, setting: str = "snapshot_endpoint"
    ) -> None:
        self._values = values
        self._socket = open_socket(context, zmq.ROUTER, send_high_water_mark=MAX_TOPICS)
        try:
            self.endpoint = bind(self._socket, endpoint, setting=setting)
        except BaseException:
            self._socket.close()
            raise
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
        if len(request) == 2 and request[0] == LAST:
            for frame in self._values.matching(request[1].decode(errors="replace")):
                self._socket.send_multipart([sender, frame], zmq.NOBLOCK)
        self._socket.send_multipart([sender, b""], zmq.NOBLOCK)
        return True
