"""Owns the reading of recorded files: gzip lines ``<receive time ns> <JSON>``.

A line's JSON is a message of a combined stream, or a bare REST depth snapshot. What is in the messages is ``recorded_events``' matter.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from k2workers.errors import ConfigError
from k2workers.simulator.binance.recorded_events import Rows


class RecordedLine(msgspec.Struct):
    """One recorded message: a stream's event, or a bare REST depth snapshot."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    lastUpdateId: int = 0
    bids: Rows = []
    asks: Rows = []


class Recorded(NamedTuple):
    """A line and where it stands; the first line of a file is line 1."""

    path: str
    number: int
    stamp_ns: int
    line: RecordedLine


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


_decode_line = msgspec.json.Decoder(RecordedLine).decode


def read_lines(files: Sequence[str], on_broken: Callable[[Broken], None] | None = None) -> Iterator[Recorded]:
    """All files in order, without empty lines. What cannot be read goes to ``on_broken``, and the rest goes on; without
    ``on_broken`` it raises ConfigError."""

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
                        recorded = Recorded(path, number, int(stamp), _decode_line(body))
                    except (ValueError, msgspec.MsgspecError) as error:
                        if text.strip():
                            tell(Broken(path, number, False, str(error)))
                        continue
                    yield recorded
        except (OSError, EOFError, zlib.error) as error:
            tell(Broken(path, number, True, str(error)))
