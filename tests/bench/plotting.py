"""Owns the figures in README.md next to it: reads the reports of one ``scripts/bench everything``, writes SVG. Runs in an environment with matplotlib.

``python plotting.py REPORTS FIGURES``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

OURS, THEIRS, FLOOR = "#1f6f50", "#9aa5a0", "#c9a227"
PARTS = {"whole": "#1f6f50", "worker": "#2f7fb5", "aggregator": "#c9a227", "subscriber": "#9aa5a0"}
STYLE = {
    "svg.hashsalt": "k2workers",  # the same reports give the same file
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
}
NAMES = {"websockets": "websockets and json", "websockets_msgspec": "websockets and msgspec"}
NOT_COMPARED = ("drain", "decode", "raw")
"""Ways of reading that do less than any program would."""


def rows(reports: Path, name: str) -> list[dict[str, Any]]:
    """The rows of one report."""
    found: list[dict[str, Any]] = json.loads((reports / f"{name}.json").read_text(encoding="utf-8"))["rows"]
    return found


def throughput(axes: Axes, reports: Path) -> None:
    """Events a second of one core, by reader of the same frames."""
    shown = {}
    for row in rows(reports, "peers"):
        if (
            row["layer"] == "TCP"
            and row["a write"] == 64
            and row["us"]
            and row["reader"].split()[-1] not in NOT_COMPARED
        ):
            ours = row["reader"] == "worker"
            kind = "" if row["kind"] == "trade" else ", aggregate trades"
            name = (
                f"k2workers{kind}: checked, batched, pushed"
                if ours
                else f"{NAMES.get(row['reader'], row['reader'])}{kind}: {row['gives']}"
            )
            shown[name] = (1e6 / row["us"], OURS if ours else THEIRS)
    ordered = sorted(shown.items(), key=lambda item: item[1][0])
    axes.barh(
        [name for name, _ in ordered], [rate for _, (rate, _) in ordered], color=[color for _, (_, color) in ordered]
    )
    for place, (_, (rate, _)) in enumerate(ordered):
        axes.text(rate, place, f" {rate:,.0f}", va="center", fontsize=8)
    axes.set_xlabel("trades a second of one core")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=4)
    axes.set_title("Reading trades: 64 frames a write, TCP", loc="left")


def cost(axes: Axes, reports: Path) -> None:
    """CPU time an event against load, of all processes and of each."""
    measured = [row for row in rows(reports, "load") if row["gather_us"]]
    (saturated,) = rows(reports, "saturation")
    rates = [*(row["reached_per_s"] for row in measured), saturated["events_per_s"]]
    for part, color in PARTS.items():
        axes.plot(
            rates, [row[part] for row in [*measured, saturated]], color=color, marker="o", markersize=3, label=part
        )
    axes.set(xscale="log", yscale="log", xlabel="events a second, each written alone; the last: all that go through")
    axes.set_ylabel("µs of CPU an event")
    axes.set_title("Cost of an event against load: 10 symbols", loc="left")
    axes.legend(frameon=False)


def latency(axes: Axes, reports: Path) -> None:
    """Latency against rate, beside the floor."""
    for way, color, label in (("pipeline", OURS, "k2workers"), ("floor", FLOOR, "the same three hops, bare")):
        measured = [row for row in rows(reports, "latency") if row["way"] == way]
        for quantile, line in (("p50", "-"), ("p99", "--")):
            axes.plot(
                [row["reached_per_s"] for row in measured], [row[quantile] for row in measured], line, color=color, marker="o",
                markersize=3, label=f"{label}, {quantile}",
            )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="events a second, each written alone", ylabel="µs")
    axes.set_title("From the exchange's write to the subscriber", loc="left")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(100, 10_000)
    axes.legend(frameon=False, ncols=2, loc="lower center")


FIGURES = {"throughput": (throughput, (8.0, 4.2)), "cost": (cost, (6.0, 3.6)), "latency": (latency, (6.0, 3.6))}


def main(reports: Path, figures: Path) -> None:
    """Draw all figures."""
    figures.mkdir(parents=True, exist_ok=True)
    for name, (draw, size) in FIGURES.items():
        with plt.rc_context(STYLE):
            figure, axes = plt.subplots(figsize=size, layout="constrained")
            draw(axes, reports)
            figure.savefig(figures / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
