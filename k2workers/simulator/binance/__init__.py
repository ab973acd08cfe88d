"""The stand-in for Binance spot: ``spot`` gives its parts to the exchange.

``settings`` the venue's rules · ``market`` and ``symbol_market`` the generated market (pure), on ``book``, ``bars``, ``payloads`` and
``stream_names`` · ``replay_market`` recorded files instead, on ``first_look`` and ``recorded_events`` · ``talk`` a client's address and form,
``stream_requests`` what it may ask · ``rest_calls`` how REST answers, from the table ``rest_endpoints``, on ``query``, ``weight_meter``,
``exchange_rules``, ``replies`` and ``tickers`` · ``fault_answers`` what refusals say · ``glitch`` ids and times that are far off.
"""
