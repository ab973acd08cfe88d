"""Owns the floor that latencies are held against: the same frames on the same way with nothing on it, no decoding, no event loop.

The same way is a TCP connection to a process that hands on what it reads (``relay``), and two ZeroMQ hops (``forward``,
``clock``).  ``python -m tests.bench.floor WORD …`` runs one of them.
"""

from __future__ import annotations

import gc
import json
import socket
import sys
import tempfile
import time
from collections.abc import Sequence

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
    made: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    made.setsockopt(zmq.LINGER, 0)
    made.setsockopt(zmq.SNDHWM, 0)
    made.setsockopt(zmq.RCVHWM, 0)
    return made


def _say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def forward() -> None:
    """The place of the aggregator: prints where it pulls and publishes."""
    pull, publish = _socket(zmq.PULL), _socket(zmq.PUB)
    publish.bind("tcp://127.0.0.1:*")
    with tempfile.TemporaryDirectory(prefix="k2-bench-") as directory:
        pull.bind(f"ipc://{directory}/push")
        _say(pull.getsockopt_string(zmq.LAST_ENDPOINT), publish.getsockopt_string(zmq.LAST_ENDPOINT))
        while True:
            publish.send(TOPIC + pull.recv())


def clock(endpoint: str, events: int) -> None:
    """The place of the subscriber; prints the quantiles."""
    subscribed = _socket(zmq.SUB)
    subscribed.connect(endpoint)
    subscribed.subscribe(b"")
    _say("subscribed")
    latencies_ns: list[int] = []
    gc.freeze()
    while len(latencies_ns) < events:
        frame = subscribed.recv()
        now_ns = time.time_ns()
        latencies_ns += [now_ns - 1_000 * int(part[:DIGITS]) for part in frame.split(pump.VENUE_TIME)[1:]]
    _say(json.dumps(quantiles_us(latencies_ns)))


def relay(port: int, endpoint: str, streams: str = "") -> None:
    """The place of the worker; ``streams`` (separated by slashes) are for those who do not send everything."""
    push = _socket(zmq.PUSH)
    push.connect(endpoint)
    time.sleep(0.5)  # until all connections stand: what a PUB sends before goes to nobody
    with socket.create_connection(("127.0.0.1", port)) as connection:
        address = f"/stream?streams={streams}" if streams else "/stream"
        connection.sendall(pump.REQUEST.replace(b"/stream", address.encode(), 1))
        head = b""
        while pump.HEAD_END not in head:
            head += connection.recv(65_536)
        rest = head.partition(pump.HEAD_END)[2]
        while rest or (rest := connection.recv(262_144)):
            push.send(rest)
            rest = b""


def main(word: str, *rest: str) -> None:
    """One of the three."""
    if word == "forward":
        forward()
    elif word == "clock":
        clock(rest[0], int(rest[1]))
    else:
        relay(int(rest[0]), *rest[1:])


if __name__ == "__main__":
    main(*sys.argv[1:])
