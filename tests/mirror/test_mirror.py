"""The checks of the layout, on small trees that they must find fault with, and on this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mirror import pairs, sizes
from tests.mirror.pairs import Through

ROOT = Path(__file__).resolve().parents[2]


def tree(root: Path, *files: str, text: str = "") -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    return root


def test_every_module_here_has_its_test_file_and_every_test_file_its_module() -> None:
    assert pairs.unmapped(ROOT) == []


def test_nothing_here_is_longer_than_it_may_be() -> None:
    assert sizes.too_long(ROOT) == []


def test_a_module_and_its_test_file_belong_together(tmp_path: Path) -> None:
    root = tree(
        tmp_path, "k2workers/__init__.py", "k2workers/a/b.py", "tests/a/test_b.py", "k2workers/c.py", "tests/test_c.py"
    )
    assert pairs.unmapped(root, {}, {}) == []


@pytest.mark.parametrize("module", ["k2workers/b.py", "k2workers/a/b.py"])
def test_a_module_without_a_test_file_is_found(tmp_path: Path, module: str) -> None:
    assert pairs.unmapped(tree(tmp_path, module), {}, {}) == [
        f"{module} has no test file: make {pairs.own_test(module)}"
    ]


@pytest.mark.parametrize("test", ["tests/test_b.py", "tests/a/test_b.py"])
def test_a_test_file_without_a_module_is_found(tmp_path: Path, test: str) -> None:
    tree(tmp_path, "k2workers/__init__.py", test)
    assert pairs.unmapped(tmp_path, {}, {}) == [f"{test} tests no module: name it after one"]
    assert pairs.unmapped(tmp_path, {}, {test: "whole programs"}) == []


def test_a_module_may_be_tested_elsewhere_as_long_as_it_must(tmp_path: Path) -> None:
    elsewhere = {"k2workers/b.py": Through(("tests/test_c.py",), "through c")}
    tree(tmp_path, "k2workers/b.py", "k2workers/c.py", "tests/test_c.py")
    assert pairs.unmapped(tmp_path, elsewhere, {}) == []
    tree(tmp_path, "tests/test_b.py")
    assert pairs.unmapped(tmp_path, elsewhere, {}) == [
        "k2workers/b.py has its own test file now: take it out of ELSEWHERE"
    ]


def test_the_lists_name_nothing_that_is_gone(tmp_path: Path) -> None:
    root = tree(tmp_path, "k2workers/c.py")
    elsewhere = {name: Through(("tests/test_gone.py",), "") for name in ("k2workers/b.py", "k2workers/c.py")}
    assert pairs.unmapped(root, elsewhere, {"tests/whole/": ""}) == [
        "ELSEWHERE names k2workers/b.py, which is gone",
        "k2workers/b.py is said to be tested by tests/test_gone.py, which is gone",
        "k2workers/c.py is said to be tested by tests/test_gone.py, which is gone",
        "APART names tests/whole/, which is gone",
    ]


def function(lines: int, docstring: int = 0) -> str:
    said = ['    """' + "said\n" * docstring + '    """'] if docstring else []
    return "\n".join(["class A:", "  def f():", *said, *["    a = 1"] * (lines - 1)])


def test_a_file_that_is_too_long_is_found_and_listed_it_may_only_shrink(tmp_path: Path) -> None:
    name = "k2workers/b.py"
    tree(tmp_path, name, text="\n" * 310)
    assert sizes.too_long(tmp_path, {}) == [
        f"{name} has 310 lines, 300 are allowed: split it along the questions it answers"
    ]
    assert sizes.too_long(tmp_path, {name: 320}) == []
    assert sizes.too_long(tmp_path, {name: 340}) == [f"{name} has 310 lines now: lower its 340 in LONGER"]
    tree(tmp_path, name, text="\n" * 300)
    assert sizes.too_long(tmp_path, {name: 320}) == [f"{name} is short enough now (300 lines): take it out of LONGER"]
    assert sizes.too_long(tmp_path, {"k2workers/c.py": 320}) == ["LONGER names k2workers/c.py, which is gone"]


def test_a_function_that_is_too_long_is_found_and_its_docstring_is_not_counted(tmp_path: Path) -> None:
    name = "k2workers/b.py:A.f"
    tree(tmp_path, "k2workers/b.py", text=function(40, docstring=9))
    assert sizes.too_long(tmp_path, {}) == []
    tree(tmp_path, "k2workers/b.py", text=function(41))
    assert sizes.too_long(tmp_path, {}) == [
        f"{name} has 41 lines, 40 are allowed: split it along the questions it answers"
    ]
    assert sizes.too_long(tmp_path, {name: 50}) == []
