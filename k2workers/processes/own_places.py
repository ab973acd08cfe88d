"""Owns where a run with these settings is asked, and keeps its files, where that follows from other settings."""

from __future__ import annotations

from pathlib import Path

from k2workers.config import Settings
from k2workers.transport.endpoint import next_endpoint


def http_address(settings: Settings) -> str:
    """Host and port at which HTTP is answered."""
    host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    return f"{host}:{settings.http_port}"


def books_endpoint(settings: Settings) -> str:
    """Where whole books are asked for."""
    return settings.books_endpoint or next_endpoint(settings.snapshot_endpoint)


def disk_ring_endpoint(settings: Settings) -> str:
    """Where the disk ring is asked."""
    return settings.disk_ring_endpoint or next_endpoint(books_endpoint(settings), "-disk")


def endpoints(settings: Settings) -> dict[str, str]:
    """Everything that it listens at for others, but HTTP, by setting."""
    found = {
        "publish_endpoint": settings.publish_endpoint,
        "snapshot_endpoint": settings.snapshot_endpoint,
        "books_endpoint": books_endpoint(settings),
    }
    if settings.disk_ring_gb:
        found["disk_ring_endpoint"] = disk_ring_endpoint(settings)
    return found


def checkpoint(settings: Settings, run_dir: Path) -> Path:
    """The file of the checkpoint."""
    return Path(settings.checkpoint) if settings.checkpoint else run_dir / "checkpoint"


def disk_ring(settings: Settings, run_dir: Path) -> Path:
    """The directory of the disk ring: next to the checkpoint, unless it is named."""
    own = checkpoint(settings, run_dir)
    return Path(settings.disk_ring_dir) if settings.disk_ring_dir else own.with_name(f"{own.name}-ring")
