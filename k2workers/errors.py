"""Owns the errors of the whole package: who is to blame, and whether trying again can help.

A retry loop asks ``error.retryable``; it never lists types. All of them, those outside of this module beside what they are about:

    class                  to blame   retryable  raised in
    K2Error                -          no         -
      ConfigError          user       no         cli, config, files, metrics, network, processes, reader_commands, recording, setting_sources, simulator, supervision, transport, venues
      StateError           k2workers  no         events, every, feed, sequencing, transport, venues
      BootError            k2workers  no         processes, supervision
      CheckpointUnusable   user       no         files
      FeedSilent           feed       yes        top, transport
      VenueError           venue      yes        feed, venues
        VenueRefused       venue      no         feed, venues
          EndpointMissing  venue      no         venues
        AddressRefused     venue      yes        venues
        HandshakeRefused   venue      yes        feed
      RingFilesGone        user       yes        transport
      RecordingUnreadable  user       no         recording
      ApiError             client     no         simulator
      NotGiven             feed       yes        top
      WireError            feed       no         sequencing, wire
      BlockDamaged         feed       no         transport

A name with an underscore is a signal within one module and no error.
"""

from __future__ import annotations

from typing import ClassVar


class K2Error(Exception):
    """Base of every error that k2workers raises on purpose."""

    blame: ClassVar[str] = "-"
    """Who can mend it: the user, k2workers' own code, the venue, the feed that is subscribed to, or a client of the embedded exchange."""

    retryable: ClassVar[bool] = False


class ConfigError(K2Error):
    """A setting, or an argument, is wrong. The message names it, its value and what is allowed."""

    blame = "user"


class StateError(K2Error):
    """We broke our own rules: a defect in k2workers, never the user's fault."""

    blame = "k2workers"


class BootError(K2Error):
    """A child process ended before it ever served; the message says which and why, and is empty if the child has told the user."""

    blame = "k2workers"


class CheckpointUnusable(K2Error):
    """The file cannot be continued from; the message says why. ``epoch`` is the one it names, 0 if it cannot be read."""

    blame = "user"

    def __init__(self, reason: str, epoch: int = 0) -> None:
        super().__init__(reason)
        self.epoch = epoch


class FeedSilent(K2Error):
    """Nothing is heard from where the feed should publish or answer: it is not running there, or still starting."""

    blame = "feed"
    retryable = True


class VenueError(K2Error):
    """The venue, or the way to it, did something that stops the request at hand.

    ``status`` is the HTTP status of its answer, 0 if there was none; ``retry_after_s`` how long it told us to wait, 0 if it did not say;
    ``weight_limit`` the REST weight per minute that it named, 0 if none.
    """

    blame = "venue"
    retryable = True

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float = 0.0, weight_limit: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.weight_limit = weight_limit


class VenueRefused(VenueError):
    """The venue understood the request and will not answer it differently next time."""

    retryable = False


class EndpointMissing(VenueRefused):
    """The venue's host does not have what would have to be asked, as it has said before: nothing was asked."""


class AddressRefused(VenueError):
    """The venue refuses our IP for a while (HTTP 403, 418, 429 or 451): everybody behind this address must wait."""
