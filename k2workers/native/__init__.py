"""The native lane: what plain messages take from the receive buffer to a bundle, and plain bundles to publications, in C. Optional: Python does the same, slower, and is the reference.

``lane.c`` (worker) and ``publish.c`` (aggregator) have the rules of what is plain, ``module.c`` and ``bundles_type.c`` show them to Python, ``build.py`` compiles all (``python -m k2workers.native``). Nothing here knows a venue.
"""

from __future__ import annotations

from typing import Any

from k2workers.native.build import SOURCES, source_id


def _load() -> tuple[Any, str]:
    try:
        from k2workers.native import _native  # type: ignore[attr-defined]
    except ImportError as error:
        if any(SOURCES.glob("_native*")):
            return None, f"it does not load: {error}"
        return None, "it is not built (scripts/setup does that where there are a C compiler and Python's headers)"
    if source_id() != _native.SOURCE:
        return None, "it was built from other sources (scripts/setup builds it anew)"
    return _native, ""


extension, why_not = _load()
"""The extension module, or None; and then why, in words."""


def told(*, wanted: bool) -> dict[str, Any]:
    """Whether it is used, and why not, for a log line."""
    if wanted and extension is not None:
        return {"used": True}
    return {"used": False, "reason": why_not if wanted else "the setting `native` is off"}
