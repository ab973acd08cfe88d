"""The way to a venue, looked at as the feed goes it: against a venue that a test can bend, over real sockets."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from k2workers import config
from k2workers.doctor import venue_checks
from k2workers.doctor.diagnosis import Diagnosis, Grade
from k2workers.doctor.examination import examine_all
from k2workers.processes.run_plan import RunPlan
from tests.support.proxy import ForwardProxy
from tests.support.venue import Answer, Venue


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def examined(
    websocket_url: str, rest_url: str, limit_s: float = 60.0, **settings: str
) -> dict[str, list[Diagnosis]]:
    given = {"binance_websocket_url": websocket_url, "binance_rest_url": rest_url, **settings}
    plan = RunPlan(config.load(given, environ={}), Path(), origin_ns=0)
    by_check: dict[str, list[Diagnosis]] = {}
    for finding in await examine_all(venue_checks.checks(plan.markets[0]), limit_s):
        assert finding.venue == "binance"
        by_check.setdefault(finding.check, []).append(finding)
    return by_check


def grades(found: dict[str, list[Diagnosis]]) -> dict[str, list[str]]:
    return {check: sorted({str(finding.grade) for finding in those}) for check, those in found.items()}


async def test_a_venue_in_order_is_found_so_with_one_light_request_and_one_connection() -> None:
    with Venue() as venue:
        found = await examined(venue.ws_url, venue.rest_url)
        assert grades(found) == {"dns": ["ok"], "rest": ["ok"], "clock": ["ok"], "stream": ["ok"]}
        assert [asked.path for asked in venue.requests] == ["time"]
        assert [asked.status for asked in venue.handshakes] == [101]
        assert venue.subscribed == []
    assert "needs no name server" in found["dns"][0].found


@pytest.mark.parametrize(
    ("status", "words"),
    [(451, "region block"), (403, "firewall"), (429, "used up its limit"), (418, "banned"), (502, "ill")],
)
async def test_a_refusal_of_either_is_named_with_what_to_do_and_the_other_is_looked_at(status: int, words: str) -> None:
    refusal = Answer(status, "Service unavailable from a restricted location", {"Retry-After": "77"})
    with Venue() as venue:
        venue.on_rest = lambda _path, _query: refusal
        found = await examined(venue.ws_url, venue.rest_url)
        assert grades(found) == {"dns": ["ok"], "rest": ["failed"], "clock": ["skipped"], "stream": ["ok"]}
        assert f"HTTP {status}" in found["rest"][0].found
        assert words in found["rest"][0].advice
        if status != 451:
            assert "in 77 s" in found["rest"][0].advice
        venue.on_rest = lambda _path, _query: None
        venue.on_handshake = lambda: refusal
        found = await examined(venue.ws_url, venue.rest_url)
        assert grades(found) == {"dns": ["ok"], "rest": ["ok"], "clock": ["ok"], "stream": ["failed"]}
        assert words in found["stream"][0].advice


async def test_what_answers_and_is_not_the_venue_is_told() -> None:
    with Venue() as venue:
        venue.on_rest = lambda _path, _query: Answer(200, "<html>Welcome to our guest network</html>")
        (rest,) = (await examined(venue.ws_url, venue.rest_url))["rest"]
    assert "not understood" in rest.found


@pytest.mark.parametrize(("ahead_us", "words"), [(3_000_000_000, "ahead of ours"), (-3_000_000_000, "behind ours")])
async def test_a_clock_that_is_wrong_is_a_warning(ahead_us: int, words: str) -> None:
    with Venue() as venue:
        venue.clock_ahead_us = ahead_us
        (clock,) = (await examined(venue.ws_url, venue.rest_url))["clock"]
    assert clock.grade is Grade.WARNING
    assert words in clock.found
    assert "chrony" in clock.advice


async def test_an_address_where_nobody_listens_and_a_name_that_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = await examined(f"ws://127.0.0.1:{port}", "http://no.such.name.invalid")
    assert grades(found) == {"dns": ["failed", "ok"], "rest": ["failed"], "clock": ["skipped"], "stream": ["failed"]}
    assert any("no.such.name.invalid is not found" in finding.found for finding in found["dns"])
    assert "is the address right" in found["stream"][0].advice


async def test_what_takes_connections_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        found = await examined(f"wss://{at}", f"https://{at}", limit_s=0.5)
    for check in ("tls", "rest", "stream"):
        assert found[check][0].grade is Grade.FAILED
        assert found[check][0].found == "no answer within 0.5 s"
        assert "firewall" in found[check][0].advice


def contexts(authority: trustme.CA, **dates: object) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", **dates).configure_cert(context)  # type: ignore[arg-type]
    return context


async def test_a_certificate_that_is_not_trusted_is_told_with_the_setting_that_would_trust_it(tmp_path: Path) -> None:
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with Venue(tls=contexts(authority)) as venue:
        found = await examined(venue.ws_url, venue.rest_url)
        assert grades(found) == {
            "dns": ["ok"],
            "tls": ["failed"],
            "rest": ["failed"],
            "clock": ["skipped"],
            "stream": ["failed"],
        }
        assert "issuer is unknown" in found["tls"][0].found
        assert "binance_ca_bundle" in found["tls"][0].advice
        trusted = await examined(venue.ws_url, venue.rest_url, binance_ca_bundle=str(bundle))
        assert grades(trusted) == {"dns": ["ok"], "tls": ["ok"], "rest": ["ok"], "clock": ["ok"], "stream": ["ok"]}
        assert "TLSv1.3, certificate for" in trusted["tls"][0].found


async def test_a_certificate_that_ends_soon_or_has_ended(tmp_path: Path) -> None:
    authority, now = trustme.CA(), datetime.now(UTC)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)

    async def shaken(days: int) -> Diagnosis:
        with Venue(tls=contexts(authority, not_after=now + timedelta(days=days))) as venue:
            (found,) = (await examined(venue.ws_url, venue.rest_url, binance_ca_bundle=str(bundle)))["tls"]
            return found

    assert (await shaken(3)).grade is Grade.WARNING
    ended = await shaken(-3)
    assert "expired" in ended.found
    assert "date -u" in ended.advice


async def test_a_file_that_is_no_ca_bundle_is_a_mistake_of_the_setting(tmp_path: Path) -> None:
    bundle = tmp_path / "notes.txt"
    bundle.write_text("no certificate", encoding="ascii")
    found = await examined("wss://127.0.0.1:1", "https://127.0.0.1:1", binance_ca_bundle=str(bundle))
    for check in ("tls", "rest", "stream"):
        assert "not a PEM file of certificates" in found[check][0].found


async def test_a_proxy_is_used_as_the_feed_uses_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("stream.example", "api.example").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with Venue(tls=context) as venue:
        leads_to = {"stream.example": venue.port, "api.example": venue.port}
        with ForwardProxy("http", leads_to) as proxy:
            monkeypatch.setenv("all_proxy", f"http://me:p%40ss%3A%2Fw%25rd@127.0.0.1:{proxy.port}")
            found = await examined("wss://stream.example", "https://api.example", binance_ca_bundle=str(bundle))
            assert sorted(proxy.asked) == ["api.example:443", "stream.example:443"]
    assert grades(found) == {"dns": ["ok"], "tls": ["skipped"], "rest": ["ok"], "clock": ["ok"], "stream": ["ok"]}
    assert "the proxy of all_proxy looks up" in found["dns"][0].found
    assert "p@ss" not in str(found) and "p%40ss" not in str(found)


async def test_where_the_way_leads_through_a_proxy_that_is_the_one_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    found = await examined("wss://stream.example", "https://api.example")
    for check in ("rest", "stream"):
        assert "the proxy of https_proxy, http://127.0.0.1:1: is it running" in found[check][0].advice


async def test_a_proxy_that_is_none_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "ftp://nowhere")
    found = await examined("wss://stream.example", "https://api.example")
    assert set(grades(found)) == {"dns", "tls", "rest", "stream"}
    for those in found.values():
        assert those[0].grade is Grade.FAILED
        assert "https_proxy in the environment is not the address of a proxy" in those[0].found
