"""Owns the checks of the way to a venue: names, TLS, requests, clock and handshakes, the same way as the feed goes it. Knows no venue.

Costs the venue's limits one request of little weight, and one connection a route.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from k2workers.doctor import refused
from k2workers.doctor.diagnosis import Diagnosis, Grade
from k2workers.doctor.examination import LIMIT_S, Check
from k2workers.errors import VenueError
from k2workers.feed import dialing
from k2workers.feed.gathering import Gathering
from k2workers.feed.line import Line
from k2workers.feed.message_rate import MessageRate
from k2workers.network import tls
from k2workers.network.proxies import proxy_for
from k2workers.processes.market_plan import ANY_SYMBOL, MarketPlan
from k2workers.rotation.closing import CLOSE_CODE

if TYPE_CHECKING:
    from k2workers.venues.venue import Route

CLOCK_S = 0.5
"""By so much the clocks may differ beyond what the way there and back may hide: latencies are off by as much."""

FEW_DAYS = 14

FIREWALL = "something on the way drops the connection: does a firewall block this port?"

NO_LIMIT_S = 10 * LIMIT_S
"""For what has a limit of its own: the check's is shorter, and says what it means."""

SECURE = {"https": "wss", "wss": "wss"}
"""Of addresses with TLS: how ``dialing`` knows them."""


def checks(market: MarketPlan) -> list[Check]:
    """Those of one venue."""
    asked = [_addresses(market), _requests(market), *_handshakes(market)]
    return [*asked[:1], *_certificates(market), *asked[1:]]


def _check(
    market: MarketPlan, name: str, look: Callable[[], Coroutine[Any, Any, Sequence[Diagnosis]]], silence: str
) -> Check:
    return Check(name, look, silence, market.name)


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────


def _addresses(market: MarketPlan) -> Check:
    async def look() -> list[Diagnosis]:
        urls = {_host(url): url for url in (market.websocket_url, market.rest_url)}
        return list(await asyncio.gather(*(_look_up(market.name, url) for url in urls.values())))

    return _check(market, "dns", look, "no name server answers: is this machine connected? See /etc/resolv.conf")


async def _look_up(of: str, url: str) -> Diagnosis:
    proxy = proxy_for(url)
    host, way = _host(url), ""
    if proxy is not None:
        host, way = proxy.host, f"the proxy of {proxy.variable} looks up {host}; its own name: "
    found = functools.partial(Diagnosis, "dns", venue=of)
    try:
        ipaddress.ip_address(host)
        return found(Grade.OK, f"{way}{host} needs no name server")
    except ValueError:
        pass
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(host, None, type=1)
    except (OSError, UnicodeError) as error:
        advice = "is the name right, and is this machine connected? See /etc/resolv.conf. Some networks block the names of exchanges"
        return found(Grade.FAILED, f"{way}{host} is not found: {getattr(error, 'strerror', None) or error}", advice)
    addresses = list(dict.fromkeys(str(row[4][0]) for row in rows))
    return found(Grade.OK, f"{way}{host} is {', '.join(addresses[:4])}{' …' if len(addresses) > 4 else ''}")


# ── TLS ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _certificates(market: MarketPlan) -> list[Check]:
    urls = {
        urlsplit(url).netloc: url for url in (market.websocket_url, market.rest_url) if urlsplit(url).scheme in SECURE
    }
    return [_check(market, "tls", functools.partial(_shake, market, url), FIREWALL) for url in urls.values()]


async def _shake(market: MarketPlan, url: str) -> list[Diagnosis]:
    found, target = functools.partial(Diagnosis, "tls", venue=market.name), urlsplit(url)
    proxy = proxy_for(url)
    if proxy is not None:
        return [
            found(Grade.SKIPPED, f"{target.netloc} is reached through {proxy.address}: see the checks rest and stream")
        ]
    context = tls.client_context(market.own.ca_bundle, market.venue.ca_bundle_setting)
    try:
        way = await dialing.way_to(f"{SECURE[target.scheme]}://{_netloc(url)}", None, NO_LIMIT_S)
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=way["sock"], ssl=context, server_hostname=_host(url)
        )
    except OSError as error:  # ssl's are too
        why = tls.reason(error, market.venue.ca_bundle_setting)
        return [found(Grade.FAILED, f"{target.netloc}: {why}", _tls_advice(why, market))]
    session: ssl.SSLObject = transport.get_extra_info("ssl_object")
    transport.abort()
    certificate = session.getpeercert() or {}
    days = int((ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) // 86_400)
    words = f"{target.netloc}: {session.version()}, certificate for {days} more days"
    if days < FEW_DAYS:
        return [found(Grade.WARNING, words, "its operator must renew it")]
    return [found(Grade.OK, words)]


def _tls_advice(why: str, market: MarketPlan) -> str:
    if "clock" in why:
        return "compare `date -u` with a clock that is right; keep it right with chrony or systemd-timesyncd"
    if why.startswith("TLS:"):
        return f"does a proxy or a firewall on the way show its own certificate? Then set its CA with {market.venue.ca_bundle_setting}"
    return "is the address right, and does a firewall block this port?"


# ── requests, and the clock ─────────────────────────────────────────────────────────────────────────────────


def _requests(market: MarketPlan) -> Check:
    async def look() -> list[Diagnosis]:
        begun_ns, begun = time.time_ns(), time.monotonic_ns()
        try:
            shown_ns = await market.venue.clock_ns(market.rest_url, market.rest_context())
        except VenueError as error:
            unknown = Diagnosis("clock", Grade.SKIPPED, "the venue did not report its time", venue=market.name)
            return [_refusal("rest", market, market.rest_url, error), unknown]
        took_ns = time.monotonic_ns() - begun
        answered = Diagnosis(
            "rest", Grade.OK, f"{market.rest_url} answered in {took_ns / 1e6:.0f} ms", venue=market.name
        )
        return [answered, _compared(market.name, shown_ns - begun_ns - took_ns // 2, took_ns // 2)]

    return _check(
        market,
        "rest",
        look,
        "something on the way drops the connection: a firewall? If a proxy is needed, set https_proxy",
    )


def _compared(of: str, ahead_ns: int, doubt_ns: int) -> Diagnosis:
    """What a venue's clock that is ``ahead_ns`` of ours, give or take ``doubt_ns``, means."""
    words = f"the venue's clock is {abs(ahead_ns) / 1e9:.3f} s {'ahead of' if ahead_ns >= 0 else 'behind'} ours (±{doubt_ns / 1e9:.3f})"
    if abs(ahead_ns) - doubt_ns <= CLOCK_S * 1e9:
        return Diagnosis("clock", Grade.OK, words, venue=of)
    advice = "set this machine's clock (chrony, systemd-timesyncd): latencies are wrong by that much"
    return Diagnosis("clock", Grade.WARNING, words, advice, of)


# ── handshakes ──────────────────────────────────────────────────────────────────────────────────────────────


def _handshakes(market: MarketPlan) -> list[Check]:
    routes = market.venue.routes(market.venue.stream_specs(market.streams, [ANY_SYMBOL]))
    return [_check(market, "stream", functools.partial(_connect, market, route), FIREWALL) for route in routes]


async def _connect(market: MarketPlan, route: Route) -> list[Diagnosis]:
    url = route.url(market.websocket_url)
    line = Line(0, url, lambda *_: None, lambda *_: None, Gathering(0), MessageRate(1.0))
    context = None
    if url.startswith("wss:"):
        context = tls.client_context(market.own.ca_bundle, market.venue.ca_bundle_setting)
    begun = time.monotonic_ns()
    try:
        await line.open(
            ssl_context=context,
            timeout_s=NO_LIMIT_S,
            close_timeout_s=LIMIT_S / 5,
            read_refusal=market.venue.read_refusal,
            ca_setting=market.venue.ca_bundle_setting,
        )
    except VenueError as error:
        return [_refusal("stream", market, url, error)]
    took_ms = (time.monotonic_ns() - begun) / 1e6
    await line.close(CLOSE_CODE, "")
    return [Diagnosis("stream", Grade.OK, f"{_host(url)} accepted a connection in {took_ms:.0f} ms", venue=market.name)]


def _refusal(check: str, market: MarketPlan, url: str, error: VenueError) -> Diagnosis:
    advice, proxy = refused.advice(error.status, error.retry_after_s), proxy_for(url)
    if proxy is not None and not error.status:
        advice = f"the way leads through the proxy of {proxy.variable}, {proxy.address}: is it running, and does it permit this connection?"
    return Diagnosis(check, Grade.FAILED, str(error), advice, market.name)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _netloc(url: str) -> str:
    """Host and port, with the scheme's own where none is said."""
    target = urlsplit(url)
    return target.netloc if target.port else f"{target.netloc}:443"
