"""How figures and times are written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from k2workers.page.words import duration, latency, moment, number, plural, size, zone


@pytest.mark.parametrize(
    ("write", "value", "words"),
    [
        (number, None, "–"),
        (number, 1_234_567.6, "1,234,568"),
        (duration, -3, "0 s"),
        (duration, 59.9, "59 s"),
        (duration, 60, "1 min"),
        (duration, 3_599, "59 min 59 s"),
        (duration, 3_660, "1 h 1 min"),
        (duration, 86_400, "1 d"),
        (duration, 90_000, "1 d 1 h"),
        (size, 999, "999 B"),
        (size, 1_500, "1.5 kB"),
        (size, 250e6, "250 MB"),
        (size, 2.5e9, "2.5 GB"),
        (latency, None, "–"),
        (latency, 999, "999 µs"),
        (latency, 1_000, "1 ms"),
        (latency, 1_540, "1.5 ms"),
        (latency, 2e6, "2 s"),
    ],
)
def test_figures_are_written_for_who_reads_them(write: Callable[[Any], str], value: float | None, words: str) -> None:
    assert write(value) == words


def test_a_noun_follows_its_number() -> None:
    assert [plural(1, "gap"), plural(2, "gap"), plural(0, "batch", "batches")] == ["1 gap", "2 gaps", "0 batches"]


@pytest.mark.parametrize(
    ("place", "words"),
    [("UTC", "UTC"), ("Europe/Berlin", "UTC+1"), ("Asia/Kolkata", "UTC+5:30"), ("America/St_Johns", "UTC−3:30")],
)
def test_the_time_zone_is_told(monkeypatch: pytest.MonkeyPatch, place: str, words: str) -> None:
    monkeypatch.setenv("TZ", place)
    time.tzset()
    assert zone(1_795_780_800_000) == words
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def _in_delhi(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_delhi")
def test_a_time_is_of_here_and_has_the_day_unless_it_is_todays() -> None:
    at_ms = 1_795_780_800_000
    assert moment(at_ms, at_ms + 1_000) == "17:30:00"
    assert moment(at_ms, at_ms + 86_400_000) == "27 Nov 17:30:00"
