"""What a program may import from ``k2workers`` itself: whole, documented, and at no cost until it is used; and the pages that say so."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import k2workers
from k2workers import errors, events

HEAVY = ("zmq", "msgspec", "prometheus_client", "websockets", "uvloop", "structlog", "asyncio")
PUBLIC = [name for name in k2workers.__all__ if not name.startswith("__")]


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert fresh(f"import sys, k2workers; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_event_types_and_errors_come_without_sockets() -> None:
    assert fresh("import sys; from k2workers import ConfigError, Trade; print('zmq' in sys.modules)") == "False"


def test_all_names_come_with_a_star_and_no_others() -> None:
    code = "before = {*dir()}; from k2workers import *; print(*sorted({*dir()} - before - {'before'}))"
    assert fresh(code).split() == k2workers.__all__


def test_the_names_are_sorted_and_each_is_there_once() -> None:
    assert sorted(set(k2workers.__all__)) == k2workers.__all__
    assert dir(k2workers) == k2workers.__all__


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_is_documented_where_it_is_defined(name: str) -> None:
    found = getattr(k2workers, name)
    assert isinstance(found, type)
    assert found.__name__ == name
    assert inspect.getdoc(found)


def test_every_event_type_and_every_error_of_a_subscriber_is_public() -> None:
    types = {
        name for name, thing in vars(events).items() if isinstance(thing, type) and issubclass(thing, events.Event)
    }
    assert types <= set(PUBLIC)
    raised = {
        "K2Error",
        *(name for name, thing in vars(errors).items() if getattr(thing, "blame", "") in ("user", "feed")),
    }
    assert raised - {"CheckpointUnusable"} <= set(PUBLIC)  # which only our own aggregator meets


def test_type_checkers_see_the_same_names() -> None:
    """They read the block for them, not ``__getattr__``; that it is imported from the right places they check themselves."""
    source = ast.parse(Path(k2workers.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in source.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(PUBLIC)
    assert (Path(k2workers.__file__).parent / "py.typed").exists()


def test_what_is_not_there_is_said_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'k2workers' has no attribute 'Nothing'"):
        k2workers.Nothing  # noqa: B018


ROOT = Path(k2workers.__file__).parents[1]
PAGES = sorted(page for part in (".", "config", "k2workers/**", "tests/**") for page in ROOT.glob(f"{part}/*.md"))


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in addresses."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        path, _, anchor = link.partition("#")
        if path.startswith("http"):
            continue
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:k2workers|tests|scripts|config)/[\w./-]*)", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_version_is_the_newest_in_the_changelog_and_has_its_date() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d\S*)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)
    assert project["version"] == k2workers.__version__ == released[0]
