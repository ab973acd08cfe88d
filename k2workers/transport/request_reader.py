"""Owns how requests are read from a ROUTER that anybody may reach: a few frames each, and of more no more than a turn's worth at a time."""

from __future__ import annotations

from collections.abc import Callable

import zmq

from k2workers.transport.sockets import Socket, readable

MAX_FRAMES = 4
"""Of a request with its sender; one of more is none."""

FRAMES_A_TURN = 500


class RequestReader:
    """Call ``next`` for the next request. ``heard`` is called with the last frame of each, and answers None if its peer has gone: then it is none."""

    def __init__(self, socket: Socket, heard: Callable[[zmq.Frame], object | None] = lambda _frame: True) -> None:
        self._socket = socket
        self._heard = heard
        self._skipping = False

    @property
    def more(self) -> bool:
        """Whether frames of a request that is too long are still to be read."""
        return self._skipping

    def next(self) -> list[bytes]:
        """The sender and the frames of one request; empty if none waits, or if the turn is over before one was found."""
        frames: list[bytes] = []
        if not self._skipping and not readable(self._socket):
            return frames
        left = FRAMES_A_TURN
        while left > 0 or (frames and not self._skipping):
            left -= 1
            try:
                frame = self._socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                self._skipping = False
                return []
            if not self._skipping:
                frames.append(frame.bytes)
            if frame.more:
                self._skipping = self._skipping or len(frames) >= MAX_FRAMES
                continue
            skipped, self._skipping = self._skipping, False
            # Much may wait behind a peer that was cut loose: it costs no turn a request.
            if self._heard(frame) is not None:
                return [] if skipped else frames
            frames = []
        return []
