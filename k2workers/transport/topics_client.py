"""Owns the questions to the replay port for what was published last, from any thread: which topics there are, and the last batch of some."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

import zmq

from k2workers.transport.replay_server import LAST, NEWEST, unpack_newest
from k2workers.transport.sockets import Context, Socket, connect, open_socket

PATIENCE_S = 2.0


class TopicsClient:
    """Asks the replay port at ``endpoint``, from the first question on. Threads that ask at the same time come one after the other."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._context: Context = zmq.Context()
        self._socket: Socket | None = None
        self._one = threading.Lock()

    def newest(self, prefixes: Sequence[str], patience_s: float = PATIENCE_S) -> dict[str, int]:
        """The newest sequence of each topic under these prefixes. Raises TimeoutError if nobody answers."""
        found: dict[str, int] = {}
        for reply in self._ask(NEWEST, prefixes, lambda reply: reply[0] == NEWEST, patience_s):
            found |= unpack_newest(reply[2])[1]
        return found

    def last(self, topics: Sequence[str], patience_s: float = PATIENCE_S) -> list[bytes]:
        """The last frame of each of these topics that has one, as it was published. Raises TimeoutError if nobody answers."""
        replies = self._ask(LAST, topics, lambda reply: not reply[0], patience_s)
        return [reply[0] for reply in replies if reply[0]]

    def close(self) -> None:
        """Ask no longer."""
        with self._one:
            self._end()
        self._context.term()

    def _ask(
        self, word: bytes, names: Iterable[str], is_last: Callable[[list[bytes]], bool], patience_s: float
    ) -> list[list[bytes]]:
        """All replies to a question of each name."""
        until_s = time.monotonic() + patience_s
        if not self._one.acquire(timeout=patience_s):
            raise TimeoutError
        replies: list[list[bytes]] = []
        try:
            if self._socket is None:
                self._socket = open_socket(self._context, zmq.DEALER)
                self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
                connect(self._socket, self.endpoint, setting="snapshot_endpoint")
            left = 0
            for name in names:
                self._socket.send_multipart([word, name.encode()], zmq.NOBLOCK)
                left += 1
            while left:
                left_s = until_s - time.monotonic()
                if left_s <= 0 or not self._socket.poll(int(left_s * 1_000)):
                    raise TimeoutError
                replies.append(reply := self._socket.recv_multipart())
                left -= is_last(reply)
        except BaseException as error:
            self._end()  # what is still to come would be taken for an answer to the next question
            if isinstance(error, zmq.ZMQError):  # no room for the question, or closed meanwhile
                raise TimeoutError from error
            raise
        else:
            return replies
        finally:
            self._one.release()

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
