"""A recording as files of other people's tools, one a day: where each is made from (``sources``), what is read (``recorded_topic``, ``book_steps``), and the two formats:

``tardis``                        lines of CSV in the columns that Tardis.dev documents
``hftbacktest``, ``event_order``, ``npz``   events of hftbacktest, in the two orders that it needs, in the file that it reads
``day_file``, ``export_run``        files that are whole or not there; the export as a whole, and what it tells
"""
