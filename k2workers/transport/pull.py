"""Owns the aggregator's end of the workers' bundles. Knows nothing of what is in them."""

from __future__ import annotations

from collections.abc import Callable

import zmq

from k2workers.transport.sockets import Context, SocketWatcher, bind, open_socket

_BUNDLES_PER_TURN = 64
"""After so many bundles the loop gets its turn, for heartbeats and the control channel."""


class BatchPuller:
    """Receives bundles of all workers and gives each to ``on_bundle``.

    Make it, ``start(on_bundle)`` inside the event loop, ``close()`` at the end. ``on_bundle`` owns the
    list and its bytes. Bounded by ``high_water_mark`` bundles a worker: beyond it the workers feel it.
    Raises ConfigError, naming ``setting``, when the endpoint cannot be bound.
    """

    def __init__(
        self, context: Context, endpoint: str, *, high_water_mark: int = 1_000, setting: str = "pull_endpoint"
    ) -> None:
        self._socket = open_socket(context, zmq.PULL, receive_high_water_mark=high_water_mark)
        try:
            self.endpoint = bind(self._socket, endpoint, setting=setting)
        except BaseException:
            self._socket.close()
            raise
        self._watcher = SocketWatcher(self._socket, self._turn)
        self._on_bundle: Callable[[list[bytes]], None] | None = None
        self.bundles = 0

    def start(self, on_bundle: Callable[[list[bytes]], None]) -> None:
        """Begins to receive; call once, inside the running loop."""
        self._on_bundle = on_bundle
        self._watcher.start()

    def receive(self) -> list[bytes] | None:
        """The next bundle, or None when nothing waits (for a caller that polls by itself)."""
        try:
            return self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None

    def close(self) -> None:
        """Stops receiving; bundles that were not read yet are lost. Safe to call twice."""
        if self._socket.closed:
            return
        self._watcher.stop()
        self._socket.close()

    def _turn(self) -> bool:
        on_bundle = self._on_bundle
        assert on_bundle is not None
        for _ in range(_BUNDLES_PER_TURN):
            frames = self.receive()
            if frames is None:
                return False
            self.bundles += 1
            on_bundle(frames)
            if self._socket.closed:
                return False
        return True
