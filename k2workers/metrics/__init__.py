"""Metrics of all processes, gathered through files; see ``instruments`` and ``exporter``."""

from __future__ import annotations

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the directory of the files. prometheus_client writes files only if this is set when it is imported."""
