"""Refusals in every form that the venue and those in front of it are known to use."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from tests.simulator.support import inject, running

KINDS = [("refuse", 429), ("refuse", 418), ("refuse", 403), ("rest_429", 429), ("rest_418", 418), ("rest_403", 403)]


async def refused(kind: str, status: int, **keys: Any) -> tuple[int, str | None, str]:
    """(HTTP status, Retry-After, body) of a handshake, or of a REST request."""
    async with running() as client:
        body = {"kind": kind, **keys} | ({"status": status} if kind == "refuse" else {})
        assert (await inject(client, **body))[0] == 200
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"} if kind == "refuse" else {}
        path = "/ws" if kind == "refuse" else "/api/v3/time"
        async with client.session.get(f"http://127.0.0.1:{client.port}{path}", headers=headers) as reply:
            return reply.status, reply.headers.get("Retry-After"), await reply.text()


@pytest.mark.parametrize(("kind", "status"), KINDS)
@pytest.mark.parametrize(("wait_s", "said"), [(-1, None), (0, "0"), (1.5, "1.5"), (120, "120"), (1_000_000, "1000000")])
async def test_seconds_are_absent_whole_or_decimal(kind: str, status: int, wait_s: float, said: str | None) -> None:
    assert (await refused(kind, status, retry_after_s=wait_s))[:2] == (status, said)


@pytest.mark.parametrize(("kind", "status"), KINDS)
async def test_a_date_is_one(kind: str, status: int) -> None:
    _, said, _ = await refused(kind, status, retry_after_s=600, retry_after_as="date")
    assert said is not None and said.endswith(" GMT")
    assert abs(parsedate_to_datetime(said).timestamp() - time.time() - 600) < 120


@pytest.mark.parametrize(("kind", "status"), [case for case in KINDS if case[1] != 403])
async def test_words_alone_say_until_when(kind: str, status: int) -> None:
    found, said, body = await refused(kind, status, retry_after_s=600, retry_after_as="words")
    assert (found, said) == (status, None)
    until = re.search(r"IP banned until (\d{13})", body)
    assert until is not None and abs(int(until[1]) / 1000 - time.time() - 600) < 120


@pytest.mark.parametrize(("kind", "status"), KINDS)
async def test_by_themselves_only_refused_requests_say_when(kind: str, status: int) -> None:
    assert (await refused(kind, status))[1] == ("2" if kind in ("rest_429", "rest_418") else None)


@pytest.mark.parametrize("kind", ["refuse", "rest_403"])
async def test_the_firewall_answers_with_a_page(kind: str) -> None:
    assert (await refused(kind, 403))[2].startswith("<html>")


async def test_a_refused_handshake_is_one_to_a_client_and_the_next_is_not() -> None:
    async with running() as client:
        await inject(client, kind="refuse", status=429, retry_after_s=120, count=1)
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await client.connect()
        assert error.value.headers is not None
        assert (error.value.status, error.value.headers["Retry-After"]) == (429, "120")
        await client.connect()
