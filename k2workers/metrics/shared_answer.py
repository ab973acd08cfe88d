"""Owns how often an answer that is asked for from many threads is made: once at a time, for all of them together. Knows nothing of what it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

REST = 3
"""After it was made it is not made again for so many times as long as that took: however many ask, it costs a quarter of one core."""

MOST_REST_S = 0.5
"""But no longer than this: one that takes more than a third of it to make costs more, and is not older."""

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """What ``make`` answers. Nobody gets one that was begun before it was asked for."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._begun = 0
        """Answers so far."""
        self._ended = 0
        self._making = False
        """Whether a thread makes one, or rests before it does."""
        self._answer: T | None = None
        self._error: BaseException | None = None
        self._rested_s = 0.0
        """When the next one may be begun."""
        self._changed = threading.Condition()

    def get(self) -> T:
        """Wait for the next one. Raises what ``make`` raised."""
        with self._changed:
            wanted = self._begun + 1
            while self._making and self._ended < wanted:
                self._changed.wait()
            if self._ended < wanted:
                self._making = True
            elif self._error is not None:
                raise self._error
            else:
                return self._answer  # type: ignore[return-value]  # without an error it is one
        return self._next()

    def _next(self) -> T:
        time.sleep(max(0.0, self._rested_s - time.monotonic()))
        with self._changed:
            self._begun += 1
        began_s = time.monotonic()
        answer: T | None = None
        error: BaseException | None = None
        try:
            answer = self._make()
            return answer
        except BaseException as raised:
            error = raised
            raise
        finally:
            ended_s = time.monotonic()
            with self._changed:
                self._answer, self._error = answer, error
                self._ended, self._making = self._begun, False
                self._rested_s = ended_s + min(MOST_REST_S, REST * (ended_s - began_s))
                self._changed.notify_all()
