"""Owns the socket that subscribers connect to. Knows nothing of what it publishes."""

from __future__ import annotations

import zmq

from k2workers.transport.peer import SUBSCRIPTIONS, PeerPolicy
from k2workers.transport.public_port import PublicPort
from k2workers.transport.sockets import NOBLOCK, Context, SocketWatcher, open_socket, readable

NEWS_A_TURN = 100
"""Subscriptions that are read before others have their turn."""

NEWS_WAITING = 4
"""Subscriptions of one peer that ZeroMQ takes before we have read them. It reads them within our own calls: what comes faster waits outside."""

NO_BOUND = 2**62


class Publisher:
    """Publishes frames to any number of subscribers and never waits for one.

    A subscriber that is ``high_water_mark`` frames behind loses the frames beyond, and sees that in the sequence numbers; one that exceeds
    ``policy`` is cut loose. With ``lossless`` none of both happens to one that is only slow: then use ``offer``, which refuses a frame while somebody has no room for it.
    Call ``look`` steadily, and ``start`` inside the loop. Raises ConfigError, naming ``setting``, when the endpoint cannot be bound.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        *,
        high_water_mark: int = 100_000,
        linger_ms: int = 500,
        setting: str = "publish_endpoint",
        policy: PeerPolicy | None = None,
        screened_in: str = "",
        lossless: bool = False,
    ) -> None:
        self._linger_ms = linger_ms
        self._policy = policy or PeerPolicy(**({"owed_bytes": NO_BOUND} if lossless else {}))
        self._socket = open_socket(
            context, zmq.XPUB, send_high_water_mark=high_water_mark, receive_high_water_mark=NEWS_WAITING
        )
        self._socket.setsockopt(zmq.XPUB_NODROP, int(lossless))
        self._socket.setsockopt(zmq.XPUB_VERBOSER, 1)  # whose subscription it is shows only if each is told
        self.port = PublicPort(
            context, self._socket, endpoint, setting=setting, policy=self._policy, screened_in=screened_in
        )
        self.watch, self.endpoint = self.port.watch, self.port.endpoint
        # Below what pyzmq puts around it for sockets of other kinds, which costs as much as the sending.
        self._send = super(zmq.Socket, self._socket).send
        self._watcher = SocketWatcher(self._socket, self.hear)

    def start(self) -> None:
        """Begin to hear subscribers; call once, inside the running loop."""
        self._watcher.start()
        self.port.start()

    def publish(self, frame: bytes) -> None:
        """Hands one frame to ZeroMQ, which copies it. Never blocks: XPUB drops frames for a subscriber that is too slow."""
        self._send(frame, NOBLOCK)
        if self.watch.behind:
            for peer in self.watch.behind:
                peer.hand(frame)

    def offer(self, frame: bytes) -> bool:
        """The same with ``lossless``: whether it was handed over; if not, nobody has it, and it is to be offered again."""
        try:
            self.publish(frame)
        except zmq.Again:
            return False
        return True

    def look(self) -> None:
        """Cut loose who exceeds the policy; call it every ``peer_watch.LOOK_S``."""
        self.watch.look()
        peers = self.watch.peers
        if sum(len(peer.topics) for peer in peers.values()) > self._policy.all_topics:
            self.watch.cut(max(peers, key=lambda descriptor: len(peers[descriptor].topics)), SUBSCRIPTIONS)
        self._watcher.kick()  # what is published swallows the sign that a subscription has come

    def subscriptions(self) -> int:
        """How many different subscriptions were heard of, of peers that are here."""
        self.hear()
        return len({topic for peer in self.watch.peers.values() for topic in peer.topics})

    def hear(self) -> bool:
        """Read subscriptions that have come, at most ``NEWS_A_TURN``. Returns whether more may wait."""
        if not readable(self._socket):
            return False
        self.watch.meet()
        for _ in range(NEWS_A_TURN):
            try:
                news = self._socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return False
            if not news.more and (descriptor := self.watch.heard(news)) is not None:
                self._take(descriptor, news.bytes)
        return True

    def _take(self, descriptor: int, news: bytes) -> None:
        peer = self.watch.peers[descriptor]
        topic = news[1:]
        if news[:1] == b"\x00":
            peer.unsubscribe(topic)
        elif news[:1] == b"\x01" and not peer.subscribe(topic):
            self.watch.cut(descriptor, SUBSCRIPTIONS)

    def close(self) -> None:
        """Closes; frames that ZeroMQ holds are still sent for ``linger_ms`` if the context is terminated."""
        self._watcher.stop()
        self.port.close(self._linger_ms)
