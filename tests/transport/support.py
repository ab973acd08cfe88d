"""What the transport's tests share: batches, and the aggregator's end of the links."""

from __future__ import annotations

import zmq

from k2workers import wire
from k2workers.events import BookTicker, Trade
from k2workers.transport import bundle_protocol
from k2workers.transport.bundle_receiver import BundleReceiver
from k2workers.wire import Batch
from tests.support.batches import batch_of


def batch(update_id: int, topic: str = "binance.book_ticker.BTCUSDT") -> Batch:
    return batch_of(topic, [BookTicker(update_id, "1", "1", "2", "1", 1)])


def trades(*numbers: int, topic: str = "binance.trade.BTCUSDT") -> Batch:
    return batch_of(topic, [Trade(number, "1", "1", True, 0, 0, number) for number in numbers])


def published(
    sequence: int, *numbers: int, topic: str = "binance.trade.BTCUSDT", epoch: int = 1, publish_ns: int = 1
) -> bytes:
    """A published batch of trades; of the one whose number is its sequence unless it is said."""
    batch = trades(*(numbers or (sequence,)), topic=topic)
    return wire.publication(batch, epoch=epoch, sequence=sequence, publish_ns=publish_ns)


class Receiver:
    """A receiver that keeps what it received; ``positions`` is what it answers to workers."""

    def __init__(self, endpoint: str, high_water_mark: int = 1_000) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.bundle_receiver = BundleReceiver(self.context, endpoint, high_water_mark=high_water_mark)
        self.got: list[list[Batch]] = []
        self.by_worker: dict[bytes, list[list[Batch]]] = {}
        self.hellos: list[bundle_protocol.WorkerHello] = []
        self.endpoint = self.bundle_receiver.endpoint

    def start(self) -> None:
        self.bundle_receiver.start(self._on_bundle, lambda: None, self._on_hello)

    def _on_bundle(self, worker: bytes, batches: list[Batch]) -> None:
        self.got.append(batches)
        self.by_worker.setdefault(worker, []).append(batches)

    def _on_hello(self, hello: bundle_protocol.WorkerHello) -> bundle_protocol.Welcome:
        self.hellos.append(hello)
        return bundle_protocol.Welcome(7, {})

    def close(self) -> None:
        self.bundle_receiver.close()
        self.context.destroy(linger=0)
