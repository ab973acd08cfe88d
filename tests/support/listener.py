"""A subscriber as a program in any language would write one: a bare SUB socket, with nothing of the package."""

from __future__ import annotations

import threading
from typing import Any, Self

import msgspec
import zmq

POLL_MS = 50


class Listener:
    """Keeps what is published from when it is used as ``with`` on: (topic, event as an array) in the order of arrival."""

    def __init__(self, port: int) -> None:
        self.events: list[tuple[str, list[Any]]] = []
        self._endpoint = f"tcp://127.0.0.1:{port}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def of(self, topic: str) -> list[list[Any]]:
        """The events of this topic so far."""
        return [event for found, event in list(self.events) if found == topic]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _listen(self) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.linger = 0
            socket.subscribe(b"binance.")
            socket.connect(self._endpoint)
            while not self._stopping.is_set():
                if socket.poll(POLL_MS):
                    topic, _, body = socket.recv().partition(b" ")
                    events = msgspec.msgpack.decode(body)[-1]
                    self.events += [(topic.decode(), event) for event in events]
