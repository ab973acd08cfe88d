"""What removes directories that somebody still uses."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove all of it, also while somebody makes anew what is in it."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
            return
