"""The facts of markets that have no code yet: whole, in agreement with each other, and no more promised than is known."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from k2workers import venues
from k2workers.continuity import Continuity, Link, Proof, Repair, Scope
from k2workers.events import Kline
from k2workers.venues.market_facts import Counted, Ends, MarketFacts, Over, Sure, TopicFact, WholeFrom

PACKAGES = [name for _, name, package in pkgutil.iter_modules([str(Path(venues.__file__).parent)]) if package]
MARKETS: list[MarketFacts] = [
    importlib.import_module(f"k2workers.venues.{name}.facts").FACTS
    for name in PACKAGES
    if not any(home.package == name for home in venues._HOMES.values())
]
TOPICS = [(market, topic) for market in MARKETS for topic in market.topics]


def named(value: object) -> str | None:
    return value.name if isinstance(value, MarketFacts) else value.kind if isinstance(value, TopicFact) else None


def test_every_package_without_code_has_facts_under_its_own_name() -> None:
    assert len(MARKETS) == 4
    assert {market.name for market in MARKETS} <= set(PACKAGES)
    assert all(len({topic.kind for topic in market.topics}) == len(market.topics) for market in MARKETS)
    assert not {market.name for market in MARKETS} & set(venues.NAMES), "facts alone cannot be loaded"


@pytest.mark.parametrize(("market", "topic"), TOPICS, ids=named)
def test_a_topic_is_on_a_route_and_its_repair_has_what_it_needs(market: MarketFacts, topic: TopicFact) -> None:
    assert topic.route in market.routes
    assert topic.stream.format(symbol=market.symbol) != topic.stream
    assert Continuity.of(topic.continuity.number) == topic.continuity
    asked = topic.continuity.repair in {Repair.IDS, Repair.TIME, Repair.NEWEST}
    assert asked == (topic.refetch is not None)
    assert (topic.continuity.repair in {Repair.BOOK, Repair.RESUBSCRIBE, Repair.RECONNECT}) == (
        topic.whole_from is not WholeFrom.NONE
    )
    assert (topic.event_type is Kline) == (topic.ends is not Ends.NO_BAR) == (topic.continuity.link is Link.NEXT_BAR)


@pytest.mark.parametrize("market", MARKETS, ids=named)
def test_a_market_is_whole(market: MarketFacts) -> None:
    assert all(urlsplit(address).scheme == "wss" for address in market.routes.values())
    assert urlsplit(market.rest_url).scheme == "https"
    assert market.unsure <= set(MarketFacts.__struct_fields__)
    assert {topic.route for topic in market.topics} == set(market.routes)
    assert market.notice_routes <= market.routes.keys() and bool(market.notice_routes) == (market.notice_s is not None)
    assert {limit.counted for limit in market.limits} >= {Counted.CONNECTS, Counted.REQUESTS}
    assert all(limit.most > 0 and bool(limit.endpoint) == (limit.over is Over.ENDPOINT) for limit in market.limits)
    keepalive = market.keepalive
    assert keepalive is not None and bool(keepalive.send) != bool(keepalive.channel)
    assert keepalive.every_s < keepalive.cut_after_s
    assert bool(market.connection_counter) == any(topic.continuity.scope is Scope.CONNECTION for topic in market.topics)


@pytest.mark.parametrize("market", MARKETS, ids=named)
def test_a_chain_of_trades_that_nobody_has_stated_is_to_be_probed(market: MarketFacts) -> None:
    trades = next(topic for topic in market.topics if topic.kind == "trade")
    assert (trades.continuity.proof is Proof.NONE) or trades.sure is not Sure.DOCUMENTS


def test_each_topic_promises_what_its_continuity_lets_anyone_rely_on() -> None:
    assert all(topic.guarantee is topic.continuity.guarantee for _, topic in TOPICS)


def test_each_form_that_the_border_must_learn_is_there() -> None:
    found = [topic.continuity for _, topic in TOPICS]
    assert {Link.PREDECESSOR, Link.PLUS_ONE} <= {continuity.link for continuity in found}
    assert Proof.CHECKSUM in {continuity.proof for continuity in found}
    assert Scope.CONNECTION in {continuity.scope for continuity in found}
    assert {Repair.NEWEST, Repair.RESUBSCRIBE, Repair.RECONNECT} <= {continuity.repair for continuity in found}
    assert any(continuity.resets for continuity in found)
    assert any(len(market.routes) > 1 for market in MARKETS)
