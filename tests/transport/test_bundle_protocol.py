"""The page on the protocol names the messages that there are, and its parts are the modules of this package."""

from __future__ import annotations

import pkgutil
import re

import pytest

from k2workers import transport
from k2workers.transport import bundle_protocol, replay_server
from k2workers.wire import encode_bundle
from tests.transport.support import trades

PAGE = transport.__doc__ or ""


def test_the_page_has_every_message_once() -> None:
    table = PAGE[PAGE.index("message        from") : PAGE.index("What is durable")]
    rows = re.findall(r"^(\w+) +(?:worker|aggregator|subscriber|books), ", table, re.MULTILINE)
    of_links = [name for name, value in vars(bundle_protocol).items() if name.isupper() and isinstance(value, bytes)]
    of_requests = [name for name, value in vars(replay_server).items() if name.isupper() and isinstance(value, bytes)]
    assert sorted(rows) == sorted(
        {*of_links, *of_requests, "BOOK", "LEVELS", "publication", "heartbeat"} - {"LIFE", "MAKER"}
    )


def test_the_page_names_every_module_that_is_more_than_a_tool() -> None:
    parts = PAGE[PAGE.index("Parts") : PAGE.index("Three rules")]
    tools = {"endpoint", "sockets", "waiting_clock"}
    modules = {module.name for module in pkgutil.iter_modules(transport.__path__)}
    assert set(re.findall(r"``(\w+)``", parts)) == modules - tools


def test_numbers_travel_in_the_first_frame() -> None:
    frame = bundle_protocol.numbered(bundle_protocol.ACK, 2**40 + 7)
    assert (frame[:1], bundle_protocol.number_of(frame)) == (bundle_protocol.ACK, 2**40 + 7)


@pytest.mark.parametrize("frame", [b"", bundle_protocol.numbered(bundle_protocol.ACK, 1)[:-1]])
def test_a_frame_that_is_too_short_holds_no_number(frame: bytes) -> None:
    with pytest.raises(ValueError, match=f"a frame of {len(frame)} bytes holds no number"):
        bundle_protocol.number_of(frame)


def test_a_bundle_follows_its_number() -> None:
    bundle = encode_bundle([trades(1), trades(2)])
    frame = bundle_protocol.numbered(bundle_protocol.BUNDLE, 3) + bundle
    assert bundle_protocol.bundle_in(frame) == bundle
    assert bundle_protocol.bundle_of(frame) == [trades(1), trades(2)]
