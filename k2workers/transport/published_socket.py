"""Owns the socket by which a subscriber hears what is published, and what it is subscribed to there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from k2workers.errors import ConfigError
from k2workers.events import HEARTBEAT_TOPIC
from k2workers.transport.sockets import Context, Socket, SocketWatcher
from k2workers.transport.subscriber_sockets import open_subscription


class PublishedSocket:
    """To these topics and prefixes, and to heartbeats; ``live`` False: to heartbeats alone. Raises ConfigError for an endpoint that cannot be."""

    def __init__(
        self, context: Context, endpoint: str, topics: Sequence[str], high_water_mark: int, *, live: bool
    ) -> None:
        self._context = context
        self._endpoint = endpoint
        self._topics = topics
        self._high_water_mark = high_water_mark
        self._watcher: SocketWatcher | None = None
        self._turn: Callable[[], bool] | None = None
        self.socket = self._opened(live=live)

    def renew(self, *, live: bool) -> None:
        """On another socket: what waits in the last one does not count any longer, and its heartbeats say nothing of new subscriptions."""
        self.close()
        self.socket = self._opened(live=live)
        if self._turn is not None:
            self.watch(self._turn)

    def watch(self, turn: Callable[[], bool]) -> None:
        """Have ``turn`` called when something may have come (see ``SocketWatcher``)."""
        self._turn = turn
        self._watcher = SocketWatcher(self.socket, turn)
        self._watcher.start()

    def kick(self) -> None:
        """Have it called soon, if it is watched."""
        if self._watcher is not None:
            self._watcher.kick()

    def close(self) -> None:
        """Hear no more."""
        if self._watcher is not None:
            self._watcher.stop()
        self.socket.close()

    def _opened(self, *, live: bool) -> Socket:
        socket = open_subscription(self._context, self._endpoint, self._high_water_mark)
        for topic in self._topics if live else ():
            socket.subscribe(topic if topic.endswith(".") else f"{topic} ")
        # Subscribed last: when a heartbeat comes, every subscription above has reached the publisher.
        socket.subscribe(f"{HEARTBEAT_TOPIC} ")
        return socket


def topics_of(topics: Sequence[str]) -> tuple[str, ...]:
    """The same. Raises ConfigError for one that cannot be."""
    for topic in topics:
        if " " in topic or not topic:
            raise ConfigError(f"topic {topic!r}: allowed is a name without spaces, or a prefix ending in a dot")
    return tuple(topics)
