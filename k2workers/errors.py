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
    """A child process ended before it ever served; the message says which and why, and is empty if the child has told the user."""


class VenueError(K2Error):
    """The venue, or the way to it, did something that stops the request at hand.

    ``status`` is the HTTP status of its answer, 0 if there was none; ``retry_after_s`` how long it told us to wait, 0 if it did not say;
    ``weight_limit`` the REST weight per minute that it named, 0 if none.
    """

    retryable = True

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float = 0.0, weight_limit: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.weight_limit = weight_limit


class VenueRefused(VenueError):
    """The venue understood the request and will not answer it differently next time."""

    retryable = False


class AddressRefused(VenueError):
    """The venue refuses our IP for a while (HTTP 403, 418, 429 or 451): everybody behind this address must wait."""
