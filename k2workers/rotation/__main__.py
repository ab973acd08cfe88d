"""Prints the table of the rotation machine, as the package's docstring shows it."""

from __future__ import annotations

import sys

from k2workers.rotation.table import TABLE, printed

sys.stdout.write(printed(TABLE) + "\n")
