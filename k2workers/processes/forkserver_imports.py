"""Owns what all children share: the forkserver imports this module once, and every child begins as a copy of the forkserver.

Only what they need belongs here: each page counts in every child.
"""

from __future__ import annotations

import gc

from k2workers import venues
from k2workers.logs import log
from k2workers.network import tls
from k2workers.processes import aggregator, worker

__all__ = ["aggregator", "log", "worker"]

for name in venues.NAMES:
    venues.load(name)  # which one is not known yet, and what they have in common is nearly all
tls.prepare()
# A collection in a child would write to every object, and so copy every page that it shares with its siblings.
gc.collect()
gc.freeze()
