"""Looks at a running feed as a program in any language would: HTTP and a bare ZeroMQ SUB socket, nothing of ours.

``python -m tests.support.onlooker feed READYZ ENDPOINT PREFIX…`` ends when the feed has called itself ready and each prefix has
been seen, and prints the words of /status then; ``… exchange ADDRESS STREAM`` when REST has answered and an event has come. Both try for ever:
who starts them says when it is enough.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import msgspec
import zmq
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

PAUSE_S = 0.05


def answer(url: str) -> str | None:
    """The body of a 200; None for anything else."""
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return str(reply.read().decode())
    except urllib.error.HTTPError as error:
        print(f"{error.code}: {error.read().decode().strip()}", file=sys.stderr, flush=True)
    except OSError:
        pass
    return None


def until(found: Callable[[], object]) -> None:
    while not found():
        time.sleep(PAUSE_S)


def feed(base: str, endpoint: str, *prefixes: str) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    waiting = {prefix.encode() for prefix in prefixes}
    for prefix in waiting:
        socket.subscribe(prefix)
    socket.connect(endpoint)
    while waiting:
        if not socket.poll(5_000):
            print("not seen yet:", *sorted(p.decode() for p in waiting), file=sys.stderr, flush=True)
            continue
        message = socket.recv()
        _, space, body = message.partition(b" ")
        _, epoch, sequence, count, _, _, _, _, events = msgspec.msgpack.decode(body)
        assert space and epoch > 0 and sequence > 0 and count == len(events) > 0, message
        waiting = {prefix for prefix in waiting if not message.startswith(prefix)}
    until(lambda: answer(f"{base}/readyz"))
    print(answer(f"{base}/status"))
    context.destroy(linger=0)


def exchange(address: str, stream: str) -> None:
    until(lambda: answer(f"http://{address}/api/v3/ping"))

    def comes() -> bool:
        try:
            with connect(f"ws://{address}/ws/{stream}", proxy=None) as socket:
                return bool(json.loads(socket.recv())["s"])
        except (OSError, WebSocketException):
            return False

    until(comes)


if __name__ == "__main__":
    onlookers: dict[str, Callable[..., None]] = {"feed": feed, "exchange": exchange}
    onlookers[sys.argv[1]](*sys.argv[2:])
