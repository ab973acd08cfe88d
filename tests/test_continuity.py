"""What a topic's continuity promises, and how it travels."""

from __future__ import annotations

import enum
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.continuity import (
    RECORDS,
    Continuity,
    Guarantee,
    Identity,
    Link,
    Proof,
    Repair,
    Scope,
    numberings_ahead,
    renumbered,
)
from k2workers.events import SCHEMA_OF
from k2workers.venues.binance.futures_streams import FUTURES_KINDS
from k2workers.venues.binance.streams import INTERVALS, KINDS, StreamKind

PAGE = (Path(__file__).parents[1] / "k2workers" / "transport" / "PROTOCOL.md").read_text(encoding="utf-8")

continuities = st.builds(
    Continuity,
    identity=st.sampled_from(Identity),
    link=st.sampled_from(Link),
    scope=st.sampled_from(Scope),
    proof=st.sampled_from(Proof),
    repair=st.sampled_from(Repair),
    resets=st.booleans(),
)


@given(continuities, continuities)
def test_every_continuity_has_a_number_of_its_own_that_two_bytes_hold(one: Continuity, other: Continuity) -> None:
    assert Continuity.of(one.number) == one
    assert 0 <= one.number < 2**16
    assert (one.number == other.number) == (one == other)


@pytest.mark.parametrize("number", [-1, 5, 3 << 6, 2**12 + 5, 2**16])
def test_a_number_that_stands_for_nothing_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=r"is no continuity|is not a valid"):
        Continuity.of(number)


@given(continuities, st.integers(0, 100), st.integers(-8, 8))
def test_a_numbering_changes_nothing_but_itself_and_of_two_the_later_is_known(
    continuity: Continuity, earlier: int, steps: int
) -> None:
    number = renumbered(continuity.number, earlier)
    later = renumbered(number, steps)
    assert Continuity.of(later) == continuity
    assert numberings_ahead(later, number) == (steps if steps > -8 else 8)
    assert renumbered(later, -steps) == number
    assert 0 <= later < 2**16


@given(continuities)
def test_nothing_is_promised_that_the_venue_lets_nobody_prove(continuity: Continuity) -> None:
    if continuity.proof is Proof.NONE:
        assert continuity.guarantee in {Guarantee.LATEST, Guarantee.UNPROVEN}
    if continuity.guarantee is Guarantee.REPAIRABLE:
        assert continuity.repair in {Repair.IDS, Repair.TIME}


def test_one_type_of_trades_is_worth_what_its_market_lets_anyone_prove() -> None:
    repairable = Continuity(identity=Identity.NUMBER, link=Link.PLUS_ONE, proof=Proof.SEQUENCE, repair=Repair.TIME)
    only_chained = Continuity(identity=Identity.NUMBER, link=Link.PLUS_ONE, proof=Proof.SEQUENCE)
    by_text = Continuity(identity=Identity.TEXT, repair=Repair.NEWEST)
    by_connection = Continuity(
        identity=Identity.NUMBER,
        link=Link.PLUS_ONE,
        scope=Scope.CONNECTION,
        proof=Proof.SEQUENCE,
        repair=Repair.RECONNECT,
    )
    found = [continuity.guarantee for continuity in (repairable, only_chained, by_text, by_connection)]
    assert found == [Guarantee.REPAIRABLE, Guarantee.CHAINED, Guarantee.UNPROVEN, Guarantee.CHAINED]
    assert [repairable.chained, by_text.chained, by_connection.chained] == [True, False, False]
    assert RECORDS.guarantee is Guarantee.UNPROVEN


def test_the_protocol_page_names_every_bit() -> None:
    def words(values: type[enum.IntEnum]) -> str:
        return ", ".join(f"{value.value} {value.name.lower().replace('_', ' ')}" for value in values)

    rows = re.findall(r"^\| (\d) \| [^|]+ \| (\d [^|]+) \|$", PAGE, re.MULTILINE)
    parts = ((3, Identity), (2, Link), (1, Scope), (2, Proof), (3, Repair))
    assert rows == [*((str(bits), words(values)) for bits, values in parts), ("1", "0 no, 1 yes"), ("4", "0 to 15")]


SPOT_PAGE, _, FUTURES_PAGE = PAGE.partition("`binance_usdm` and `binance_coinm` are markets of futures")
TOLD = [
    *((SPOT_PAGE, name, kind) for name, kind in KINDS.items()),
    *((FUTURES_PAGE, name, kind) for name, kind in FUTURES_KINDS.items()),
]


@pytest.mark.parametrize(("page", "name", "kind"), TOLD)
def test_the_protocol_page_says_of_every_kind_its_schema_number_and_guarantee(
    page: str, name: str, kind: StreamKind
) -> None:
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \| (\d[\d, ]*) \| ([^|]+) \| [^|]+ \|$", page, re.MULTILINE)
    matching = [row for row in rows if name in _named(row[0])]
    assert len(matching) == 1
    _, schemas, numbers, guarantees = matching[0]
    assert SCHEMA_OF[kind.event_type] in _numbers(schemas)
    assert kind.continuity.number in _numbers(numbers)
    assert kind.continuity.guarantee.value in guarantees.split(", ")


def _named(cell: str) -> set[str]:
    """The kinds that a cell such as ``partial_depth_5/10[_1s]`` stands for."""
    names: set[str] = set()
    for text in re.findall(r"`([^`]+)`", cell):
        plain, _, speeds = text.removesuffix("]").partition("[")
        head, _, tail = plain.rpartition("_")
        heads = [f"{head}_{part}" for part in tail.split("/")] if "/" in tail else [plain]
        if "<interval>" in plain:
            heads = [plain.replace("<interval>", interval) for interval in INTERVALS]
        names |= {one + speed for one in heads for speed in ("", *filter(None, speeds.split("/")))}
    return names


def _numbers(cell: str) -> set[int]:
    """``1, 2`` or ``8 to 11``."""
    found = {int(number) for number in re.findall(r"\d+", cell)}
    return set(range(min(found), max(found) + 1)) if "to" in cell else found


def test_what_is_missing_is_asked_for_by_its_ids_where_rest_has_them() -> None:
    by_id = {
        kind.continuity.repair for kinds in (KINDS, FUTURES_KINDS) for kind in kinds.values() if kind.continuity.by_id
    }
    assert by_id == {Repair.IDS, Repair.NEWEST}
