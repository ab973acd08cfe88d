"""Owns which certificates we trust (certifi's roots, and the user's CA bundle if one is set), and the words for why a connection failed.

What is trusted does not depend on Python's version. Since 3.13 the standard library's default refuses a CA without key identifiers
(``VERIFY_X509_STRICT``), which many companies' own are, and trusts an intermediate CA of the bundle by itself
(``VERIFY_X509_PARTIAL_CHAIN``); before it was the other way round. Here both are accepted, on every version.
"""

from __future__ import annotations

import ssl

import certifi

from k2workers.errors import ConfigError

_prepared: list[ssl.SSLContext] = []

_CAUSES = {
    9: "a certificate is not valid yet (or this machine's clock is wrong)",
    10: "a certificate has expired (or this machine's clock is wrong)",
    **dict.fromkeys((2, 18, 19, 20, 21), "the certificate's issuer is unknown"),
    **dict.fromkeys((62, 64), "the certificate is for another host"),
}
"""By OpenSSL's number of what was wrong (X509_V_ERR_…, in x509_vfy.h)."""


def prepare() -> None:
    """Read certifi's roots now for the next ``client_context``: the forkserver does it once for all children."""
    _prepared.append(_with_roots())


def client_context(ca_bundle: str, setting: str = "ca_bundle") -> ssl.SSLContext:
    """A context that verifies certificates and host names. Raises ConfigError for an unusable bundle, by the ``setting`` that named it."""
    context = _prepared.pop() if _prepared else _with_roots()
    if ca_bundle:
        try:
            context.load_verify_locations(cafile=ca_bundle)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{setting} = {ca_bundle!r}: not a PEM file of certificates ({error})") from None
    return context


def reason(error: BaseException, ca_setting: str = "ca_bundle") -> str:
    """Why a connection failed: what was wrong with TLS if that was it, or the words of the first cause.

    The outermost error of a library says less, such as that all attempts have failed. ``ca_setting`` is where the user would add a CA.
    """
    words = ""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            what = _CAUSES.get(cause.verify_code, "the certificate is refused")
            return f"TLS: {what}: {cause.verify_message}; trusted are certifi's roots and the file of {ca_setting}"
        if isinstance(cause, BaseExceptionGroup):
            return ", ".join(dict.fromkeys(reason(each, ca_setting) for each in cause.exceptions))
        if isinstance(cause, ssl.SSLError):
            words = f"TLS: {cause.reason or cause}"
        elif isinstance(cause, Exception):
            words = str(cause) or words
    return words or type(error).__name__


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error and what led to it, the first cause last."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = (
            error.__cause__ or error.__context__
        )  # also one that a library suppressed: httpcore does so with all of them
    return chain


def _with_roots() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    return context
