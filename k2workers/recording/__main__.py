"""``python -m k2workers.recording DIRECTORY NUMBER`` turns the segments of a recording's journal with numbers below this into files, as a recorder has it done."""

from __future__ import annotations

import sys
from pathlib import Path

from k2workers.recording.conversion import convert


def main(directory: str, below: str) -> str | int:
    """What is to be said at the end, or 0."""
    try:
        damaged = convert(Path(directory), int(below))
    except OSError as error:
        return str(error)
    return f"damaged: {', '.join(damaged)}" if damaged else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
