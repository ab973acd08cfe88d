"""The dashboard: the file is what the table says, and Grafana can lay it out. That its expressions give data: ``tests/observing``."""

from __future__ import annotations

import itertools
import json
import re

from k2workers.metrics.__main__ import names
from k2workers.metrics.dashboard import COLUMNS, ROWS, dashboard, expressions, text
from tests.support.prometheus import named_in
from tests.system.support import ROOT


def test_the_file_is_what_the_table_says() -> None:
    file = ROOT / "config" / "grafana" / "k2workers.json"
    assert file.read_text(encoding="utf-8") == text(), "python -m k2workers.metrics.dashboard"
    assert json.loads(text()) == dashboard()


def test_it_asks_for_metrics_that_there_are_of_the_feeds_that_were_chosen() -> None:
    shown = {name.partition("{")[0] for name in names()}
    asked = list(expressions())
    assert len(asked) > 60
    for expression in asked:
        named = {name.removesuffix("_bucket") for name in named_in(expression)}
        assert named and named <= shown, expression
        assert expression.count('{instance=~"$instance"}') == len(re.findall(r"\bk2_\w+", expression)), expression


def test_no_two_panels_overlap_and_each_says_what_it_shows() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) == sum(map(len, ROWS.values())) + len(ROWS)
    for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS for panel in panels)
    assert all(panel["description"] for panel in panels if panel["type"] != "row")
    titles = [panel["title"] for panel in panels if panel["type"] == "stat"]
    assert titles[0] == "Ready"
