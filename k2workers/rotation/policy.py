"""Owns the bounds of a rotation, and the words that name its reasons."""

from __future__ import annotations

import msgspec

from k2workers.backoff import Backoff

SCHEDULED = "scheduled_rotation"
"""The reason of a rotation that the schedule made due."""

SERVER_SHUTDOWN = "server_shutdown"
"""The reason of a rotation because the venue said that it will end the line soon."""

SILENT_STREAM = "silent_stream"
"""The reason of a rotation because a stream brought nothing: the venue had something, or nobody can tell and another line is tried once."""

REASONS = (SCHEDULED, SERVER_SHUTDOWN, SILENT_STREAM)

STALE, SILENT = "stale", "silent"
"""Why we give a line up: nothing at all comes on it, or no data although the venue has some."""

SILENCES = frozenset({STALE, SILENT})


class RotationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of the machine, in nanoseconds.

    ``connect_timeout_ns`` is for each step of an attempt: the handshake, and each answer to a subscription.
    ``min_overlap_ns`` is the shortest overlap; ``overlap_limit_ns`` ends one in which an active stream never continued
    on the standby, ``doomed_overlap_ns`` one whose standby the venue has announced to end. ``grant_patience_ns`` is when a
    request without an answer is repeated. ``retry_rotation_ns`` is the pause after a rotation that failed; the backoff's counts
    if the venue has announced the end of the primary. A line that lived ``stable_ns`` resets the backoff.
    """

    backoff: Backoff
    connect_timeout_ns: int
    min_overlap_ns: int
    overlap_limit_ns: int
    doomed_overlap_ns: int = 5_000_000_000
    grant_patience_ns: int = 60_000_000_000
    retry_rotation_ns: int
    stable_ns: int = 10_000_000_000
