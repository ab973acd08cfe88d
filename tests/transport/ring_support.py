"""What the tests of the disk ring's readers share: a ring on a port, filled block by block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import zmq

from k2workers.transport.disk_ring import DiskRing
from k2workers.transport.disk_ring_server import DiskRingServer
from k2workers.transport.frame_keeper import FrameKeeper
from tests.transport.support import published

A, B = "binance.trade.A", "binance.trade.B"

Place = tuple[int, str, int]
"""Epoch, topic, sequence; its trade's id is 100 times the epoch and the sequence."""


def frame(epoch: int, topic: str, sequence: int, at: int = 1) -> bytes:
    return published(sequence, 100 * epoch + sequence, topic=topic, epoch=epoch, publish_ns=at)


class RingOnAPort:
    """A ring, and the server that gives it away; make it inside the loop."""

    def __init__(self, folder: Path) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.ring = DiskRing(folder, 10**9, 10**15)
        self.server = DiskRingServer(self.context, "tcp://127.0.0.1:*", self.ring)
        self.server.start()

    def put(self, *places: Place, at: int = 1) -> None:
        """One block of these."""
        keeper = FrameKeeper(places[0][0], {topic: sequence - 1 for _, topic, sequence in reversed(places)})
        for place in places:
            keeper.take(frame(*place, at), 0)
        while (block := keeper.cut()) is not None:
            self.ring.append(block, at)

    def close(self) -> None:
        self.server.close()
        self.context.term()
        self.ring.close()


def serving(folder: Path) -> Iterator[RingOnAPort]:
    made = RingOnAPort(folder)
    yield made
    made.close()
