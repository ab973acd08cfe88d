"""Names that users' alerts, dashboards and greps hold on to: all in one place, seen on the running program."""

from __future__ import annotations

import json
import re
import time

import pytest

from k2workers.config import SETTINGS, load
from k2workers.errors import ConfigError
from tests.support.venue import Venue
from tests.system.support import Program, free_port, wait_for

LABELS = {"service", "environment", "component", "exchange", "shard"}

SETTING = "binance_connection_max_lifetime_hours"


def labels_of(sample: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', sample))


def test_a_rotation_shows_under_the_names_that_users_know() -> None:
    ports = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
    with (
        Venue(["AAAUSDT"]) as venue,
        Program(
            "--symbols", "AAAUSDT", "--shards", "1", "--log-format", "json", "--http-port", "0",
            "--binance-websocket-url", venue.ws_url, "--binance-rest-url", venue.rest_url,
            "--publish-endpoint", ports[0], "--snapshot-endpoint", ports[1],
        ) as program,
    ):  # fmt: skip
        program.wait_ready()
        before = program.metrics("k2_binance_connection_rotations_total")
        assert {"scheduled_rotation", "server_shutdown"} <= {labels_of(sample)["reason"] for sample in before}
        assert not any(before.values()), "each begins at zero"
        assert {*labels_of(next(iter(before)))} == LABELS | {"reason"}
        assert labels_of(next(iter(before)))["service"] == "k2-binance-stream"
        venue.send(json.dumps({"e": "serverShutdown", "E": time.time_ns() // 1_000}))
        wait_for("the old connection closed", lambda: venue.close_reasons, 60)
        wait_for(
            "the rotation counted",
            lambda: sum(program.metrics("k2_binance_connection_rotations_total").values()) == 1,
            60,
        )
        lifetimes = program.metrics("k2_binance_connection_lifetime_seconds")
        (triggered,) = program.logged("binance_connection_rotation_triggered")
        program.stop()
    assert (venue.closes[0], venue.close_reasons[0]) == (1000, "Periodic rotation")
    assert {"reason", "line", "lifetime_seconds", "shard"} <= triggered.keys()
    assert triggered["reason"] == "server_shutdown"
    assert triggered["lifetime_seconds"] > 0
    assert [{*labels_of(sample)} for sample in lifetimes] == [LABELS]


def test_the_lifetime_is_set_by_its_known_name_within_its_known_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SETTINGS[SETTING].default == 4
    for hours in (1, 24):
        monkeypatch.setenv("K2_BINANCE_CONNECTION_MAX_LIFETIME_HOURS", str(hours))
        assert load({}).lifetime_ns("binance") == hours * 3_600 * 10**9
    for no_hours in (0.99, 24.01):
        with pytest.raises(ConfigError, match=SETTING):
            load({SETTING: no_hours})
