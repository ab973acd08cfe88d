"""All dropped messages are counted, few are logged."""

from __future__ import annotations

import time

import pytest
from structlog.testing import capture_logs

from k2workers.feed.dropped_messages import CAUSES, ODD_ELEMENT, SAMPLE_BYTES, DroppedMessages
from k2workers.feed.readability import ENOUGH, PATIENCE_NS


def test_every_cause_is_counted_from_the_start() -> None:
    assert DroppedMessages().counts == dict.fromkeys(CAUSES, 0)


@pytest.mark.parametrize("cause", CAUSES)
def test_all_are_counted_and_one_of_each_cause_is_shown_in_a_while(cause: str) -> None:
    dropped, other = DroppedMessages(), next(each for each in CAUSES if each != cause)
    with capture_logs() as logs:
        for _ in range(100):
            dropped.count(cause, b"\xff" * 1_000, "no JSON", "trade", 3)
        dropped.count(other, b"{}", "no such stream", None)
    assert (dropped.counts[cause], dropped.counts[other]) == (300, 1)
    assert [(line["cause"], line["total"], line["bytes"]) for line in logs] == [(cause, 3, 1_000), (other, 1, 2)]
    assert logs[0]["sample"] == "\ufffd" * SAMPLE_BYTES


@pytest.mark.parametrize("of_kind", ["trade", ""])
def test_a_kind_of_which_nothing_can_be_read_is_told_once_with_what_was_wrong_and_so_is_its_end(of_kind: str) -> None:
    dropped = DroppedMessages()
    with capture_logs() as logs:
        for _ in range(ENOUGH):
            dropped.count(ODD_ELEMENT, b"{}", "a price that is none", of_kind)
        later_ns = time.monotonic_ns() + PATIENCE_NS
        for _ in range(2):
            dropped.look(["trade"], later_ns)
        dropped.readability.read(["trade"])
        for _ in range(2):
            dropped.look(["trade"], later_ns)
    told = [(line["event"], line["kind"], line.get("detail")) for line in logs if "kind" in line]
    assert told == [("kind_unreadable", "trade", "a price that is none"), ("kind_readable_again", "trade", None)]
