"""Owns what a fault makes of one message's frame on one connection. Pure apart from the connection's delayed frame."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence

from k2workers.simulator.faults import Fault

OVERSIZE_BYTES = 16 * 1024 * 1024 + 1
PING_BETWEEN = b"between"
"""The payload of the ping inside a fragmented message; its pong does not count as the client's message."""

_DECIMAL = re.compile(rb'"(\d+\.\d+)"')

_FINAL, _TEXT, _PING = 0x80, 0x1, 0x9


def frame(payload: bytes, *, opcode: int = _TEXT, final: bool = True) -> bytes:
    """One unmasked WebSocket frame, as a server sends it (RFC 6455, 5.2)."""
    first, size = opcode | (_FINAL if final else 0), len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def with_element(payload: bytes, element: bytes) -> bytes:
    """The JSON with one more element at the head of its first array."""
    before, bracket, after = payload.partition(b"[")
    return before + bracket + element + (b"" if after.startswith(b"]") else b",") + after if bracket else payload


def malformed(payload: bytes) -> bytes:
    """The JSON with numbers where the venue has decimal strings."""
    return _DECIMAL.sub(rb"\1", payload)


def damaged(
    payload: bytes, faults: Sequence[Fault], rng: random.Random, glitched: Callable[[bytes, str], bytes]
) -> tuple[list[bytes], bool]:
    """(frames to send instead of this message, whether they go after the connection's next message).

    ``glitched`` makes the copy with ids or times that are far off.
    """
    frames, late = [frame(payload)], False
    for fault in faults:
        if fault.kind == "drop":
            frames = []
        elif fault.kind == "duplicate":
            frames = frames * 2
        elif fault.kind == "reorder":
            late = True
        elif fault.kind == "truncate":
            frames = [frame(payload[: len(payload) // 2])]
        elif fault.kind == "garbage":
            nonsense = bytes(rng.randrange(32, 127) for _ in range(rng.randrange(1, 200)))
            frames = [frame(nonsense), *frames]
        elif fault.kind == "oversize":
            frames = [frame(b"x" * OVERSIZE_BYTES), *frames]
        elif fault.kind == "odd_element":
            frames = [frame(with_element(payload, fault.values["element"].encode()))]
        elif fault.kind == "malformed":
            frames = [frame(malformed(payload))]
        elif fault.kind == "glitch":
            frames = [frame(glitched(payload, fault.values["what"])), *frames]
        elif fault.kind == "fragment":
            third = len(payload) // 3
            frames = [
                frame(payload[:third], final=False),
                frame(PING_BETWEEN, opcode=_PING),
                frame(payload[third : 2 * third], opcode=0, final=False),
                frame(payload[2 * third :], opcode=0),
            ]
    return frames, late
