"""The command ``top``: what the status page shows of a running feed, on a terminal. It reads the page's live stream, so it costs the feed what a browser does.

``show`` is its beginning; ``picture`` says what is seen, ``shard_table`` the table in it, ``keys`` what keys do.
"""
