"""Which ports of a run other machines can reach."""

from __future__ import annotations

from typing import Any

import pytest

from k2workers.config import Settings
from k2workers.processes.exposure import open_to_others


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, []),
        (
            {
                "http_host": "::1",
                "publish_endpoint": "ipc:///run/k2/publish",
                "snapshot_endpoint": "tcp://localhost:5556",
            },
            [],
        ),
        ({"http_host": "::"}, ["http_host = '::'"]),
        ({"publish_endpoint": "tcp://*:5555"}, ["publish_endpoint = 'tcp://*:5555'"]),
        (
            {"snapshot_endpoint": "tcp://0.0.0.0:7000"},
            ["snapshot_endpoint = 'tcp://0.0.0.0:7000'", "books_endpoint = 'tcp://0.0.0.0:7001'"],
        ),
        ({"disk_ring_endpoint": "tcp://*:5558"}, []),
        ({"disk_ring_gb": 1.0, "disk_ring_endpoint": "tcp://*:5558"}, ["disk_ring_endpoint = 'tcp://*:5558'"]),
        (
            {"http_host": "10.0.0.1", "books_endpoint": "tcp://eth0:1"},
            ["http_host = '10.0.0.1'", "books_endpoint = 'tcp://eth0:1'"],
        ),
    ],
)
def test_what_other_machines_can_reach(given: dict[str, Any], found: list[str]) -> None:
    assert open_to_others(Settings(**given)) == found
