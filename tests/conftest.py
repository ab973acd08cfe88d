"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("first finding", settings.get_profile("any machine"), phases=[Phase.explicit, Phase.generate])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded market data: K2_TEST_DATA, or ``shared/data`` beside the checkout."""
    folder = Path(os.environ.get("K2_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not (folder / "spot").is_dir():
        pytest.skip(f"no recorded market data in {folder} (set K2_TEST_DATA)")
    return folder
