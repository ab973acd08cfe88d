"""The bendable venue answers as its documents say before anybody bends it, and knows nothing of the package."""

from __future__ import annotations

import ast
import json
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.support.venue import Answer, Venue


def test_it_shares_no_code_with_the_package() -> None:
    tree = ast.parse((Path(__file__).parent / "venue.py").read_text(encoding="utf-8"))
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in names if name.startswith("k2workers")]


def test_streams_and_rest_tell_the_same_ids() -> None:
    with Venue(["AAAUSDT"], every_s=0.01) as venue, connect(f"{venue.ws_url}/stream?timeUnit=MICROSECOND") as client:
        client.send(json.dumps({"method": "SUBSCRIBE", "params": ["aaausdt@trade"], "id": 1}))
        assert json.loads(client.recv(30)) == {"result": None, "id": 1}
        ids = [json.loads(client.recv(30))["data"]["t"] for _ in range(5)]
        assert ids == list(range(ids[0], ids[0] + 5))
        with urllib.request.urlopen(
            f"{venue.rest_url}/api/v3/historicalTrades?symbol=AAAUSDT&fromId={ids[0]}"
        ) as reply:
            assert [entry["id"] for entry in json.load(reply)][:5] == ids


def test_a_client_that_sends_more_than_five_messages_a_second_loses_its_connection() -> None:
    with Venue() as venue, connect(f"{venue.ws_url}/stream") as client:
        for number in range(6):
            client.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        answered: list[int] = []
        with pytest.raises(ConnectionClosedError):
            answered.extend(json.loads(message)["id"] for message in client)
        assert answered == list(range(5))
        assert client.close_code == 1008


def test_hooks_answer_in_its_place() -> None:
    with Venue() as venue:
        venue.on_rest = lambda path, _query: Answer(200, {"symbols": "bent"}) if path == "exchangeInfo" else None
        with urllib.request.urlopen(f"{venue.rest_url}/api/v3/exchangeInfo") as reply:
            assert json.load(reply) == {"symbols": "bent"}
        assert [asked.status for asked in venue.asked("exchangeInfo")] == [200]
