"""What one peer can do to a port that anybody may reach. As a module: ``python -m tests.support.attacks ENDPOINT WHAT`` does it until it is killed."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable

from k2workers.transport.replay_server import pack
from tests.support.hostile import PING, Hostile, frame, message, subscription, unsubscription
from tests.support.waiting import WAIT_S

Act = Callable[[Hostile], object]

PREFIX = b"binance.trade."
TOPIC = PREFIX + b"BTCUSDT"
"""One that the feed has."""

LOOP = (subscription(TOPIC + b" ") + unsubscription(TOPIC + b" ")) * 5_000
SAME = subscription(b"") * 50_000
ENDLESS = frame(b"", 1) * 200_000


ASKED_AND_GONE = (message(b"last", TOPIC) * 10 + PING) * 300
SUBSCRIBED_AND_GONE = (subscription(TOPIC) * 10 + PING) * 300


def gone(peer: Hostile, content: bytes) -> None:
    """Send this, and end without a farewell while most of it waits to be read."""
    peer.send(content)
    peer.abort()


def subscribe_to_any(peer: Hostile, times: int, count: int, size: int) -> None:
    """So many times, each time to so many topics of this size."""
    for _ in range(times):
        peer.send(b"".join(subscription(os.urandom(size)) for _ in range(count)))


ON_SUBSCRIPTIONS: dict[str, Act] = {
    "a loop that subscribes and leaves": lambda peer: peer.flood(LOOP, 2),
    "the same subscription again and again": lambda peer: peer.flood(SAME, 2),
    "one subscription of ten megabytes": lambda peer: peer.send(subscription(bytes(10_000_000))),
    "many long subscriptions": lambda peer: subscribe_to_any(peer, 20, 300, 36_000),
    "very many like topics": lambda peer: subscribe_to_any(peer, 50, 20_000, 20),
    "a message without an end": lambda peer: peer.flood(ENDLESS, 2),
}

ON_REQUESTS: dict[str, Act] = {
    "questions whose answers nobody reads": lambda peer: peer.flood(
        message(b"since", TOPIC, pack(0)) * 50 + message(b"last", PREFIX) * 50, 2
    ),
    "one question of ten megabytes": lambda peer: peer.send(message(b"last", bytes(10_000_000))),
    "a question without an end": lambda peer: peer.flood(ENDLESS, 2),
    "questions of very many frames": lambda peer: peer.flood((frame(b"", 1) * 100_000) + frame(b""), 2),
}

ON_BOOKS: dict[str, Act] = {
    "books that nobody reads": lambda peer: peer.flood(message(b"book", b"binance.") * 100, 2),
    "a question without an end": ON_REQUESTS["a question without an end"],
}


class Attacker:
    """One peer after another, as a socket of this kind, each of which does ``act``; from now until ``end``."""

    def __init__(self, endpoint: str, kind: bytes, act: Act) -> None:
        self._aim = endpoint, kind, act
        self.connections = 0
        """That were made."""
        self._ending = threading.Event()
        self._peer: Hostile | None = None
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def _go_on(self) -> None:
        endpoint, kind, act = self._aim
        while not self._ending.is_set():
            # An error: it was cut loose.
            with contextlib.suppress(OSError, AssertionError), Hostile(endpoint, kind, receive_buffer=4_096) as peer:
                self._peer = peer
                self.connections += 1
                act(peer)
            self._ending.wait(0.01)

    def end(self) -> None:
        """Wait for the end of the peer that is there."""
        self._ending.set()
        if self._peer is not None:
            self._peer.end()
        self._thread.join(WAIT_S)


def main(endpoint: str, what: str) -> None:
    kind = b"SUB" if what in ON_SUBSCRIPTIONS else b"DEALER"
    attacker = Attacker(endpoint, kind, {**ON_SUBSCRIPTIONS, **ON_REQUESTS, **ON_BOOKS}[what])
    while not attacker.connections:
        time.sleep(0.01)
    print("attacking", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
