"""Owns what we trust: certifi's roots, and a CA bundle of the user's own when one is set."""

from __future__ import annotations

import ssl

import certifi

from k2workers.errors import ConfigError

_prepared: list[ssl.SSLContext] = []


def prepare() -> None:
    """Read certifi's roots now for the next ``client_context``: the forkserver does it once for all children."""
    _prepared.append(_with_roots())


def client_context(ca_bundle: str) -> ssl.SSLContext:
    """A context that verifies certificates and host names. Raises ConfigError for an unusable bundle."""
    context = _prepared.pop() if _prepared else _with_roots()
    if ca_bundle:
        try:
            context.load_verify_locations(cafile=ca_bundle)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"binance_ca_bundle = {ca_bundle!r}: not a PEM file of certificates ({error})") from None
    return context


def _with_roots() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())
