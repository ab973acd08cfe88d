"""Owns the floor that latencies are held against: the same frames over two bare ZeroMQ hops, nothing decoded, no event loop.

``python -m tests.bench.floor forward``, ``… clock ENDPOINT EVENTS`` and ``… send ENDPOINT '<Pumping as JSON>'``.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Sequence

import msgspec
import zmq

from tests.bench import pump

QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
TOPIC = b"binance.trade. "
DIGITS = 16
"""Of a time in microseconds."""


def quantiles_us(latencies_ns: Sequence[int]) -> dict[str, float]:
    """The quantiles, and the longest, in microseconds."""
    ordered = sorted(latencies_ns)
    found = {name: ordered[int(quantile * (len(ordered) - 1))] / 1_000 for name, quantile in QUANTILES.items()}
    return {**found, "longest": ordered[-1] / 1_000}


def _socket(kind: int) -> zmq.Socket[bytes]:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    return socket


def _say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def forward() -> None:
    """The place of the aggregator: prints where it pulls and publishes."""
    pull, publish = _socket(zmq.PULL), _socket(zmq.PUB)
    pull.bind("tcp://127.0.0.1:*")
    publish.bind("tcp://127.0.0.1:*")
    _say(pull.getsockopt_string(zmq.LAST_ENDPOINT), publish.getsockopt_string(zmq.LAST_ENDPOINT))
    while True:
        publish.send(TOPIC + pull.recv())


def clock(endpoint: str, events: int) -> None:
    """The place of the subscriber; prints the quantiles."""
    subscribed = _socket(zmq.SUB)
    subscribed.connect(endpoint)
    subscribed.subscribe(b"")
    _say("subscribed")
    latencies_ns = []
    gc.freeze()
    while len(latencies_ns) < events:
        frame = subscribed.recv()
        now_ns, at = time.time_ns(), frame.find(pump.VENUE_TIME) + len(pump.VENUE_TIME)
        if frame.startswith(TOPIC):
            latencies_ns.append(now_ns - 1_000 * int(frame[at : at + DIGITS]))
    _say(json.dumps(quantiles_us(latencies_ns)))


def send(endpoint: str, pumping: pump.Pumping) -> None:
    """The place of exchange and worker."""
    ready = list(pump.ready_frames(pumping))
    push = _socket(zmq.PUSH)
    push.setsockopt(zmq.LINGER, 1_000)
    push.connect(endpoint)
    time.sleep(0.5)  # until both connections stand: what a PUB sends before goes to nobody
    pump.send(ready, pumping, push.send)
    push.close()


def main(word: str, *rest: str) -> None:
    """One of the three."""
    if word == "forward":
        forward()
    elif word == "clock":
        clock(rest[0], int(rest[1]))
    else:
        send(rest[0], msgspec.json.decode(rest[1], type=pump.Pumping))


if __name__ == "__main__":
    main(*sys.argv[1:])
