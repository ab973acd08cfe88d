"""Owns the list of peers: which libraries, in which versions, read by which script, and what their users get. Pure."""

from __future__ import annotations

from dataclasses import dataclass

ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "picows": ("picows==2.3.1", "aiofastnet==1.2.0", "msgspec==0.22.0", "uvloop==0.23.0", "pyzmq==27.3.0"),
    "unicorn": (
        "unicorn-binance-websocket-api==2.16.1", "unicorn-fy==0.17.2", "unicorn-binance-rest-api==2.12.0",
        "picows==2.3.1", "aiofastnet==1.2.0", "websockets==17.4", "orjson==3.13.0",
    ),
    "nautilus": ("nautilus-trader==1.221.0", "msgspec==0.22.0", "uvloop==0.22.1"),
    "cryptofeed": ("cryptofeed==2.4.1", "order-book==0.6.1", "yapic.json==1.9.5", "websockets==17.4", "uvloop==0.23.0"),
    "python_binance": ("python-binance==1.0.37", "websockets==17.4", "orjson==3.13.0", "uvloop==0.23.0"),
    "ccxt": ("ccxt==4.5.90", "aiohttp==3.14.5", "orjson==3.13.0", "uvloop==0.22.1"),
}  # fmt: skip
"""Virtual environments and what is installed in them; pinned is what the time of an event can depend on.

The newest versions that install on Python 3.11; cryptofeed 3 and nautilus_trader 1.222 and later need newer Pythons.
"""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One way of one library.

    ``script`` is the reader in this directory that the Python of ``environment`` runs, told ``way``. ``gives`` is what the
    user's callback or iterator gets for each event. ``kinds`` and ``layers`` are those that it can read.
    """

    library: str
    environment: str
    script: str
    gives: str
    way: str = ""
    kinds: tuple[str, ...] = ("trade", "agg_trade")
    layers: tuple[str, ...] = ("TCP", "TLS")

    @property
    def name(self) -> str:
        """The library with its version, and its way."""
        version = next(pin for pin in ENVIRONMENTS[self.environment] if pin.startswith(f"{self.library}==")).partition(
            "=="
        )[2]
        return f"{self.library} {version} {self.way}".rstrip()


UNICORN = "unicorn-binance-websocket-api"

PEERS = (
    Peer(library="picows", environment="picows", script="picows_reader.py", way="raw", gives="frame, not looked at"),
    Peer(library="picows", environment="picows", script="picows_reader.py", way="msgspec", gives="struct"),
    Peer(library="picows", environment="picows", script="picows_reader.py", way="push", gives="batches, pushed"),
    Peer(library=UNICORN, environment="unicorn", script="unicorn_reader.py", way="picows", gives="JSON text"),
    Peer(library=UNICORN, environment="unicorn", script="unicorn_reader.py", way="websockets", gives="JSON text"),
    # It trusts only the authorities that are compiled in, so TLS with a certificate of our own is out of its reach.
    Peer(
        library="nautilus-trader", environment="nautilus", script="nautilus_reader.py", way="message", gives="struct",
        kinds=("trade",), layers=("TCP",),
    ),
    Peer(
        library="nautilus-trader", environment="nautilus", script="nautilus_reader.py", way="tick", gives="TradeTick",
        kinds=("trade",), layers=("TCP",),
    ),
    # Its trades are the venue's aggregate ones.
    Peer(
        library="cryptofeed", environment="cryptofeed", script="cryptofeed_reader.py", gives="Trade, Decimal",
        kinds=("agg_trade",),
    ),
    Peer(library="python-binance", environment="python_binance", script="python_binance_reader.py", gives="dict"),
    Peer(library="ccxt", environment="ccxt", script="ccxt_reader.py", gives="unified dict"),
)  # fmt: skip
