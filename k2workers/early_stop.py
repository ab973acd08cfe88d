"""Owns what a signal does until a command has handlers of its own: the program ends, for there is nothing to drain yet.

Whoever waits for a report is told that there is none. Imports nothing heavy: it is there before everything else.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Mapping, Sequence

FLAG, VARIABLE = "--report", "K2_REPORT"
OTHER_COMMANDS = frozenset(
    {"book", "compact", "completion", "doctor", "export", "record", "replay", "simulate", "tail", "top", "verify"}
)

_asked: list[str] = []
"""Where a report was asked for, as far as is known; the last one counts."""


def install(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Take the signals. ``words`` are the command line, which nobody has read yet."""
    expect_report(asked_for(words, environ))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _stop)


def expect_report(path: str) -> None:
    """Remember where a report is to be written; empty if there will be none."""
    _asked.append(path)


def asked_for(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """Where these words, or else the environment, ask for a report; empty if they do not, or are of a command that writes none."""
    if words and words[0] in OTHER_COMMANDS:
        return ""
    for word, following in itertools.pairwise([*words, ""]):
        flag, has_value, value = word.partition("=")
        if flag == FLAG:
            return value if has_value else following
    return environ.get(VARIABLE, "")


def _stop(*_: object) -> None:
    if _asked[-1]:
        with contextlib.suppress(OSError):  # print may be at work in what the signal has interrupted
            os.write(2, f"k2workers: stopped before the feed began; no report was written to {_asked[-1]}\n".encode())
    sys.exit(0)
