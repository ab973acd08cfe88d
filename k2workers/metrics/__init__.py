"""Metrics of all processes, gathered through files; see ``instruments`` and ``exporter``."""

from __future__ import annotations

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the directory of the files. Without it the figures of a process stay in it (``files``)."""
