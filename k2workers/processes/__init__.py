"""Owns the processes: what the parent decides and starts, and the main of each child. Put together here, decided elsewhere.

Parent: ``bootstrap`` (before anything else is imported), ``topology`` (the run from start to end), ``starting`` (how it comes up), ``run_plan`` and
``places`` (what a run has once), ``open_files`` (their limit), ``status`` (the JSON of /status), ``readiness``, ``resource_meter``, ``report``, ``console``.
For each venue of the run: ``market_feed`` (its feed at work), ``market_plan`` (what its workers are given), ``shard_numbers``, ``sharding``,
``symbol_watch``, ``market_watch``, ``look_schedule``. Children: ``worker``, ``aggregator``, ``books``; ``child_settings`` is what they are given, ``child_status`` what
they tell, ``forkserver_imports`` what all of them begin with; ``book_teller`` tells what becomes of books. ``tail`` and ``book_view`` are the commands that read a feed,
``line_output`` is how they print. ``book_page`` is what the parent answers of books.
"""
