"""The table of the rotation machine: every row is needed, none is ambiguous, and it is printed as it stands."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from k2workers import rotation
from k2workers.rotation.machine import RotationMachine
from k2workers.rotation.table import TABLE, TransitionRow, printed
from tests.rotation.scenarios import LIFETIME_S, POLICY, SCENARIOS, S, Scenario, Told


def played(story: Sequence[Told], table: Sequence[TransitionRow]) -> list[Told]:
    """What comes of the story's inputs by this table."""
    machine = RotationMachine(POLICY, lambda now_ns: now_ns + LIFETIME_S * S, lambda: 0.5, table)
    came = []
    for told in story:
        actions = machine.handle(told.given, told.at_s * S)
        looked_at = told.next_rotation_s is not None
        next_rotation_s = machine.next_rotation_ns(told.at_s * S) // S if looked_at else None
        came.append(Told(told.at_s, told.given, machine.state, actions, next_rotation_s))
    return came


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "_"))
def test_the_table_answers_as_the_scenario_tells(scenario: Scenario) -> None:
    assert played(scenario.story, TABLE) == scenario.story
    assert set(scenario.rows) <= {row.name for row in TABLE}, "a row that the scenario needs is not in the table"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name.replace(" ", "-"))
def test_every_row_is_needed(row: TransitionRow) -> None:
    scenarios = [scenario for scenario in SCENARIOS if row.name in scenario.rows]
    assert scenarios, "a row needs a scenario that fails without it"
    rest = [other for other in TABLE if other is not row]
    for scenario in scenarios:
        assert played(scenario.story, rest) != scenario.story


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name.replace(" ", "-"))
def test_every_guard_and_every_step_of_a_row_is_needed(row: TransitionRow) -> None:
    poorer = [
        msgspec.structs.replace(row, **{part: tuple(other for other in getattr(row, part) if other is not one)})
        for part in ("guards", "steps")
        for one in getattr(row, part)
    ]
    for changed in poorer:
        table = [changed if other is row else other for other in TABLE]
        assert any(goes_wrong(scenario, table) for scenario in SCENARIOS), f"nobody misses it: {changed}"


def goes_wrong(scenario: Scenario, table: Sequence[TransitionRow]) -> bool:
    """Whether the table without something no longer answers as the scenario tells."""
    try:
        return played(scenario.story, table) != scenario.story
    except AssertionError:  # a step found nothing where another one had put it
        return True


def test_each_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)


def test_the_printed_table_equals_the_rows() -> None:
    assert rotation.__doc__ is not None
    _, rest = rotation.__doc__.split(".. begin table\n")
    shown, _ = rest.split(".. end table")
    assert shown.strip() == printed(TABLE), "print it anew: python -m k2workers.rotation"
