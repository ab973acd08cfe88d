"""``python -m k2workers.native [DIRECTORY]`` builds the native lane next to its sources, or into DIRECTORY, and says what came of it."""

from __future__ import annotations

import sys
from pathlib import Path

from k2workers.native.build import build

why_not = build(*map(Path, sys.argv[1:2]))
said = f"without the native lane, Python does its work (slower): {why_not}" if why_not else "the native lane is built"
sys.stderr.write(f"k2workers: {said}\n")
# Success either way: everything works without it.
