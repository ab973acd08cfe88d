"""Owns the conditions of the table's rows: each looks at the memory and the input, and changes nothing."""

from __future__ import annotations

from k2workers.rotation.inputs import Advanced, Closed, Failed, Notice, Opened, Tick
from k2workers.rotation.memory import Memory
from k2workers.rotation.policy import SILENCES

OfLine = Advanced | Opened | Failed | Closed | Notice


def of_primary(memory: Memory, given: OfLine, now_ns: int) -> bool:
    """The input is about the primary."""
    return given.line == memory.primary


def of_standby(memory: Memory, given: OfLine, now_ns: int) -> bool:
    """The input is about the standby."""
    return given.line == memory.standby


def of_either(memory: Memory, given: OfLine, now_ns: int) -> bool:
    """The input is about the primary or the standby."""
    return given.line in {memory.primary, memory.standby}


def first_notice(memory: Memory, given: Notice, now_ns: int) -> bool:
    """The venue has not announced the end of this line before."""
    return given.line not in memory.noticed


def primary_noticed(memory: Memory, given: object, now_ns: int) -> bool:
    """The venue has announced the end of the primary."""
    return memory.primary in memory.noticed


def standby_noticed(memory: Memory, given: object, now_ns: int) -> bool:
    """The venue has announced the end of the standby."""
    return memory.standby in memory.noticed


def stable(memory: Memory, given: object, now_ns: int) -> bool:
    """The primary carried the feed long enough that its loss does not lengthen the backoff."""
    return now_ns - memory.carried_since_ns >= memory.policy.stable_ns


def for_silence(memory: Memory, given: Closed, now_ns: int) -> bool:
    """We gave the line up because nothing came on it: nobody has refused us anything."""
    return given.cause in SILENCES


def expired(memory: Memory, given: object, now_ns: int) -> bool:
    """The deadline is reached."""
    return memory.deadline_ns is not None and now_ns >= memory.deadline_ns


def proven(memory: Memory, given: Tick, now_ns: int) -> bool:
    """Every active stream has continued on the standby.

    A stream that the venue refuses on the new line can prove nothing; the old line still brings it, so it stays.
    """
    return not given.withheld and memory.rotation is not None and memory.rotation.proof.complete(now_ns)
