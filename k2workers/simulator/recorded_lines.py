"""Owns the reading of recorded files: gzip lines ``<receive time ns> <JSON>``. What is in the JSON is the venue's matter."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from k2workers.errors import ConfigError

Line = TypeVar("Line")


class Recorded(NamedTuple, Generic[Line]):
    """A line and where it stands; the first line of a file is line 1."""

    path: str
    number: int
    stamp_ns: int
    line: Line


class Broken(NamedTuple):
    """What of a file cannot be read: a line, or (``ends``) all that follows it."""

    path: str
    number: int
    ends: bool
    reason: str

    def __str__(self) -> str:
        if not self.ends:
            return f"replay file {self.path!r}, line {self.number}: not '<ns> <JSON>' ({self.reason})"
        behind = f", behind line {self.number}" if self.number else ""
        return f"replay file {self.path!r}{behind}: cannot be read ({self.reason})"


def read_lines(
    files: Sequence[str], decode: Callable[[bytes], Line], on_broken: Callable[[Broken], None] | None = None
) -> Iterator[Recorded[Line]]:
    """All files in order, without empty lines. What cannot be read goes to ``on_broken``, and the rest goes on; without
    ``on_broken`` it raises ConfigError. ``decode`` reads a line's JSON and raises what msgspec does."""

    def tell(broken: Broken) -> None:
        if on_broken is None:
            raise ConfigError(str(broken))
        on_broken(broken)

    for path in files:
        number = 0
        try:
            with gzip.open(path, "rb") as lines:
                for number, text in enumerate(lines, 1):
                    stamp, _, body = text.partition(b" ")
                    try:
                        recorded = Recorded(path, number, int(stamp), decode(body))
                    except (ValueError, msgspec.MsgspecError) as error:
                        if text.strip():
                            tell(Broken(path, number, False, str(error)))
                        continue
                    yield recorded
        except (OSError, EOFError, zlib.error) as error:
            tell(Broken(path, number, True, str(error)))
