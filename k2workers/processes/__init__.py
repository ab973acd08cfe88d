"""Owns the processes: what the parent decides and starts, and the main of each child. Put together here, decided elsewhere.

Parent: ``bootstrap`` (before anything else is imported), ``topology`` (the run from start to end), ``run_plan`` (what each child is given), ``places``,
``open_files`` (their limit), ``sharding``, ``symbol_watch``, ``market_watch``, ``look_schedule``, ``status`` (the JSON of /status), ``readiness``,
``resource_meter``, ``report``, ``console``. Children: ``worker``, ``aggregator``, ``books``; ``child_settings`` is what they are given, ``child_status`` what
they tell, ``forkserver_imports`` what all of them begin with. ``tail`` is the command that prints topics.
"""
