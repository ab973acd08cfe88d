"""Owns what one peer of a socket that anybody may reach has sent, asked for and is owed, and whether that is within bounds. Pure."""

from __future__ import annotations

import msgspec

BEHIND_BYTES = 128 * 1024
"""With so much in the kernel's queue, more waits behind it in ZeroMQ: then what is owed is counted."""

SHORT_BYTES, SHORT_HEAD, HEAD = 255, 2, 9
"""ZeroMQ writes so many bytes in front of a frame, fewer in front of a short one: the kernel counts them too."""

MAX_TOPICS_KNOWN = 20_000
"""Topics of which it is remembered whether they go to a peer that is behind."""

FLOOD, SLOW, SUBSCRIPTIONS, CONNECTIONS = "flood", "slow", "subscriptions", "connections"
"""Why a peer is cut loose: it sends too much, it does not read, it asks for too many topics, its host has too many connections."""


MOST_CONNECTIONS = 400
"""Of all peers together, to one port, where as many files may be open."""


class PeerPolicy(msgspec.Struct, frozen=True):
    """What one peer may do, in bytes. ZeroMQ's tree of subscriptions takes some 35 bytes for each byte of a topic and 2 kB for each topic."""

    message_bytes: int = 1_024
    """The largest frame: a topic has 255 bytes at most, a request a few more."""
    burst_bytes: int = 1_000_000
    """May come at once: ten thousand exact topics after a reconnect are a third of it."""
    bytes_per_s: int = 20_000
    """May come for ever."""
    endless_looks: int = 3
    """Where the kernel counts nothing: so often in a row something may wait of one of whom no whole message came meanwhile; once, if a peer of its
    host was cut loose lately. ZeroMQ takes the frames of a message without an end and counts none of them."""
    again_bytes: int = 100_000
    """What may come at once from a host of which a peer was cut loose lately."""
    topics: int = 10_000
    topic_bytes: int = 500_000
    all_topics: int = 30_000
    """Of all peers together; then the one with most goes."""
    connections: int = MOST_CONNECTIONS
    """Of all peers together, to one port; then the newest of the host that has most goes."""
    owed_bytes: int = 64 * 2**20
    """May wait in ZeroMQ for one that does not read; then it is cut loose. Whoever repairs its holes gets them from the replay ring."""


class Peer:
    """One connection. ``name`` is its address; times are monotonic."""

    __slots__ = (
        "_acked", "_burst", "_endless", "_endless_looks", "_handed", "_level", "_looked_ns", "_matching", "_received", "_starts", "behind", "host", "name",
        "owed", "policy", "topic_bytes", "topics",
    )  # fmt: skip

    def __init__(self, name: str, host: str, policy: PeerPolicy, now_ns: int, *, again: bool = False) -> None:
        self.name = name
        self.host = host
        self.policy = policy
        self.topics: set[bytes] = set()
        self.topic_bytes = 0
        self.behind = False
        """Whether more waits for it than the kernel takes."""
        self.owed = 0
        """How many bytes had not reached it at the last look, in ZeroMQ and in the kernel's queue; nothing while it is not behind."""
        self._burst = policy.again_bytes if again else policy.burst_bytes
        self._endless = 0
        self._endless_looks = 1 if again else policy.endless_looks
        self._level = 0.0
        self._received = 0
        self._looked_ns = now_ns
        self._handed = 0
        self._acked = 0
        self._matching: dict[bytes, bool] = {}
        self._starts: tuple[bytes, ...] = ()

    # ── what it sends ───────────────────────────────────────────────────────────────────────────────────

    def sent(self, total: int, now_ns: int) -> bool:
        """It has sent so many bytes in all. Whether that is within bounds."""
        if total == self._received and not self._level:
            self._looked_ns = now_ns
            return True
        passed = (now_ns - self._looked_ns) * self.policy.bytes_per_s / 1e9
        self._level = max(0.0, self._level - passed) + total - self._received
        self._received, self._looked_ns = total, now_ns
        return self._level <= self._burst

    def waits(self, waiting: int) -> bool:
        """So many bytes of it wait in the kernel, which counts no more than that. Whether that is within bounds."""
        self._endless = self._endless + 1 if waiting else 0
        return self._endless <= self._endless_looks

    def told(self) -> None:
        """A message of it has come."""
        self._endless = 0

    # ── what it asks for ────────────────────────────────────────────────────────────────────────────────

    def subscribe(self, topic: bytes) -> bool:
        """Whether it has no more topics than it may."""
        if topic not in self.topics:
            self.topics.add(topic)
            self.topic_bytes += len(topic)
            self._matching, self._starts = {}, ()
        return len(self.topics) <= self.policy.topics and self.topic_bytes <= self.policy.topic_bytes

    def unsubscribe(self, topic: bytes) -> None:
        if topic in self.topics:
            self.topics.remove(topic)
            self.topic_bytes -= len(topic)
            self._matching, self._starts = {}, ()

    # ── what it is owed ─────────────────────────────────────────────────────────────────────────────────

    def look(self, queued: int, acked: int) -> bool:
        """``queued`` bytes are in the kernel, ``acked`` in all have reached it (0 where nobody knows). Whether what it is owed is within bounds."""
        if queued < BEHIND_BYTES:
            self.behind, self.owed = False, 0
            return True
        if not self.behind:
            self.behind, self._handed, self._acked = True, queued, acked
        # What was handed over just before it was first seen to be behind was not counted, and may go out later.
        waiting = max(0, self._handed - (acked - self._acked) - queued)
        self.owed = waiting + queued
        return waiting <= self.policy.owed_bytes

    def hand(self, frame: bytes) -> None:
        """This was published while it is behind."""
        topic = frame[: frame.find(b" ") + 1]
        wanted = self._matching.get(topic)
        if wanted is None:
            self._starts = self._starts or tuple(self.topics)
            if len(self._matching) >= MAX_TOPICS_KNOWN:
                self._matching.clear()
            wanted = self._matching[topic] = frame.startswith(self._starts)
        if wanted:
            self._handed += len(frame) + (SHORT_HEAD if len(frame) <= SHORT_BYTES else HEAD)
