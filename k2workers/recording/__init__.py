"""Owns recordings of a feed: what a recorder writes, what of it can be verified, and how it is published again.

``recorder`` takes from the feed into a ``journal``, whose ended segments ``conversion`` turns into Parquet files (``row_table``, ``parquet_file``,
``manifest``). ``verification`` reads them and proves, with ``id_audit`` and ``book_audit``, what they hold and what they do not; ``playback`` publishes them. Later files
come in (``additions``) when ``compaction`` merges some, or ``refill`` asks the venues for what is not there (``holes``); which of all count says ``catalog``. What a user sees stands in ``RECORDING.md`` next to the package.
"""
