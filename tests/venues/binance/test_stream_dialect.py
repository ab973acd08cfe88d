"""What differs from spot in streams is said where it differs."""

from __future__ import annotations

from k2workers.venues.binance.futures import FUTURES_STREAMS
from k2workers.venues.binance.messages import MESSAGE_OF
from k2workers.venues.binance.stream_dialect import SPOT_STREAMS
from k2workers.venues.binance.written import TEXTS


def test_spot_is_what_is_said_where_nothing_is_said() -> None:
    assert (SPOT_STREAMS.messages, SPOT_STREAMS.texts) == (MESSAGE_OF, TEXTS)
    assert (SPOT_STREAMS.unit_ns, SPOT_STREAMS.symbol_type, SPOT_STREAMS.all_have_points) == (1_000, 0, True)


def test_every_text_is_of_a_message_of_its_market() -> None:
    for dialect in (SPOT_STREAMS, FUTURES_STREAMS):
        assert set(dialect.texts) <= set(dialect.messages.values())
