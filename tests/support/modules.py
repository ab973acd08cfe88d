"""The modules of the package that can be imported here."""

from __future__ import annotations

import importlib.util
import pkgutil

import k2workers

_NEEDS = {
    "k2workers.transport.column_reader": "numpy",
    **{
        f"k2workers.recording.{name}": "pyarrow"
        for name in ("__main__", "conversion", "parquet_file", "playback", "row_table", "timeline", "verification")
    },
}
"""Modules that need a package which is no dependency; nothing imports them where it is missing."""


def modules() -> list[str]:
    """Their names, but that of ``__main__``, which runs."""
    found = [module.name for module in pkgutil.walk_packages(k2workers.__path__, "k2workers.")]
    missing = {name for name, package in _NEEDS.items() if importlib.util.find_spec(package) is None}
    return [name for name in found if name != "k2workers.__main__" and name not in missing]
