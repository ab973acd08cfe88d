"""Owns the socket that subscribers connect to. Knows nothing of what it publishes."""

from __future__ import annotations

import zmq

from k2workers.transport.sockets import Context, bind, open_socket


class Publisher:
    """Publishes frames to any number of subscribers and never waits for one.

    A subscriber that is ``high_water_mark`` frames behind loses the frames beyond, and sees that in the
    sequence numbers. Raises ConfigError, naming ``setting``, when the endpoint cannot be bound.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        *,
        high_water_mark: int = 100_000,
        linger_ms: int = 500,
        setting: str = "publish_endpoint",
    ) -> None:
        self._linger_ms = linger_ms
        self._socket = open_socket(context, zmq.XPUB, send_high_water_mark=high_water_mark)
        self.endpoint = bind(self._socket, endpoint, setting=setting)
        self._send = self._socket.send
        self._subscribed: set[bytes] = set()

    def publish(self, frame: bytes) -> None:
        """Hands one frame to ZeroMQ, which copies it. Never blocks: XPUB drops frames for a subscriber that is too slow."""
        self._send(frame, zmq.NOBLOCK)

    def subscriptions(self) -> int:
        """How many different subscriptions exist now.

        Must be called steadily (with the heartbeat): the news of each subscription waits in memory
        until it is read here.
        """
        while True:
            try:
                news = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return len(self._subscribed)
            if news[:1] == b"\x01":
                self._subscribed.add(news[1:])
            elif news[:1] == b"\x00":
                self._subscribed.discard(news[1:])

    def close(self) -> None:
        """Closes; frames that ZeroMQ holds are still sent for ``linger_ms`` if the context is terminated."""
        self._socket.close(linger=self._linger_ms)
