"""How a run ends: in time, in order, whoever does not answer, and with a word about what it did."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.processes.support import Program, feed, free_port
from tests.support.venue import Answer, Venue

LIMIT_S = 4.0
LATE_S = 60.0
"""Far later than an end in order takes on a busy machine, and far sooner than what it must not wait for."""


def figures(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_limit_in_time_holds_without_a_venue_and_a_run_that_served_nothing_says_why(tmp_path: Path) -> None:
    report, nobody = tmp_path / "r.json", free_port()
    begun_s = time.monotonic()
    with Program(
        "--shards", "2", "--http-port", "0", "--log-format", "json", "--duration", str(LIMIT_S), "--report", str(report),
        "--publish-endpoint", f"tcp://127.0.0.1:{free_port()}", "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}",
        "--binance-rest-url", f"http://127.0.0.1:{nobody}", "--binance-websocket-url", f"ws://127.0.0.1:{nobody}",
    ) as program:  # fmt: skip
        program.join()
    assert LIMIT_S < time.monotonic() - begun_s < LATE_S
    assert program.process.returncode == 1, "".join(program.raw)
    (stopped,) = program.logged("stopped")
    (why,) = stopped["why"]
    assert why.startswith("nothing was served: starting: waiting for symbols; ")
    assert "cannot be reached" in why
    found = figures(report)
    assert (found["clean"], found["complaints"], found["events"]["published"]) == (False, [why], 0)
    assert not any("Traceback" in line for line in program.raw)


def test_a_limit_in_time_holds_while_workers_get_no_connection(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with Venue(["AAAUSDT"]) as venue:
        venue.on_handshake = lambda *_: Answer(503)
        with feed(venue, "--duration", "8", "--report", str(report), shards=1) as program:
            program.join()
    assert program.process.returncode == 1, "".join(program.raw)
    (why,) = figures(report)["complaints"]
    assert "no_connection: worker-0 has none" in why
    assert "the venue answers connect with 503" in why


def test_a_run_that_has_served_is_clean_when_its_time_is_over(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with (
        Venue(["AAAUSDT"], every_s=0.02) as venue,
        feed(venue, "--duration", "20", "--report", str(report), shards=1) as program,
    ):
        program.join()
    assert program.process.returncode == 0, "".join(program.raw)
    assert program.logged("stopped")[0]["clean"] is True
    found = figures(report)
    assert (found["clean"], found["complaints"]) == (True, [])
    assert 20 <= found["duration_s"] < LATE_S
