"""What a child does with itself."""

from __future__ import annotations

import gc

from k2workers.supervision.child import settle_memory


def test_a_settled_child_is_left_alone_by_the_collector() -> None:
    thresholds = gc.get_threshold()
    try:
        settle_memory()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == (50_000, 20, 100)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
