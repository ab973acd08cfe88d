"""What we trust."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from k2workers import tls
from k2workers.errors import ConfigError


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


def test_a_bundle_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none.pem"
    path.write_text("no certificate")
    with pytest.raises(ConfigError, match="not a PEM file"):
        tls.client_context(str(path))
