"""Owns how logs look (``log``), the way of whatever is printed out of a process, which waits for no reader (``outlet``), and into the terminal's one writer (``inflow``)."""
