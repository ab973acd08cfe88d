"""The limit of open files of this very process."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from k2workers.processes import open_files
from k2workers.transport import screen


@pytest.fixture(autouse=True)
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_may_be_had_is_taken(limits: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    open_files.raise_limit()
    assert open_files.limit() == min(open_files.MOST, limits[1])


def test_a_limit_that_is_higher_already_stays(limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "MOST", 300)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, limits[1]))
    open_files.raise_limit()
    assert open_files.limit() == 400


@pytest.mark.parametrize(
    ("soft", "workers", "connections"), [(1_024, 8, 400), (1_024, 256, 320), (256, 8, 60), (128, 8, 1)]
)
def test_each_port_has_half_of_what_the_process_and_its_workers_leave(
    limits: tuple[int, int], soft: int, workers: int, connections: int
) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limits[1]))
    assert open_files.connections_a_port(400, workers) == connections


def test_behind_a_screen_a_peer_costs_more_files(limits: tuple[int, int]) -> None:
    assert open_files.BEHIND_A_SCREEN == 3 * screen.OPEN_AT_MOST
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, limits[1]))
    assert open_files.connections_a_port(400, 8, files_a_peer=open_files.BEHIND_A_SCREEN) == 74
