from __future__ import annotations

import pytest

from k2workers.transport.endpoint import (
    endpoints_of,
    is_ipv6,
    is_open_to_others,
    mistake_in,
    mistakes_of_flags,
    next_endpoint,
    next_port,
    path_of,
    split_tcp,
)


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://127.0.0.1:5555", "tcp://*:0", "tcp://feed.example:*", "ipc:///run/k2/push", "tcp://[::1]:5555", "tcp://[::]:*",
        "tcp://[fe80::1%eth0]:5555", f"ipc:///{'x' * 106}",
    ],
)  # fmt: skip
def test_what_zeromq_takes_is_taken(endpoint: str) -> None:
    assert mistake_in(endpoint) == ""
    assert is_ipv6(endpoint) == ("[" in endpoint)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("", "tcp://HOST:PORT"),
        ("localhost:5555", "tcp://HOST:PORT"),
        ("sctp://a:1", "tcp://HOST:PORT"),
        ("ipc://", "ipc://PATH"),
        (f"ipc:///{'x' * 107}", "at most 107 bytes"),
        (f"ipc:///{'ü' * 54}", "at most 107 bytes"),
        ("tcp://:5555", "tcp://HOST:PORT"),
        ("tcp://127.0.0.1", "tcp://HOST:PORT"),
        ("tcp://127.0.0.1:²", "tcp://HOST:PORT"),
        ("tcp://[::1]", "tcp://[IPv6]:PORT"),
        ("tcp://127.0.0.1:65536", "at most 65535"),
        ("tcp://::1:5555", "stands in brackets, such as tcp://[::1]:5555"),
        ("tcp://[::1:5555", "stands in brackets"),
        ("tcp://[nonsense:]:5555", "stands in brackets"),
    ],
)
def test_what_it_does_not_is_told_with_what_is_allowed(endpoint: str, words: str) -> None:
    assert words in mistake_in(endpoint)
    assert not is_ipv6(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"),
        ("tcp://feed.example:7", "tcp://feed.example:8"),
        ("tcp://[::1]:5555", "tcp://[::1]:5556"),
        ("tcp://127.0.0.1:65535", ""),
        ("tcp://127.0.0.1:*", ""),
        ("ipc:///run/k2/publish:5555", ""),
        ("inproc://a:5555", ""),
        ("tcp://:5555", ""),
    ],
)
def test_the_next_port_is_of_the_same_host(endpoint: str, expected: str) -> None:
    assert next_port(endpoint) == expected


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5557"),
        ("tcp://[::1]:*", "tcp://[::1]:*"),
        ("tcp://127.0.0.1:65535", "tcp://127.0.0.1:*"),
        ("ipc:///run/k2/snapshot", "ipc:///run/k2/snapshot-books"),
    ],
)
def test_any_endpoint_has_a_next_one(endpoint: str, expected: str) -> None:
    assert next_endpoint(endpoint) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("", "", ""), ("tcp://a:6", "tcp://a:7", "tcp://a:8")),
        (("tcp://b:1", "", ""), ("tcp://b:1", "tcp://b:2", "tcp://b:3")),
        (("", "ipc://x", ""), ("tcp://a:6", "ipc://x", "")),
        (("", None, ""), ("tcp://a:6", None, "")),
        (("", None, "tcp://c:1"), ("tcp://a:6", None, "tcp://c:1")),
        (("", "", None), ("tcp://a:6", "tcp://a:7", "")),
    ],
)
def test_a_subscriber_asks_at_the_ports_that_follow_unless_others_are_given(
    given: tuple[str, str | None, str | None], expected: tuple[str, str | None, str]
) -> None:
    assert endpoints_of("tcp://a:5", *given) == expected


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [("ipc:///run/k2/push", "/run/k2/push"), ("ipc://@name", ""), ("ipc://*", ""), ("tcp://127.0.0.1:5555", "")],
)
def test_only_a_path_is_a_file(endpoint: str, path: str) -> None:
    assert path_of(endpoint) == path


def test_an_endpoint_in_numbers_has_an_address_and_a_port() -> None:
    assert split_tcp("tcp://127.0.0.1:5555") == ("127.0.0.1", 5555)
    assert split_tcp("tcp://[fe80::1%eth0]:80") == ("fe80::1%eth0", 80)


def test_the_command_line_of_a_subscriber_is_told_all_its_mistakes() -> None:
    assert mistakes_of_flags(["a", "b."], endpoint="tcp://a:1", snapshot_endpoint="") == []
    found = mistakes_of_flags(["a b", ""], endpoint="", snapshot_endpoint="x")
    assert [words.partition(":")[0] for words in found] == [
        "endpoint = ''",
        "snapshot_endpoint = 'x'",
        "topic 'a b'",
        "topic ''",
    ]
    assert found[1].endswith("(flag --snapshot-endpoint)")


@pytest.mark.parametrize(
    ("endpoint", "others"),
    [
        ("tcp://127.0.0.1:1", False),
        ("tcp://[::1]:*", False),
        ("ipc:///run/k2", False),
        ("tcp://*:1", True),
        ("tcp://[::]:1", True),
    ],
)
def test_whether_other_machines_can_connect(endpoint: str, others: bool) -> None:
    assert is_open_to_others(endpoint) is others
