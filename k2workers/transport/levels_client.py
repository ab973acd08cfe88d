"""Owns the question for the best levels of one book, from any thread, and the wait for its answer."""

from __future__ import annotations

import threading
import time

import zmq

from k2workers import wire
from k2workers.book_events import BookLevels
from k2workers.transport.books_server import LEVELS, pack_count
from k2workers.transport.sockets import Context, connect, open_socket

PATIENCE_S = 2.0


class LevelsClient:
    """Asks the books port at ``endpoint``. Threads that ask at the same time come one after the other. Raises ConfigError for an endpoint that cannot be."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._context: Context = zmq.Context()
        self._socket = open_socket(self._context, zmq.DEALER)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        connect(self._socket, endpoint, setting="books_endpoint")
        self._one = threading.Lock()

    def ask(self, topic: str, count: int, patience_s: float = PATIENCE_S) -> BookLevels | None:
        """So many levels a side of the book that is kept of this topic; None if none is. Raises TimeoutError if nobody answers."""
        until_s = time.monotonic() + patience_s
        question = [LEVELS, topic.encode(), pack_count(count)]
        if not self._one.acquire(timeout=patience_s):
            raise TimeoutError
        try:
            while self._socket.poll(0):
                self._socket.recv_multipart()  # to a question whose time was over
            self._socket.send_multipart(question, zmq.NOBLOCK)
            while (left_s := until_s - time.monotonic()) > 0:
                if not self._socket.poll(int(left_s * 1_000)):
                    break
                *asked, frame = self._socket.recv_multipart()
                if asked == question:
                    return _levels_in(frame)
        except zmq.ZMQError as error:  # no room for the question, or closed meanwhile
            raise TimeoutError from error
        finally:
            self._one.release()
        raise TimeoutError

    def close(self) -> None:
        """Ask no longer."""
        with self._one:
            self._socket.close()
        self._context.term()


def _levels_in(frame: bytes) -> BookLevels | None:
    if not frame:
        return None
    (event,) = wire.decode_events(frame, wire.read_header(frame))
    assert isinstance(event, BookLevels)
    return event
