"""The classes of streams: each kind is of one, as the documents list them."""

from __future__ import annotations

from k2workers.continuity import Guarantee, Repair
from k2workers.venues.binance.futures_streams import (
    ASKED,
    CLASSES,
    FUTURES_KINDS,
    KINDS_OF_CLASS,
    POLLED,
    of_class,
    polls,
)
from k2workers.venues.binance.streams import stream_specs

PUBLIC = ("@bookTicker", "!bookTicker", "@depth", "@rpiDepth", "@trade")
"""How the suffixes of the public class begin; everything else is of the other."""


def test_every_kind_is_of_one_class() -> None:
    assert sum(map(len, KINDS_OF_CLASS.values())) == len(FUTURES_KINDS)
    for name, kinds in KINDS_OF_CLASS.items():
        for kind in kinds.values():
            assert name == POLLED or (kind in KINDS_OF_CLASS["public"].values()) == kind.suffix.startswith(PUBLIC)


def test_streams_are_told_apart_by_class() -> None:
    specs = stream_specs(
        list(dict.fromkeys(kind.kind for kind in FUTURES_KINDS.values() if not kind.all_market)), ["A"], FUTURES_KINDS
    )
    found = [of_class(name, specs) for name in (*CLASSES, POLLED)]
    assert sorted(spec.name for part in found for spec in part) == sorted(spec.name for spec in specs)
    assert {spec.kind for spec in found[1]} >= {"agg_trade", "mark_price", "kline_1m", "continuous_kline_1m"}
    assert {spec.kind for spec in found[0]} >= {"depth", "book_ticker", "partial_depth_5"}


def test_what_cannot_be_asked_for_again_says_so() -> None:
    guarantees = {name: kind.continuity.guarantee for name, kind in FUTURES_KINDS.items()}
    assert guarantees["agg_trade"] is Guarantee.REPAIRABLE
    assert guarantees["trade"] is guarantees["depth"] is Guarantee.CHAINED
    assert FUTURES_KINDS["trade"].continuity.repair is Repair.NEWEST
    assert guarantees["liquidation"] is guarantees["contract_info_all"] is Guarantee.UNPROVEN
    assert guarantees["kline_1m"] is guarantees["continuous_kline_1m"] is Guarantee.FINAL
    assert guarantees["book_ticker"] is guarantees["mark_price"] is Guarantee.LATEST


def test_what_no_stream_brings_is_asked_for_by_symbol() -> None:
    specs = stream_specs([*ASKED, "depth"], ["AUSDT", "BUSDT"], FUTURES_KINDS)
    found = [(poll.topic.topic, poll.weight, poll.every_s) for poll in polls("here", specs)]
    assert found == [
        ("here.open_interest.AUSDT", 1, 60.0),
        ("here.open_interest.BUSDT", 1, 60.0),
        ("here.funding_rate.AUSDT", 1, 600.0),
        ("here.funding_rate.BUSDT", 1, 600.0),
    ]
    assert {spec.name for spec in of_class(POLLED, specs)} == {
        "ausdt@openInterest", "busdt@openInterest", "ausdt@fundingRate", "busdt@fundingRate",
    }  # fmt: skip


def test_as_many_symbols_as_the_market_has_keep_the_limit_of_funding_requests() -> None:
    most, window_s, symbols = 500, 300.0, 1_000
    assert symbols * window_s / ASKED["funding_rate"].every_s <= most
