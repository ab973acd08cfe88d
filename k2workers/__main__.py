"""``python -m k2workers``."""

from __future__ import annotations

from k2workers.cli import main

if __name__ == "__main__":
    main()
