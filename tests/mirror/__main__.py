"""``python -m tests.mirror``: fails, with a sentence for each finding, where the layout is not what it promises."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.mirror import pairs, sizes

ROOT = Path(__file__).resolve().parents[2]

found = [*pairs.unmapped(ROOT), *sizes.too_long(ROOT)]
sys.exit("\n".join(found) or 0)
