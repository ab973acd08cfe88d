"""Owns how the sockets of a subscriber are made: one that is published to, and two to ask with. What is said on them is ``subscriber.py``'s."""

from __future__ import annotations

import zmq

from k2workers.transport.sockets import Context, Socket, connect, open_socket

BOOKS_WAITING = 16
"""Whole books that wait to be read; a prefix may bring hundreds, of a megabyte each."""


def open_sockets(
    endpoint: str, snapshot_endpoint: str, books_endpoint: str | None, high_water_mark: int
) -> tuple[Context, Socket, Socket, Socket]:
    """A context, and the sockets for what is published, for what was missed and for whole books; nobody is asked at an endpoint that is empty.

    Raises ConfigError for an endpoint that cannot be.
    """
    context: Context = zmq.Context()
    # A subscription that it has no room for ZeroMQ would drop without a word, and the rest with it.
    published = _quick(open_socket(context, zmq.SUB, send_high_water_mark=0, receive_high_water_mark=high_water_mark))
    connect(published, endpoint, setting="endpoint")
    asking = _quick(open_socket(context, zmq.DEALER, receive_high_water_mark=high_water_mark))
    if snapshot_endpoint:
        connect(asking, snapshot_endpoint, setting="snapshot_endpoint")
    asking_books = _quick(open_socket(context, zmq.DEALER, receive_high_water_mark=BOOKS_WAITING))
    asking_books.setsockopt(zmq.IMMEDIATE, 1)  # a question that nobody hears is not to wait: it is asked again
    if books_endpoint:
        connect(asking_books, books_endpoint, setting="books_endpoint")
    return context, published, asking, asking_books


def _quick(socket: Socket) -> Socket:
    """Reconnect quickly: after a restart the feed is back within a second or two."""
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
    return socket
