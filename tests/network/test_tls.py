"""What we trust, and what is told of the rest: by real handshakes, over WebSocket and REST."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from k2workers.errors import ConfigError, VenueError
from k2workers.feed.gathering import Gathering
from k2workers.feed.line import Line
from k2workers.feed.message_rate import MessageRate
from k2workers.network import tls
from k2workers.venues.binance.rest import RestClient
from k2workers.venues.binance.us import BinanceUs
from tests.support.venue import Venue


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return str(path)


def test_a_bundle_is_trusted_besides_the_roots_and_only_where_it_was_asked_for(bundle: str) -> None:
    roots = tls.client_context("").cert_store_stats()["x509_ca"]
    assert roots > 50
    tls.prepare()
    assert tls.client_context(bundle).cert_store_stats()["x509_ca"] == roots + 1
    assert tls.client_context("").cert_store_stats()["x509_ca"] == roots


def test_a_prepared_context_is_given_out_once() -> None:
    tls.prepare()
    assert tls.client_context("") is not tls.client_context("")


def test_a_bundle_that_is_none_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "none.pem"
    path.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"^own_ca = .*not a PEM file"):
        tls.client_context(str(path), "own_ca")


# ── handshakes ──────────────────────────────────────────────────────────────────────────────────────────────

HERE = "127.0.0.1"
LOOPS: list[Callable[..., object]] = [asyncio.run, uvloop.run]
NOW = datetime.now(UTC)


def served(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def words_of(run: Callable[..., object], server: ssl.SSLContext, bundle: str) -> tuple[str, str]:
    """What line and request fail with against such a server; empty if they do not."""

    async def attempt(venue: Venue) -> tuple[str, str]:
        line, context = (
            Line(1, venue.ws_url, lambda *_: None, lambda *_: None, Gathering(0), MessageRate(3)),
            tls.client_context(bundle),
        )
        words = ["", ""]
        try:
            await line.open(ssl_context=context, timeout_s=60, close_timeout_s=1, ca_setting="binance_ca_bundle")
            await line.close(1000, "done")
        except VenueError as error:
            words[0] = str(error)
        async with RestClient(venue.rest_url, context, dialect=BinanceUs.dialect) as rest:
            try:
                await rest.exchange_info()
            except VenueError as error:
                words[1] = str(error)
        return words[0], words[1]

    with Venue(tls=server) as venue:
        found: tuple[str, str] = run(attempt(venue))  # type: ignore[assignment]
    return found


Issue = Callable[[trustme.CA], trustme.LeafCert]


def issued(from_days: int, to_days: int) -> Issue:
    """For this host, valid from so many days after today to so many."""
    return lambda ca: ca.issue_cert(HERE, not_before=NOW + timedelta(from_days), not_after=NOW + timedelta(to_days))


@pytest.mark.parametrize("run", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("issue", "trusted", "cause"),
    [
        (lambda ca: ca.issue_cert(HERE), False, "the certificate's issuer is unknown"),
        (lambda ca: ca.issue_cert("venue.example"), True, f"the certificate is for another host: .*'{HERE}'"),
        (issued(-2, -1), True, "a certificate has expired"),
        (issued(1, 2), True, "a certificate is not valid yet"),
    ],
)
def test_a_certificate_that_is_refused_names_the_cause_and_the_setting(
    run: Callable[..., object], issue: Issue, trusted: bool, cause: str, bundle: str, tmp_path: Path
) -> None:
    authority = trustme.CA()
    if trusted:
        bundle = str(tmp_path / "trusted.pem")
        authority.cert_pem.write_to_path(bundle)
    settings = ("binance_ca_bundle", "binance_us_ca_bundle")
    for words, setting in zip(words_of(run, served(issue(authority)), bundle), settings, strict=True):
        assert re.search(f"TLS: {cause}.*{setting}", words), words


# ── one behaviour on every version of Python ────────────────────────────────────────────────────────────────


def without_key_identifiers(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server of a CA that has no key identifiers, as many companies' own; and that CA's PEM file."""
    own_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Company CA")])

    def certificate(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(1))
            .not_valid_after(NOW + timedelta(1))
        )

    authority = certificate("Company CA", own_key).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HERE))])
    leaf = certificate("server", server_key).add_extension(here, critical=False)
    pem, bundle, chain = serialization.Encoding.PEM, folder / "company.pem", folder / "chain.pem"
    bundle.write_bytes(authority.sign(own_key, hashes.SHA256()).public_bytes(pem))
    key_bytes = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(key_bytes + leaf.sign(own_key, hashes.SHA256()).public_bytes(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    return context, str(bundle)


def with_an_intermediate_alone(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server whose issuer is trusted, but not the root above it."""
    issuer, bundle = trustme.CA().create_child_ca(), folder / "issuer.pem"
    issuer.cert_pem.write_to_path(str(bundle))
    return served(issuer.issue_cert(HERE)), str(bundle)


@pytest.mark.parametrize("run", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("make", [without_key_identifiers, with_an_intermediate_alone])
def test_a_companys_own_authority_is_trusted_on_every_version_of_python(
    make: Callable[[Path], tuple[ssl.SSLContext, str]], run: Callable[..., object], tmp_path: Path
) -> None:
    server, bundle = make(tmp_path)
    assert words_of(run, server, bundle) == ("", "")
    assert all("issuer is unknown" in words for words in words_of(run, server, ""))
