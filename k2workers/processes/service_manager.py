"""Owns what a service manager such as systemd is told of a run, where there is one: that it is ready, how it is, that it lives, that it ends (sd_notify(3)).

*Ready* is what ``/readyz`` means by it: every stream flows. Until then more time to start is asked for in every turn: a venue that is down for an hour is no
failed start, but a parent that hangs is. Once ready, what is not in order is told in words and ends nothing: the feed mends itself, and a restart would only
cost its subscribers. What the watchdog sees is whether the parent's loop turns: it watches all other processes itself.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence

TELL_S = 1.0

MORE_TIME_S = 180
"""So long a start that is not ready yet may be without a word, however slow the machine: one that was ended for its slowness would never come to its end. The
unit's ``TimeoutStartSec`` is as long, for the first one."""

WORDS = 500
"""The most of a status: systemd shows one line."""


class ServiceManager:
    """Call ``tell`` every ``period_s`` if ``listens``, and ``tell_end`` once. ``unready`` gives the reasons of ``/readyz``."""

    def __init__(self, environ: Mapping[str, str], unready: Callable[[], Sequence[str]]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._unready = unready
        self._ready = False
        self._ending = False
        self._watchdog_s = _watchdog_s(environ)

    @property
    def listens(self) -> bool:
        """Whether there is one that wants to be told."""
        return bool(self._address)

    @property
    def period_s(self) -> float:
        """How often it wants to be told at least."""
        return min(TELL_S, self._watchdog_s / 3) if self._watchdog_s else TELL_S

    def tell(self) -> None:
        """Say how the run is now; of one that ends only that it lives."""
        watched = ["WATCHDOG=1"] if self._watchdog_s else []
        if self._ending:
            self._send(watched)
            return
        reasons = self._unready()
        if not reasons:
            told = ["READY=1", "STATUS=ready: every stream flows"]
        else:
            told = [f"STATUS=not ready: {'; '.join(reasons)}"[:WORDS]]
            if not self._ready:
                told.append(f"EXTEND_TIMEOUT_USEC={MORE_TIME_S * 1_000_000}")
        if self._send([*told, *watched]):
            self._ready = self._ready or not reasons

    def tell_end(self) -> None:
        """Say that the run is about to end. From then on no more time is asked for: the manager's own limit for an end holds."""
        self._ending = True
        if self.listens:
            self._send(["STOPPING=1", "STATUS=ending: what was received is being published"])

    def _send(self, told: Sequence[str]) -> bool:
        """Whether it was taken. One that is busy or gone gets the next."""
        if not told:
            return False
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way,
        ):
            way.setblocking(False)
            way.sendto("\n".join(told).encode(), address)
            return True
        return False


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """How long we may be silent; 0 if nobody watches, or watches another process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    word = environ.get("WATCHDOG_USEC", "")
    return int(word) / 1e6 if word.isascii() and word.isdecimal() else 0.0
