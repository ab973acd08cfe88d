"""Owns which sources the native lane is built from. No compiler, no extension."""

from __future__ import annotations

import hashlib
from pathlib import Path

SOURCES = Path(__file__).parent


def source_id() -> str:
    """What the sources are now: an extension that was built from others is not used."""
    found = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.[ch]")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
