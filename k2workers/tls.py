"""Owns what we trust: certifi's roots, and a CA bundle of the user's own when one is set."""

from __future__ import annotations

import ssl

import certifi

from k2workers.errors import ConfigError


def client_context(ca_bundle: str) -> ssl.SSLContext:
    """A context that verifies certificates and host names. Raises ConfigError for an unusable bundle."""
    context = ssl.create_default_context(cafile=certifi.where())
    if ca_bundle:
        try:
            context.load_verify_locations(cafile=ca_bundle)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"binance_ca_bundle = {ca_bundle!r}: not a PEM file of certificates ({error})") from None
    return context
