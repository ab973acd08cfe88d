"""The replay ring: the newest frames of all topics, bounded by bytes and age."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from k2workers.transport.ring import OVERHEAD_BYTES, ReplayRing

LIMIT = 6 * (OVERHEAD_BYTES + 10)
AGE = 1_000


def test_frames_are_given_from_a_sequence_on_within_the_limits() -> None:
    ring = ReplayRing(10**9, AGE)
    for sequence in range(1, 8):
        ring.put("t", sequence, b"%d" % sequence, 0)
    assert ring.since("t", 3, limit_bytes=99, limit_frames=99) == (1, 7, [b"3", b"4", b"5", b"6", b"7"])
    assert ring.since("t", 3, limit_bytes=2, limit_frames=99) == (1, 7, [b"3", b"4"])
    assert ring.since("t", 3, limit_bytes=99, limit_frames=1) == (1, 7, [b"3"])
    assert ring.since("t", 9, limit_bytes=99, limit_frames=9) == (1, 7, [])
    assert ring.since("t", 2**64 - 1, limit_bytes=99, limit_frames=9) == (1, 7, [])
    assert ring.since("other", 1, limit_bytes=99, limit_frames=9) == (1, 0, [])


def test_the_newest_sequences_of_a_topic_or_a_prefix() -> None:
    ring = ReplayRing(10**9, AGE)
    for topic, sequence in (("b.trade.X", 4), ("b.trade.Y", 9), ("b.depth.X", 1)):
        ring.put(topic, sequence, b"", 0)
    assert ring.newest("b.trade.") == {"b.trade.X": 4, "b.trade.Y": 9}
    assert ring.newest("b.trade.X") == {"b.trade.X": 4}
    assert ring.newest("b.trade") == {}


class Ring(RuleBasedStateMachine):
    """Model: a list of all that was ever put.

    Invariants: what is held is the end of that list, whole; never more bytes than allowed; nothing too old after ``expire``;
    each topic gives exactly its own part of it, and always its very last frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ring = ReplayRing(LIMIT, AGE)
        self.now_ns = 0
        self.put: list[tuple[int, str, int, bytes]] = []
        self.newest = {"a": 0, "b": 0}

    @rule(topic=st.sampled_from("ab"), size=st.integers(0, 40))
    def publish(self, topic: str, size: int) -> None:
        self.newest[topic] += 1
        frame = b"%s %d" % (topic.encode(), self.newest[topic]) + b"." * size
        self.ring.put(topic, self.newest[topic], frame, self.now_ns)
        self.put.append((self.now_ns, topic, self.newest[topic], frame))

    @rule(passed=st.integers(0, AGE))
    def time_passes(self, passed: int) -> None:
        self.now_ns += passed
        self.ring.expire(self.now_ns)

    @invariant()
    def it_holds_the_end_of_what_was_put(self) -> None:
        assert self.ring.bytes <= LIMIT
        held = self.put[len(self.put) - len(self.ring) :]
        assert sum(len(frame) + OVERHEAD_BYTES for *_, frame in held) == self.ring.bytes
        assert all(at_ns >= self.now_ns - AGE for at_ns, *_ in held)
        for topic in "ab":
            own = [(sequence, frame) for _, t, sequence, frame in held if t == topic]
            first, newest, frames = self.ring.since(topic, 1, limit_bytes=10**9, limit_frames=10**9)
            assert frames == [frame for _, frame in own]
            assert first == (own[0][0] if own else self.newest[topic] + 1)
            assert newest == self.newest[topic]
            assert self.ring.last(topic) == [frame for _, t, _, frame in self.put if t == topic][-1:]


TestRing = Ring.TestCase
TestRing.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
