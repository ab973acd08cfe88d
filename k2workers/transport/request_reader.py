"""Owns how requests are read from a ROUTER that anybody may reach: a few frames each, and of more no more than a turn's worth at a time."""

from __future__ import annotations

from collections.abc import Callable

import zmq

from k2workers.transport.sockets import Socket, readable

MAX_FRAMES = 4
"""Of a request with its sender; one of more is none."""

FRAMES_A_TURN = 500


class RequestReader:
    """Call ``next`` for the next request. ``heard`` is called with the last frame of each."""

    def __init__(self, socket: Socket, heard: Callable[[zmq.Frame], object] = lambda _frame: None) -> None:
        self._socket = socket
        self._heard = heard
        self._skipping = False

    @property
    def more(self) -> bool:
        """Whether frames of a request that is too long are still to be read."""
        return self._skipping

    def next(self) -> list[bytes]:
        """The sender and the frames of one request; empty if none waits, or if it was too long."""
        frames: list[bytes] = []
        if not self._skipping and not readable(self._socket):
            return frames
        for _ in range(FRAMES_A_TURN):
            try:
                frame = self._socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                self._skipping = False
                return []
            if not self._skipping:
                frames.append(frame.bytes)
            if not frame.more:
                self._heard(frame)
                skipped, self._skipping = self._skipping, False
                return [] if skipped else frames
            self._skipping = self._skipping or len(frames) >= MAX_FRAMES
        return []
