"""The word about a native lane that leaves much to Python."""

from __future__ import annotations

from structlog.testing import capture_logs

from k2workers.feed.native_share import ENOUGH, LOOK_NS, NativeShare


def told(*minutes: dict[tuple[str, str], int]) -> list[dict[str, object]]:
    """What was logged in minutes that began with these counts."""
    counts: dict[tuple[str, str], int] = {}
    share = NativeShare(lambda: dict(counts))
    with capture_logs() as lines:
        for number, minute in enumerate(minutes):
            for at_ns in (number * LOOK_NS + 1, number * LOOK_NS + 2):
                share.look(at_ns)
            for key, count in minute.items():
                counts[key] = counts.get(key, 0) + count
        share.look(len(minutes) * LOOK_NS + 1)
    return [dict(line) for line in lines]


def test_a_minute_with_more_than_one_in_a_hundred_is_told_with_the_causes() -> None:
    good, bad = {("trade", ""): ENOUGH}, {("trade", ""): 970, ("trade", "shape"): 20, ("depth", "topic"): 10}
    (line,) = told(good, bad, good)
    assert (line["event"], line["share"], line["messages"]) == ("native_fallbacks", 0.03, 1_000)
    assert line["left"] == {"trade, shape": 20, "depth, topic": 10}


def test_one_in_a_hundred_few_messages_and_kinds_without_a_shape_are_not() -> None:
    assert told({("trade", ""): 990, ("trade", "shape"): 10}) == []
    assert told({("trade", ""): 1, ("trade", "shape"): ENOUGH - 2}) == []
    assert told({("trade", ""): ENOUGH, ("unknown", "stream"): ENOUGH}) == []
