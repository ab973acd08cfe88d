"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded market data: K2_TEST_DATA, or ``shared/data`` beside the checkout."""
    folder = Path(os.environ.get("K2_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not (folder / "spot").is_dir():
        pytest.skip(f"no recorded market data in {folder} (set K2_TEST_DATA)")
    return folder
