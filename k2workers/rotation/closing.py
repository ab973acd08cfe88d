"""Owns with which code and reason we close a line: what the venue reads."""

from __future__ import annotations

CLOSE_CODE = 1000
"""Of every line that we close: one that was rotated, that was not proven, or at the end."""

REPLACED = "Periodic rotation"
"""The close reason of a line that another one has replaced."""

NOT_PROVEN = "Not proven"
"""The close reason of a standby on which an active stream never continued."""

STOPPING = "Shutting down"
"""The close reason of every line when the feed stops."""
