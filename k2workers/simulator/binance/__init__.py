"""The stand-ins for Binance: ``spot`` gives its parts to the exchange, ``usdm`` and ``coinm`` say what those of futures have otherwise.

``settings`` the rules of each market · ``generated_market`` a market that is made up, of whichever ``symbol_market`` (pure), on ``book`` and
``bars`` · ``replay_market`` recorded files instead, on ``first_look``, ``recordable`` and ``recorded_events`` · ``talk`` a client's address and
form, ``stream_requests`` what it may ask · ``rest_calls`` how REST answers, from a table of endpoints, on ``query`` and ``weight_meter`` ·
``fault_answers`` what refusals say · ``glitch`` ids and times that are far off.

Spot's own: ``market`` and ``spot_symbol`` with ``payloads`` and ``stream_names``; ``rest_endpoints`` with ``exchange_rules``, ``replies``,
``tickers``. Futures' own: ``contracts``; ``futures_market`` and ``futures_symbol`` with ``futures_payloads`` and ``futures_names``;
``routed_talk``; ``futures_endpoints`` with ``futures_query``, ``futures_rules``, ``futures_replies``.

How sure the futures are: nobody here has seen them live. Recorded in 2021 and 2024 are trade, aggTrade, bookTicker, depth and the REST book; all
else is from documents and from messages that users quote, as each module says. Known to be otherwise than at the venue: all contracts
are perpetual, one taker order is one aggregate trade, funding has no limit of requests, and no retail orders (``nq`` is ``q``) are made.
"""
