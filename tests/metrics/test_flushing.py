"""What a process hands over is what the endpoint shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from k2workers.metrics import exporter
from k2workers.metrics.flushing import Instruments
from k2workers.metrics.instruments import PARENT, WORKER


def test_a_figure_is_shown_as_it_is_also_if_it_stays_the_same_or_becomes_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    rows = {name: WORKER[name] for name in ("k2_gaps", "k2_topics")}
    instruments = Instruments(rows, environment="a figure", component="worker")
    for gaps, topics in ((0, 3), (2, 4), (2, 4), (5, 3)):
        instruments.flush({"k2_gaps": {"trade": gaps}, "k2_topics": topics})
        lines = [line for line in exporter.render(instruments.only_here).decode().splitlines() if "a figure" in line]
        shown = {line.partition("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines}
        assert shown == {"k2_gaps_total": gaps, "k2_topics": topics}


def test_figures_of_several_venues_in_one_process_stand_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    rows = {name: PARENT[name] for name in ("k2_connect_refusals", "k2_rest_weight_used")}
    instruments = Instruments(rows, environment="two venues", component="parent")
    for refusals, used in ((1, 3), (2, 5)):
        for number, venue in enumerate(("here", "there"), 1):
            instruments.flush(
                {"k2_connect_refusals": number * refusals, "k2_rest_weight_used": number * used}, exchange=venue
            )
    lines = [line for line in exporter.render(instruments.only_here).decode().splitlines() if "two venues" in line]
    shown = {
        (line.partition("{")[0], re.findall(r'exchange="(\w+)"', line)[0]): float(line.rsplit(" ", 1)[1])
        for line in lines
    }
    assert shown == {
        ("k2_connect_refusals_total", "here"): 2, ("k2_connect_refusals_total", "there"): 4,
        ("k2_rest_weight_used", "here"): 5, ("k2_rest_weight_used", "there"): 10,
    }  # fmt: skip
