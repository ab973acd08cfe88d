"""The topics that were searched for, on screens of any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from k2workers.processes.topic_page import TopicsFound, TopicShown
from k2workers.top.topic_table import TITLES, topic_table

FOUND = TopicsFound(
    9, 3,
    [
        TopicShown(topic="v.trade.AAVEUSDT", state="flowing", age_s=0.34, sequence=1, last_id=212574444, type="Trade", event='{"trade_id":212574444,"price":"1"}'),
        TopicShown(topic="v.trade.币安\x1bUSDT", state="gap", missing=2, age_s=75.0, last_id=7, type="Gap", event="{}"),
        TopicShown(topic="v.depth.X", state="no event yet"),
    ],
)  # fmt: skip


def _written(width: int, found: TopicsFound | None = FOUND) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as shown:
        console.print(topic_table(found, width))
    return [line.rstrip() for line in shown.get().splitlines()]


def test_each_topic_has_its_state_age_and_last_event() -> None:
    head, first, second, third = _written(120)
    assert head.split("  ")[0] == "topic" and head.endswith("last event")
    assert first.split("  ")[-1] == 'Trade {"trade_id":212574444,"price":"1"}'
    assert "0.3 s" in first and "212574444" in first
    assert "gap, 2 ids missing" in second and "1 min 15 s" in second and "\x1b" not in second
    assert third.split() == ["v.depth.X", "no", "event", "yet", "–", "–", "–"]


@pytest.mark.parametrize(("width", "titles"), [(10, 1), (40, 2), (56, 3), (66, 4), (100, 5)])
def test_as_many_columns_are_there_as_fit(width: int, titles: int) -> None:
    lines = _written(width)
    assert all(len(line) <= width for line in lines)
    assert [title for title in TITLES if title in lines[0]] == list(TITLES[:titles])


def test_until_something_is_found_it_says_so() -> None:
    assert _written(80, None) == ["searching …"]
    assert _written(80, TopicsFound(9, 0, []))[0].split() == ["topic", "state", "age", "last", "id", "last", "event"]
