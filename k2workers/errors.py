"""Owns the errors of the whole package: who is to blame, and whether trying again can help.

A retry loop asks ``error.retryable``; it never lists types.
"""

from __future__ import annotations


class K2Error(Exception):
    """Base of every error that k2workers raises on purpose."""

    retryable = False


class ConfigError(K2Error):
    """A setting is wrong. The message names the setting, its value and what is allowed."""


class StateError(K2Error):
    """We broke our own rules: a defect in k2workers, never the user's fault."""


class BootError(K2Error):
    """A child process ended before it ever served; the message says which and why."""


class VenueError(K2Error):
    """The venue, or the way to it, did something that stops the request at hand."""

    retryable = True


class VenueRefused(VenueError):
    """The venue understood the request and will not answer it differently next time."""

    retryable = False


class RateLimited(VenueError):
    """HTTP 429 or 418: every worker on this IP must wait ``retry_after_s`` seconds."""

    def __init__(self, message: str, *, retry_after_s: float, banned: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.banned = banned
