"""Owns how the sockets of a subscriber are made: one that is published to, and three to ask with. What is said on them is ``subscriber.py``'s, but for a snapshot."""

from __future__ import annotations

from collections.abc import Sequence

import zmq

from k2workers.errors import FeedSilent
from k2workers.transport import replay_server
from k2workers.transport.sockets import Context, Socket, connect, open_socket

BOOKS_WAITING = 16
"""Whole books that wait to be read; a prefix may bring hundreds, of a megabyte each."""


def open_sockets(
    snapshot_endpoint: str, books_endpoint: str | None, high_water_mark: int
) -> tuple[Context, Socket, Socket, Socket]:
    """A context, and the sockets to ask for what was missed, for whole books, and for what is in the disk ring, which is not connected; nobody is asked at
    an endpoint that is empty.

    Raises ConfigError for an endpoint that cannot be.
    """
    context: Context = zmq.Context()
    asking = _quick(open_socket(context, zmq.DEALER, receive_high_water_mark=high_water_mark))
    if snapshot_endpoint:
        connect(asking, snapshot_endpoint, setting="snapshot_endpoint")
    asking_books = _quick(open_socket(context, zmq.DEALER, receive_high_water_mark=BOOKS_WAITING))
    asking_books.setsockopt(zmq.IMMEDIATE, 1)  # a question that nobody hears is not to wait: it is asked again
    if books_endpoint:
        connect(asking_books, books_endpoint, setting="books_endpoint")
    return context, asking, asking_books, _quick(open_socket(context, zmq.DEALER))


def open_subscription(context: Context, endpoint: str, high_water_mark: int) -> Socket:
    """A socket for what is published, without a subscription. Raises ConfigError."""
    # A subscription that it has no room for ZeroMQ would drop without a word, and the rest with it.
    published = _quick(open_socket(context, zmq.SUB, send_high_water_mark=0, receive_high_water_mark=high_water_mark))
    connect(published, endpoint, setting="endpoint")
    return published


def _quick(socket: Socket) -> Socket:
    """Reconnect quickly: after a restart the feed is back within a second or two."""
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
    return socket


def fetch_snapshot(context: Context, endpoint: str, topics: Sequence[str], timeout_s: float) -> list[bytes]:
    """The last frame of each of these topics, and of those under these prefixes. Blocks; raises FeedSilent if nothing comes for so long."""
    frames = []
    with context.socket(zmq.DEALER) as asking:
        asking.setsockopt(zmq.LINGER, 0)
        connect(asking, endpoint, setting="snapshot_endpoint")
        for topic in topics:
            asking.send_multipart([replay_server.LAST, topic.encode()])
            while True:
                if not asking.poll(int(timeout_s * 1000)):
                    raise FeedSilent(f"no snapshot from {endpoint} within {timeout_s:g} s")
                frame = asking.recv()
                if not frame:
                    break
                frames.append(frame)
    return frames
