"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("first finding", settings.get_profile("any machine"), phases=[Phase.explicit, Phase.generate])
settings.register_profile("same each time", settings.get_profile("any machine"), derandomize=True, database=None)
settings.load_profile("any machine")


TOGETHER = ("tests/clients/", "tests/system/test_commands.py")
"""Their tests share what is costly to make."""


class OneByOne(LoadScopeScheduling):
    """Gives each of several processes one test after the other: most of the long ones stand side by side."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith(TOGETHER) else nodeid


def pytest_xdist_make_scheduler(config: Any, log: Any) -> OneByOne:
    """Called by the plugin that runs tests in several processes."""
    return OneByOne(config, log)


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded market data: K2_TEST_DATA, or ``shared/data`` beside the checkout."""
    folder = Path(os.environ.get("K2_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not (folder / "spot").is_dir():
        pytest.skip(f"no recorded market data in {folder} (set K2_TEST_DATA)")
    return folder
