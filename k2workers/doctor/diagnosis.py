"""Owns what a check tells: how grave it is, what was found and what to do; and how that is written. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec


class Grade(enum.StrEnum):
    """How grave a finding is."""

    OK = "ok"
    SKIPPED = "skipped"
    """There was nothing to look at, or no way to: ``found`` says why."""
    WARNING = "warning"
    """The feed will run, but not as well as it could."""
    FAILED = "failed"
    """The feed will not run, or not long."""


class Diagnosis(msgspec.Struct, frozen=True):
    """What one check has found. ``venue`` is the one that it is about, empty for this machine."""

    check: str
    grade: Grade
    found: str
    advice: str = ""
    venue: str = ""


def sound(findings: Iterable[Diagnosis]) -> bool:
    """Whether nothing has failed."""
    return all(finding.grade is not Grade.FAILED for finding in findings)


def as_data(findings: Sequence[Diagnosis], version: str) -> dict[str, Any]:
    """All of it for a program."""
    return {"ok": sound(findings), "version": version, "findings": [msgspec.structs.asdict(each) for each in findings]}


def as_lines(findings: Sequence[Diagnosis]) -> list[str]:
    """All of it for a reader: a line a finding, what to do below it, and a verdict at the end."""
    lines = []
    for each in findings:
        subject = f"{each.venue}: " if each.venue else ""
        lines.append(f"{each.grade:<8}{each.check:<15}{subject}{each.found}")
        if each.advice:
            lines.append(f"{'':<8}→ {each.advice}")
    count = {grade: sum(each.grade is grade for each in findings) for grade in (Grade.FAILED, Grade.WARNING)}
    words = ", ".join(f"{number} {grade}" for grade, number in count.items() if number)
    return [*lines, f"doctor: {words or 'found nothing that would prevent the feed from working'}"]
