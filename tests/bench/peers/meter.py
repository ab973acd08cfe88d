"""Owns what a peer is asked to read, and the meter of the CPU time it takes.

Nothing but the standard library: it runs in the environment of every peer, where k2workers is not installed, and in our own.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from dataclasses import dataclass

CHANNELS = {"trade": "trade", "agg_trade": "aggTrade", "book_ticker": "bookTicker", "depth": "depth@100ms"}
"""Kinds that peers read, and the venue's names of their streams."""

IDS = {"trade": "t", "agg_trade": "a"}
"""The field of a message that holds its id."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a peer is to read: ``events`` of a kind, evenly mixed over the symbols; over TLS if there is a CA bundle.

    ``push`` is the address of a ZeroMQ PULL socket, for ways that hand on what they read. ``others`` are kinds that are read as well;
    then there is no last event, and the reader goes on until it is ended.
    """

    port: int
    kind: str
    symbols: list[str]
    events: int
    ca_bundle: str = ""
    way: str = ""
    push: str = ""
    others: tuple[str, ...] = ()

    @property
    def base_url(self) -> str:
        """What takes the place of the venue's address."""
        return f"{'wss' if self.ca_bundle else 'ws'}://127.0.0.1:{self.port}"

    @property
    def channels(self) -> list[str]:
        """The venue's names of the kinds."""
        return [CHANNELS[kind] for kind in (self.kind, *self.others)]

    @property
    def streams(self) -> list[str]:
        """Names of the streams that carry it."""
        return [f"{symbol.lower()}@{channel}" for channel in self.channels for symbol in self.symbols]

    def id_in(self, message: str | bytes) -> int:
        """The id of an event that came as JSON text."""
        return int(json.loads(message)["data"][IDS[self.kind]])

    @property
    def last_id(self) -> int:
        """The id of the very last event: ids rise from 1 for each symbol."""
        return 1 + (self.events - 1) // len(self.symbols)


def asked() -> Asked:
    """The one argument of a peer's script."""
    return Asked(**json.loads(sys.argv[1]))


class Meter:
    """CPU time of this process, all threads, from the first event to the last."""

    def __init__(self, events: int) -> None:
        self._left = self._events = events
        self._reads = 0
        self._begun_cpu_s = self._begun_s = self.cpu_s = self.took_s = 0.0

    def count(self, events: int = 1) -> bool:
        """So many more were dealt with (0 only starts the meter); whether these were the last."""
        if not self._reads:
            gc.freeze()  # what start-up left is not looked through again
            self._begun_cpu_s, self._begun_s = time.process_time(), time.perf_counter()
            self._events -= events  # what it cost to get the first ones is not known
        self._reads += 1
        self._left -= events
        if self._left > 0:
            return False
        self.took_s = time.perf_counter() - self._begun_s
        self.stop()
        return True

    def stop(self) -> None:
        """What was done for these events ends now; only needed where some of it is done after the last was counted."""
        self.cpu_s = time.process_time() - self._begun_cpu_s

    def tell(self, **more: float) -> None:
        """Print the figures."""
        figures = {
            "us": 1e6 * self.cpu_s / self._events,
            "events_a_read": self._events / max(1, self._reads - 1),
            "events_per_s": self._events / self.took_s,
            **more,
        }
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()


class PeerMeter(Meter):
    """A meter that ends the process: libraries that reconnect, or keep threads, do not end by themselves.

    Whenever the process gets SIGUSR1 it prints how many events have come.
    """

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.events)
        self._asked = asked
        signal.signal(signal.SIGUSR1, self._tell_events)

    def _tell_events(self, *_: object) -> None:
        sys.stdout.write(json.dumps({"events": self._asked.events - self._left}) + "\n")
        sys.stdout.flush()

    def finish(self, last_id: int) -> None:
        """Print the figures and end; that all events came, and in order, shows in the id of the last one."""
        right = self._left == 0 and last_id == self._asked.last_id
        if right:
            self.tell()
        else:
            sys.stderr.write(f"the last id is {last_id}, not {self._asked.last_id}; {self._left} events missing\n")
            sys.stderr.flush()
        os._exit(not right)
