"""What is true of the stand-in for Binance spot alone.

``market`` and ``symbol_market`` the generated market (pure), on ``book``, ``bars``, ``payloads`` and ``stream_names`` · ``replay_market``
recorded files instead, on ``first_look`` and ``recorded_events`` · ``stream_requests`` what a client may ask on a connection ·
``rest_endpoints`` the table of REST calls, on ``query``, ``exchange_rules``, ``replies`` and ``tickers`` · ``fault_answers`` what refusals say.
"""
