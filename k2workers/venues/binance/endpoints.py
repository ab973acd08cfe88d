"""Owns which endpoints a host of the venue does not have. Pure.

Hosts differ: the one for public data alone has no historicalTrades, others are cut short by what stands before them. An endpoint is
missing if it answered 404 twice, some time apart; or twice with a refusal that elsewhere means our address (403, 451), while another
endpoint of the same host answered between. That is forgotten after a time, for hosts change.
"""

from __future__ import annotations

SECOND_NS = 1_000_000_000

SURE_AFTER_NS = 1 * SECOND_NS
"""A second answer sooner than this may have the same passing cause as the first."""

REMEMBER_NS = 3_600 * SECOND_NS

NOT_FOUND = 404
NOT_FOR_US = frozenset({403, 451})


class _Refusal:
    """``since_ns`` is the first of the answers that are like the last one; ``sure_ns`` when the next such one showed that it stays so."""

    __slots__ = ("others_answered", "since_ns", "status", "sure_ns")

    def __init__(self, status: int, since_ns: int) -> None:
        self.status, self.since_ns = status, since_ns
        self.sure_ns: int | None = None
        self.others_answered = False


class Endpoints:
    """Tell it every answer; ask before a request. ``path`` names the endpoint; those in ``lacks`` are known to be missing, for ever."""

    def __init__(self, lacks: frozenset[str] = frozenset()) -> None:
        self._lacks = lacks
        self._refused: dict[str, _Refusal] = {}

    def answered(self, path: str, status: int, now_ns: int) -> None:
        """The endpoint answered with this HTTP status."""
        if status == 200:
            self._refused.pop(path, None)
            for refused in self._refused.values():
                refused.others_answered = True
        elif status == NOT_FOUND or status in NOT_FOR_US:
            known = self._refused.get(path)
            if known is None or known.status != status or self._forgotten(known, now_ns):
                self._refused[path] = _Refusal(status, now_ns)
            elif known.sure_ns is None and now_ns - known.since_ns >= SURE_AFTER_NS:
                known.sure_ns = now_ns if status == NOT_FOUND or known.others_answered else None

    def missing(self, path: str, now_ns: int) -> bool:
        """Whether it is known that the host does not have it."""
        if path in self._lacks:
            return True
        known = self._refused.get(path)
        return known is not None and known.sure_ns is not None and not self._forgotten(known, now_ns)

    def left_alone(self, path: str, now_ns: int) -> bool:
        """Whether it is better not asked now: it is missing, or it has just seemed so."""
        if path in self._lacks:
            return True
        known = self._refused.get(path)
        if known is None or self._forgotten(known, now_ns):
            return False
        return known.sure_ns is not None or (known.status == NOT_FOUND and now_ns - known.since_ns < SURE_AFTER_NS)

    def in_doubt(self, path: str, now_ns: int) -> bool:
        """Whether it was refused, and only the answer of another endpoint can tell whether that means our address."""
        known = self._refused.get(path)
        return (
            known is not None
            and known.status in NOT_FOR_US
            and not (known.others_answered or self._forgotten(known, now_ns))
        )

    @staticmethod
    def _forgotten(known: _Refusal, now_ns: int) -> bool:
        return now_ns - known.since_ns >= REMEMBER_NS
