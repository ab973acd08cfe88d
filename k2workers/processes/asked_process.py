"""Owns how an HTTP page asks another process from many threads: the client of where that listens now, and how often an answer is made."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from k2workers.metrics.shared_answer import REST

PATIENCE_S = 5.0
"""So long who asks waits for its turn. Without an end, threads would gather behind a process that hangs: their clients are let go sooner than they."""


class AskingClient(Protocol):
    """What asks at one endpoint. ``close`` waits for a thread that asks there."""

    endpoint: str

    def close(self) -> None: ...


C = TypeVar("C", bound=AskingClient)


class AskedProcess(Generic[C]):
    """``made`` makes a client for an endpoint. Call ``listening`` when the process has told where, all else from any thread."""

    def __init__(self, made: Callable[[str], C]) -> None:
        self._made = made
        self._client: C | None = None
        self._making = threading.Lock()
        self._rested_s = 0.0
        """When the next answer may be made."""

    @property
    def client(self) -> C:
        """The client of where it listens. Raises TimeoutError if nobody has told yet."""
        if self._client is None:
            raise TimeoutError
        return self._client

    def listening(self, endpoint: str) -> None:
        """It listens here."""
        before = self._client
        if before is not None and before.endpoint == endpoint:
            return
        self._client = self._made(endpoint)
        if before is not None:
            # A thread that asks there is waited for, and nobody else waits for that.
            threading.Thread(target=before.close, daemon=True).start()

    @contextlib.contextmanager
    def making(self, worked_s: float = 0.0) -> Iterator[None]:
        """One answer after the other; none for ``REST`` times the CPU time that the one before took, with what went on it before (``worked_s``).

        Raises TimeoutError if its turn does not come.
        """
        if not self._making.acquire(timeout=PATIENCE_S):
            raise TimeoutError
        try:
            time.sleep(max(0.0, self._rested_s - time.monotonic()))
            began_s = time.thread_time() - worked_s
            try:
                yield
            finally:
                self._rested_s = time.monotonic() + REST * (time.thread_time() - began_s)
        finally:
            self._making.release()

    def close(self) -> None:
        """Ask no longer."""
        if self._client is not None:
            self._client.close()
