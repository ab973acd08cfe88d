"""The one rule of proxies: which variable counts for which address, and what a mistake is told."""

from __future__ import annotations

import sys

import pytest

from k2workers.errors import ConfigError
from k2workers.network.proxies import proxy_for

P, Q, R = "http://p.example:1", "http://q.example:2", "http://r.example:3"


@pytest.mark.parametrize(
    ("url", "environ", "address"),
    [
        ("wss://x.example:9443", {"https_proxy": P, "http_proxy": Q, "all_proxy": R}, P),
        ("https://x.example", {"https_proxy": P, "http_proxy": Q, "all_proxy": R}, P),
        ("ws://x.example", {"https_proxy": P, "http_proxy": Q, "all_proxy": R}, Q),
        ("http://x.example", {"https_proxy": P, "http_proxy": Q, "all_proxy": R}, Q),
        ("wss://x.example", {"http_proxy": Q, "ALL_PROXY": R}, R),
        ("http://x.example", {"https_proxy": P}, None),
        ("https://x.example", {"https_proxy": P, "HTTPS_PROXY": Q}, P),
        ("https://x.example", {"https_proxy": "", "HTTPS_PROXY": " ", "all_proxy": R}, R),
        ("https://x.example", {"HTTPS_PROXY": "q.example:2/"}, Q),
        ("https://x.example", {"HTTPS_PROXY": "socks5h://[::1]"}, "socks5h://[::1]:1080"),
        ("https://x.example", {"all_proxy": P, "no_proxy": "y.example,x.example"}, None),
        ("https://x.example", {"all_proxy": P, "NO_PROXY": ".example"}, None),
        ("https://x.example:8443", {"all_proxy": P, "NO_PROXY": "x.example:8443"}, None),
        ("https://x.example:9443", {"all_proxy": P, "NO_PROXY": "x.example:8443"}, P),
        ("https://x.example", {"all_proxy": P, "no_proxy": "*"}, None),
        ("ws://127.0.0.1:9443", {"http_proxy": Q, "all_proxy": R}, None),
        ("http://[::1]:9443", {"http_proxy": Q}, None),
        ("http://localhost", {"http_proxy": Q}, None),
    ],
)
def test_the_variable_of_the_scheme_then_all_proxy_and_never_to_loopback(
    url: str, environ: dict[str, str], address: str | None
) -> None:
    proxy = proxy_for(url, environ)
    assert (proxy.address if proxy else None) == address


@pytest.mark.parametrize(
    "value",
    [
        "socks4://me:secret@p.example:1", "http://", "http://me:secret@", "http://[::1", "http://me:secret@host:none",
        "http://me:sec/ret@p.example:1", "http://me:secret%ff@p.example:1", "http://host:0x50", "http://p.example:1/path",
    ],
)  # fmt: skip
def test_what_is_no_proxy_is_told_with_the_variable_and_without_its_secrets(value: str) -> None:
    with pytest.raises(ConfigError, match="ALL_PROXY in the environment is not the address of a proxy") as caught:
        proxy_for("wss://x.example", {"ALL_PROXY": value})
    assert "sec" not in str(caught.value)


def test_credentials_are_kept_and_never_shown() -> None:
    proxy = proxy_for("wss://x.example", {"https_proxy": "http://me:p%40ss@p.example:1"})
    assert proxy is not None
    assert (proxy.name, proxy.password) == ("me", "p@ss")
    assert proxy.url("http", "::1") == "http://me:p%40ss@[::1]:1"
    assert "p@ss" not in f"{proxy} {proxy!r} {proxy.address}"


@pytest.mark.parametrize("package", ["python_socks", "socksio"])
def test_a_socks_proxy_without_the_extra_names_the_variable_and_the_extra(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proxy_for("wss://x.example", {"ALL_PROXY": "socks5://p.example:1"}) is not None
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(
        ConfigError, match=rf"ALL_PROXY .* pip install 'k2workers\[socks\]' \(not installed: {package}\)"
    ):
        proxy_for("wss://x.example", {"ALL_PROXY": "socks5://p.example:1"})
