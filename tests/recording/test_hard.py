"""The hard proof in short, and that it finds what is wrong."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from k2workers.events import Event, Gap
from k2workers.recording.row import Loss, Restart, Row
from tests.recording.hard import (
    AGGREGATOR,
    ALWAYS,
    FULL_AND_KILLED,
    START,
    as_replayed,
    faults_of,
    judge,
    prove,
    strikes_of,
)
from tests.recording.support import row, trade

TOPIC = "binance.trade.ABC"
CLEAN: dict[str, Any] = {"wrong": [], "broken_rules": [], "replayed_differently": [], "wrong_again": []}


def judged(*of: Event | Loss) -> list[str]:
    """What is wrong with these rows, where the exchange has sent the ids 1 to 5."""
    exchange: dict[str, Any] = {"sent": {TOPIC: {"ranges": [[1, 5]]}}, "books": {}, "bars": {}}
    return faults_of(CLEAN | judge({TOPIC: [row(each) for each in of]}, exchange, "binance.kline_1s."))


@pytest.mark.parametrize(
    ("others", "wrong"),
    [
        ([trade(3), trade(4), trade(5)], False),
        ([Loss(3, 3, 3, 3, 7), trade(4), trade(5)], False),
        ([Gap(3, 3, "x", 7), trade(4), trade(5)], False),
        ([trade(4), trade(5)], True),
        ([trade(3), trade(4)], True),
        ([trade(2), trade(3), trade(4), trade(5)], True),
    ],
)
def test_it_finds_what_is_neither_there_nor_named_or_there_twice(others: Sequence[Event | Loss], wrong: bool) -> None:
    assert bool(judged(trade(1), trade(2), *others)) == wrong


def test_a_replay_is_to_publish_losses_as_gaps_and_nothing_that_is_the_recorders_own() -> None:
    found = [
        row(trade(1)),
        row(Restart("feed", 7)),
        row(Loss(2, 2, 2, 3, 7)),
        row(Loss(3, 3, None, None, 7)),
        Row(None, None, trade(4)),
    ]
    assert as_replayed(found) == [trade(1), Gap(2, 3, "lost by the recorder", 7)]


def test_every_proof_has_each_kind_of_strike() -> None:
    strikes = strikes_of(20, random.Random(1))
    assert len(strikes) == 20
    assert set(ALWAYS) < set(strikes)


@pytest.mark.long
async def test_killed_with_everything_around_it_a_recorder_has_all_that_the_exchange_sent(tmp_path: Path) -> None:
    result = await prove((START, AGGREGATOR, FULL_AND_KILLED, AGGREGATOR), 1000.0, random.Random(1), tmp_path)
    assert faults_of(result) == []
    assert result["trades"]["lost"] == 0
