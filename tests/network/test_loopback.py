"""Which hosts are this machine and nothing else."""

from __future__ import annotations

import pytest

from k2workers.network.loopback import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "venue.localhost", "lo"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "[::]", "*", "10.0.0.1", "eth0", "localhost.example", "example.net", ""]
)
def test_what_others_can_reach(host: str) -> None:
    assert not is_loopback(host)
