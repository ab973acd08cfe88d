"""A checkpoint belongs to the life of one source: what it says of another one is nothing to the next run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.venue import Venue
from tests.support.waiting import wait_for
from tests.system.support import Program, demo, feed, free_port


def run_demo(*args: str, report: Path, meanwhile: Callable[[Program], Any] = lambda _: None) -> dict[str, Any]:
    """What the demonstration says of itself after some thousand events."""
    with demo("--report", str(report), *args) as program:
        program.wait_ready()
        wait_for("some events", lambda: program.status()["published"] > 2_000)
        meanwhile(program)
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
        truth: dict[str, Any] = json.loads(report.read_text())["truth"]
        return {**truth, "resumed": len(program.logged("resumed"))}


def chained(truth: dict[str, Any]) -> list[int]:
    return [truth["by_kind"][kind][key] for kind in ("trade", "agg_trade") for key in ("lost", "duplicated")]


@pytest.mark.parametrize("kept", ["K2_RUN_DIR", "K2_CHECKPOINT"])
def test_a_second_demonstration_with_the_same_directory_or_checkpoint_publishes_from_its_first_event(
    tmp_path: Path, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kept, str(tmp_path / "kept"))
    for _ in range(2):
        truth = run_demo(report=tmp_path / "report")
        assert chained(truth) == [0, 0, 0, 0]


def test_an_aggregator_restarted_within_a_demonstration_continues_from_its_checkpoint(tmp_path: Path) -> None:
    kept = tmp_path / "kept"

    def kill(program: Program) -> None:
        wait_for("the checkpoint", kept.exists)
        psutil.Process(program.pid_of("aggregator")).kill()
        wait_for("it has continued", lambda: program.logged("resumed"))
        wait_for("ready again", lambda: program.http("/readyz")[0] == 200)

    assert run_demo("--checkpoint", str(kept), report=tmp_path / "report", meanwhile=kill)["resumed"] == 1


def test_another_venues_address_is_another_source(tmp_path: Path) -> None:
    place = ("--checkpoint", str(tmp_path / "kept"), "--streams", "trade")
    with Venue(["AAAUSDT"]) as first:
        first.flows["AAAUSDT"].trade_id = 10**9
        with feed(first, *place, shards=1) as program:
            program.wait_ready()
            wait_for("the checkpoint", lambda: (tmp_path / "kept").exists())
            wait_for("some events", lambda: program.status()["published"] > 20)
            program.stop()
    with Venue(["AAAUSDT"]) as second, feed(second, *place, shards=1) as program:
        wait_for("events of the other venue", lambda: program.status()["published"] > 20)
        assert "another source" in program.logged("checkpoint_unusable")[0]["reason"]
        program.stop()


@pytest.mark.parametrize(("before", "after"), [(10**9, 10**3), (10**3, 10**9)])
def test_a_market_that_began_anew_at_the_same_address_is_published_from_its_first_run_of_events(
    tmp_path: Path, before: int, after: int
) -> None:
    place, port = (
        ("--checkpoint", str(tmp_path / "kept"), "--streams", "trade,agg_trade,book_ticker,depth"),
        free_port(),
    )
    for first_id in (before, after):
        with Venue(["AAAUSDT"], port=port) as venue:
            flow = venue.flows["AAAUSDT"]
            flow.trade_id, flow.update_id = first_id, 10 * first_id
            with feed(venue, *place, shards=1) as program:
                kinds = ("trade", "agg_trade", "book_ticker", "depth")
                for kind in kinds:
                    wait_for(f"events of {kind}", lambda kind=kind: published(program, kind) > 50)
                wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200)
                resets = sum(program.metrics("k2_resets_total").values())
                program.stop()
    # Ids that go on far above are a hole of ids that never existed.
    assert resets >= (3 if after < before else 0), "each topic that had a position tells that it began anew"


def published(program: Program, kind: str) -> float:
    """Events of this kind that were accepted and pushed."""
    samples = program.metrics("k2_events_received_total")
    return sum(value for name, value in samples.items() if f'kind="{kind}"' in name)
