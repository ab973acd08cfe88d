"""Owns which proxy an address is reached through. The environment says it, by one rule for WebSocket and REST:

* wss:// and https:// go through ``https_proxy``, ws:// and http:// through ``http_proxy``, and through ``all_proxy`` where that is not
  set. Each may be written in capitals; small letters win. An empty one counts as not set.
* Hosts that ``no_proxy`` names are reached directly, and loopback always is: a proxy's own would be another machine's.
* A proxy is ``http://``, ``https://``, ``socks5://`` or ``socks5h://`` with a host and a port; it looks up the venue's name itself.

No message holds what a variable is set to, since that may be a password.
"""

from __future__ import annotations

import importlib.util
import os
import urllib.request
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

import msgspec

from k2workers.errors import ConfigError
from k2workers.network.loopback import is_loopback

VARIABLES = {"wss": "https_proxy", "https": "https_proxy", "ws": "http_proxy", "http": "http_proxy"}
"""The variable of each scheme; ``ANYWHERE`` stands in for one that is not set."""

ANYWHERE = "all_proxy"
NOWHERE = "no_proxy"

DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

ALLOWED = " or ".join(f"{scheme}://HOST:PORT" for scheme in DEFAULT_PORTS)

SOCKS_PACKAGES = ("python_socks", "socksio")
"""What WebSocket and REST need for a SOCKS proxy."""


class Proxy(msgspec.Struct, frozen=True):
    """A proxy of the environment. Its ``address`` may be shown; ``name`` and ``password`` (text, empty if none) may not."""

    variable: str
    scheme: str
    host: str
    port: int
    name: str = ""
    password: str = ""

    @property
    def address(self) -> str:
        """Where it is found, without credentials."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    def __repr__(self) -> str:
        return f"<{self.address}, {self.variable}>"

    def url(self, scheme: str, host: str) -> str:
        """With credentials, under another scheme and host name."""
        credentials = f"{quote(self.name, safe='')}:{quote(self.password, safe='')}@" if self.name else ""
        return f"{scheme}://{credentials}{_bracketed(host)}:{self.port}"


def proxy_for(url: str, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy for this address; None if it is reached directly. Raises ConfigError, which names the variable."""
    target = urlsplit(url)
    host = target.hostname or ""
    name, value = _first_set(environ, VARIABLES[target.scheme], ANYWHERE)
    if not value or is_loopback(host):
        return None
    excepted = {"no": _first_set(environ, NOWHERE)[1]}
    # By host alone, and by host and port.
    if any(urllib.request.proxy_bypass_environment(word, excepted) for word in (host, target.netloc)):  # type: ignore[attr-defined]
        return None
    proxy = _parse(name, value)
    missing = [package for package in SOCKS_PACKAGES if importlib.util.find_spec(package) is None]
    if proxy.scheme.startswith("socks") and missing:
        raise ConfigError(
            f"{name} in the environment is a SOCKS proxy, which needs the extra: pip install 'k2workers[socks]' "
            f"(not installed: {', '.join(missing)})"
        )
    return proxy


def _first_set(environ: Mapping[str, str], *names: str) -> tuple[str, str]:
    for name in names:
        for spelling in (name, name.upper()):
            if value := environ.get(spelling, "").strip():
                return spelling, value
    return names[0], ""


def _parse(name: str, value: str) -> Proxy:
    try:
        address = urlsplit(value if "://" in value else f"http://{value}")
        if address.scheme not in DEFAULT_PORTS or not address.hostname or address.path not in {"", "/"}:
            raise ValueError
        return Proxy(
            name,
            address.scheme,
            address.hostname,
            address.port or DEFAULT_PORTS[address.scheme],
            unquote(address.username or "", errors="strict"),
            unquote(address.password or "", errors="strict"),
        )
    except ValueError:
        raise ConfigError(
            f"{name} in the environment is not the address of a proxy; allowed: {ALLOWED}, with NAME:PASSWORD@ before the host "
            "if it asks for them (special characters as %XX)"
        ) from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
