"""Owns the sending side of the benchmark: a process that writes ready-made frames as fast as its socket takes them.

``python -m tests.bench.pump '<Pumping as JSON>'``. Prints its port, serves one connection after the other, each with all frames
from the beginning, and tells after each how fast it was, as JSON: whoever reads faster than that measures the pump.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from tests.bench.frames import frames, recorded, symbols

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 part 1.3."""

REQUEST = b"GET /stream HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
"""What a reader without a WebSocket library asks."""

HEAD_END = b"\r\n\r\n"
"""Where the head of a request or an answer ends."""

PING = b"\x89\x00"
"""A ping as the venue sends it now and then: readers that sleep on what they have already received look again."""

PING_S = 1.0
"""How long after the last event, and how often."""


class Pumping(msgspec.Struct, kw_only=True):
    """What to send.

    ``certificate`` (a PEM file with key and chain) makes it TLS; ``rate`` is in events a second, 0: all; ``time_unit_us`` is the
    unit of the times in the events, which the venue has in milliseconds unless asked for microseconds, as we do. ``stamped``:
    their venue time is the clock's as they are written, in microseconds. With several ``shards`` it sends the symbols of one.
    """

    kind: str = "trade"
    symbols: int = 10
    events: int = 200_000
    frames_a_write: int = 64
    certificate: str = ""
    rate: float = 0.0
    time_unit_us: int = 1
    stamped: bool = False
    shard: int = 0
    shards: int = 1
    recording: tuple[str, ...] = ()
    """Files of recorded messages to send instead, whole."""


VENUE_TIME = b'"E":'
"""In front of the venue time of an event."""


def ready_frames(pumping: Pumping) -> Iterator[bytes]:
    """What is sent, frame by frame."""
    if pumping.recording:
        return itertools.chain.from_iterable(recorded(Path(file)) for file in pumping.recording)
    names = symbols(pumping.symbols, pumping.shard, pumping.shards)
    return frames(pumping.kind, names, pumping.events, pumping.time_unit_us)


def main(pumping: Pumping) -> None:
    """Serve until ended."""
    ready = list(ready_frames(pumping))
    step = pumping.frames_a_write
    writes = [b"".join(ready[at : at + step]) for at in range(0, len(ready), step)]
    context = None
    if pumping.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pumping.certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            plain, _ = server.accept()
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with context.wrap_socket(plain, server_side=True) if context else plain as connection:
                try:
                    _serve(connection, writes, pumping)
                except OSError as error:
                    sys.stderr.write(f"pump: {error}\n")


def _serve(connection: socket.socket, writes: list[bytes], pumping: Pumping) -> None:
    request = b""
    while HEAD_END not in request:
        got = connection.recv(65_536)
        if not got:
            return
        request += got
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    digest = hashlib.sha1(key.split(b":", 1)[1].strip() + _GUID, usedforsecurity=False).digest()
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )
    _send(writes, pumping, connection.sendall)
    connection.settimeout(PING_S)
    while True:  # until the reader has had enough; what it asks for, it has got
        try:
            if not connection.recv(65_536):
                return
        except TimeoutError:
            connection.sendall(PING)
        except ConnectionError:
            return


def _send(writes: Sequence[bytes], pumping: Pumping, write: Callable[[bytes | bytearray], object]) -> None:
    """Write everything at its time, and tell how fast that was."""
    events, rate, a_write = pumping.events, pumping.rate, pumping.frames_a_write
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    for number, data in enumerate(writes):
        due_s = begun_s + number * a_write / rate if rate else 0.0
        # A sleep takes some sixty microseconds longer than asked: at high rates a few writes then follow each other.
        if (wait_s := due_s - time.perf_counter()) > 0:
            time.sleep(wait_s)
        write(_stamped(data) if pumping.stamped else data)
    took_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    sys.stdout.write(json.dumps({"us": 1e6 * cpu_s / events, "events_per_s": events / took_s}) + "\n")
    sys.stdout.flush()


def _stamped(write: bytes) -> bytearray:
    stamped, now = bytearray(write), b"%d" % (time.time_ns() // 1_000)
    at = stamped.find(VENUE_TIME)
    while at >= 0:
        at += len(VENUE_TIME)
        stamped[at : at + len(now)] = now
        at = stamped.find(VENUE_TIME, at)
    return stamped


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Pumping))
