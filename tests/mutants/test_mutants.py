"""The table of mutants cannot rot: every change still belongs where it is, and every test that must notice it exists."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.__main__ import enough
from tests.mutants.mutant import ROOT, Copy, Mutant, within
from tests.mutants.table import TABLE
from tests.mutants.verdicts import Note, Outcome, belongs, judged, outcome_of

RING = within("transport/ring.py")
HELD = "transport/test_ring.py::test_the_newest_sequences_of_a_topic_or_a_prefix"


def names_in(file: Path) -> set[str]:
    """What a test file defines."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return found


def test_there_are_enough_mutants_and_each_has_a_name_of_its_own() -> None:
    assert len(TABLE) >= 40
    assert sum(mutant.hidden for mutant in TABLE) == 10
    assert [name for name, count in Counter(mutant.name for mutant in TABLE).items() if count > 1] == []


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in TABLE}))
def test_every_change_of_a_module_belongs_to_one_place_and_leaves_a_program(module: str) -> None:
    source = (ROOT / "k2workers" / module).read_text(encoding="utf-8")
    for mutant in TABLE:
        if mutant.module == module:
            changed = mutant.of(source)
            assert changed != source, mutant.name
            compile(changed, mutant.name, "exec")


def test_every_test_that_must_notice_a_mutant_exists() -> None:
    defined: dict[str, set[str]] = {}
    for mutant in TABLE:
        assert mutant.killers, mutant.name
        for killer in mutant.tests:
            path, _, name = killer.partition("::")
            if path not in defined:
                defined[path] = names_in(ROOT / path)
            assert name.partition("[")[0] in defined[path], f"{mutant.name}: {killer}"


def test_a_change_that_belongs_nowhere_or_to_two_places_is_an_error() -> None:
    for source in ("", "now; now"):
        with pytest.raises(ValueError, match="'now' occurs"):
            RING("m", "now", "then", HELD).of(source)


@pytest.mark.parametrize(
    ("error", "when", "outcome"),
    [
        (AssertionError("no"), "call", Outcome.KILLED),
        (ExceptionGroup("all", [AssertionError("no"), ValueError("no")]), "call", Outcome.KILLED),
        (ExceptionGroup("all", [AssertionError("no"), NameError("x")]), "call", Outcome.BROKEN),
        (ImportError("x"), "call", Outcome.BROKEN),
        (AssertionError("no"), "setup", Outcome.BROKEN),
        (pytest.fail.Exception("Timeout (>60.0s) from pytest-timeout."), "call", Outcome.HUNG),
    ],
)
def test_only_a_failure_of_the_tests_own_is_a_judgement(error: BaseException, when: str, outcome: Outcome) -> None:
    assert outcome_of(error, when) is outcome


def test_every_test_that_is_named_must_notice() -> None:
    seen = Note("tests/a.py::test_b[1]", Outcome.KILLED, "no")
    assert judged([seen], ["tests/a.py::test_b"], 1)[0] is Outcome.KILLED
    assert judged([seen], ["tests/a.py::test_b", "tests/a.py::test_c"], 1)[0] is Outcome.SURVIVED
    assert judged([], ["tests/a.py::test_b"], 0)[0] is Outcome.SURVIVED
    assert judged([], ["tests/a.py::test_b"], 4)[0] is Outcome.BROKEN
    assert judged([seen, Note("tests/c.py", Outcome.BROKEN, "")], ["tests/a.py::test_b"], 1)[0] is Outcome.BROKEN
    assert judged([seen, Note("tests/c.py::d", Outcome.HUNG, "")], ["tests/a.py::test_b"], 1)[0] is Outcome.HUNG
    assert not belongs("tests/a.py::test_bc", "tests/a.py::test_b")
    assert belongs("tests/a.py::TestB::runTest", "tests/a.py::TestB")


def test_a_mutant_is_tried_in_a_copy_that_is_sound_again_afterwards(tmp_path: Path) -> None:
    copy, newest = Copy(tmp_path), "return {topic: held.newest for topic, held in self._matching(wanted)}"
    outcomes = [
        copy.attempt(RING("m", old, new, HELD), [f"tests/{HELD}"])[0]
        for old, new in (
            (newest, "return {}"),
            ("from itertools import islice", "from itertools import nothing"),
            (newest, f"{newest}  # the same"),
        )
    ]
    assert outcomes == [Outcome.KILLED, Outcome.BROKEN, Outcome.SURVIVED]


def test_the_model_alone_kills_half_of_the_mutants_and_all_that_were_hidden() -> None:
    rows = [Mutant(f"m{number}", "", "", "", (), hidden=number == 0) for number in range(4)]
    two, others = {"m0": Outcome.KILLED, "m1": Outcome.KILLED}, {"m2": Outcome.SURVIVED, "m3": Outcome.HUNG}
    assert enough({**two, **others}, rows, by_model=True)
    assert not enough({**two, **others}, rows, by_model=False)
    assert not enough({"m1": Outcome.KILLED, "m2": Outcome.KILLED}, rows, by_model=True)
