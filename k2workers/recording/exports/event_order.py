"""Owns the order of hftbacktest's events in a file: those for the exchange by the venue's times, and those for who listens to it by ours, which are often not the same. Pure.

An event that keeps both orders is there once, with both flags. One that comes behind another of a later venue time (a trade that was fetched over REST, or a line that was slower) is
there twice: for the listener in its place, for the exchange where its time is. So little waits in memory, however long the day is: the rest is in two files of scratch.
"""

from __future__ import annotations

import heapq
import struct
from array import array
from collections.abc import Iterator
from typing import BinaryIO

from k2workers.recording.exports.hftbacktest import EXCHANGE, LOCAL, TRADE, Told

EVENT = struct.Struct("<QqqddQqd")
"""ev, exch_ts, local_ts, px, qty, order_id, ival, fval."""

RUN_EVENTS = 65_536
"""So many that are out of order are sorted in memory."""

PIECE_EVENTS, RUN_PIECE_EVENTS = 4_096, 256
"""So many are read together, and so many of each sorted run."""

_BEGIN = struct.Struct("<Qq")
_KIND = 0xFF
_WORDS, _LOCAL_AT = 8, 2
"""An event is so many whole numbers or floats of 8 bytes; which one is our time."""

_Key = tuple[int, int]


class EventOrder:
    """``take`` messages in the order in which we learned of them; then read ``events`` once. The files are empty ones, for this alone. Raises OSError."""

    def __init__(self, scratch: BinaryIO, stragglers: BinaryIO) -> None:
        self.count = 0
        """Of events in the end."""
        self.ahead_ns = 0
        """How far our clock was behind the venue's at most: all local times are so much later in the file, or what happens would be known before it does."""
        self._scratch, self._stragglers = scratch, stragglers
        self._newest: _Key = (0, 0)
        self._run: list[tuple[_Key, bytes]] = []
        self._runs: list[tuple[int, int]] = []
        """Where each sorted run of stragglers begins and ends."""

    def take(self, told: Told) -> None:
        """The next one."""
        key = told.venue_ns, int(not told.is_trade)
        straggles = key < self._newest
        if not straggles:
            self._newest = key
        self.ahead_ns = max(self.ahead_ns, told.venue_ns - told.local_ns)
        pack, times = EVENT.pack, (told.venue_ns, told.local_ns)
        flags = LOCAL if straggles else LOCAL | EXCHANGE
        self._scratch.write(
            b"".join([pack(what | flags, *times, price, amount, 0, 0, 0.0) for what, price, amount in told.events])
        )
        self.count += len(told.events)
        if straggles:
            self._run += [
                (key, pack(what | EXCHANGE, *times, price, amount, 0, 0, 0.0)) for what, price, amount in told.events
            ]
            self.count += len(told.events)
            if len(self._run) >= RUN_EVENTS:
                self._spill()

    def events(self) -> Iterator[bytes]:
        """All of them in their order, in pieces of whole events."""
        self._spill()
        late = heapq.merge(*(self._of_run(*ends) for ends in self._runs), key=_key)
        waiting = next(late, None)
        for piece in _pieces(self._scratch, 0, self._scratch.tell(), PIECE_EVENTS):
            if waiting is None:
                yield self._moved(piece)
                continue
            begin, out, due = 0, list[bytes](), _key(waiting)
            for at in range(0, len(piece), EVENT.size):
                what, venue_ns = _BEGIN.unpack_from(piece, at)
                while what & EXCHANGE and waiting is not None and due < (venue_ns, _rank(what)):
                    out += piece[begin:at], waiting
                    begin, waiting = at, next(late, None)
                    due = due if waiting is None else _key(waiting)
            yield self._moved(b"".join([*out, piece[begin:]]))
        # The newest of all is in its place, so none waits behind it.

    def _spill(self) -> None:
        """Write the stragglers so far as one sorted run."""
        if self._run:
            self._run.sort(key=lambda straggler: straggler[0])
            begin = self._stragglers.tell()
            self._stragglers.write(b"".join([event for _, event in self._run]))
            self._runs.append((begin, self._stragglers.tell()))
            self._run.clear()

    def _of_run(self, begin: int, end: int) -> Iterator[bytes]:
        for piece in _pieces(self._stragglers, begin, end, RUN_PIECE_EVENTS):
            for at in range(0, len(piece), EVENT.size):
                yield piece[at : at + EVENT.size]

    def _moved(self, piece: bytes) -> bytes:
        if not self.ahead_ns:
            return piece
        words = array("q", piece)
        words[_LOCAL_AT::_WORDS] = array("q", [local_ns + self.ahead_ns for local_ns in words[_LOCAL_AT::_WORDS]])
        return words.tobytes()


def _pieces(file: BinaryIO, begin: int, end: int, events: int) -> Iterator[bytes]:
    """A part of a file; others may read elsewhere in it meanwhile."""
    at = begin
    while at < end:
        file.seek(at)
        piece = file.read(min(events * EVENT.size, end - at))
        at += len(piece)
        yield piece


def _key(event: bytes) -> _Key:
    what, venue_ns = _BEGIN.unpack_from(event)
    return venue_ns, _rank(what)


def _rank(what: int) -> int:
    return int(what & _KIND != TRADE)
