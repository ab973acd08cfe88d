"""The connection to a feed: what comes is heard, and whatever else answers there is said in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from k2workers.top import feed_stream
from k2workers.top.feed_stream import FeedStream, NotGiven, mistake_in
from tests.support.waiting import until
from tests.system.support import free_port

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@asynccontextmanager
async def _server(answer: bytes, port: int | None = None) -> AsyncIterator[str]:
    """Gives everybody this answer, and ends the connection; yields where."""

    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(give, "127.0.0.1", port or free_port())
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize("head", [HEAD, HEAD.replace(b"Content-Type", b"content-type")])
async def test_each_part_is_heard_with_its_name_however_it_is_cut(head: bytes) -> None:
    heard: list[tuple[str, bytes]] = []
    body = b'event: now\ndata: {"a": 1}\n\n:\n\nevent: watch\ndata: []\n\nevent: big\ndata: ' + b"x" * 500_000 + b"\n\n"
    async with _server(head + body + b"event: half\ndata: ") as url:
        stream = FeedStream(lambda: url, lambda name, data: heard.append((name, data)))
        await stream.once()
    assert heard == [("now", b'{"a": 1}'), ("watch", b"[]"), ("big", b"x" * 500_000)]
    assert (stream.why, stream.url) == ("it has ended", url.rstrip("/"))


def _not_understood(_name: str, _data: bytes) -> None:
    raise NotGiven("of another version")


@pytest.mark.parametrize(
    ("answer", "hear", "why"),
    [
        (b"HTTP/1.0 503 Busy\r\n\r\n503: 16 others look\n", print, "it answers 503: 503: 16 others look"),
        (b"HTTP/1.0 404 No\r\nContent-Type: text/html\r\n\r\n<html>", print, "it answers 404"),
        (b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", print, "somebody else answers there, not a feed of k2workers"),
        (b"HTTP/1.0 200 OK\r\n\r\n", print, "somebody else answers there, not a feed of k2workers"),
        (b"SSH-2.0-OpenSSH\r\n", print, "it has ended"),
        (b"", print, "it has ended"),
        (HEAD + b"event: now\ndata: {}\n\n", _not_understood, "of another version"),
    ],
)  # fmt: skip
async def test_whoever_else_answers_is_said_in_words(
    answer: bytes, hear: Callable[[str, bytes], object], why: str
) -> None:
    async with _server(answer) as url:
        stream = FeedStream(lambda: url, hear)
        await stream.once()
        assert stream.why == why


async def test_what_has_no_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_stream, "MOST_BYTES", 1_000)
    async with _server(HEAD + b"x" * 100_000) as url:
        stream = FeedStream(lambda: url, print)
        await stream.once()
    assert stream.why == "what it sends has no end"


async def test_who_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_stream, "_WAITS", {"timeout": {"connect": 5.0, "read": 0.05}})
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: held.append(writer), "127.0.0.1", free_port())
    async with server:
        stream = FeedStream(lambda: f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", print)
        await stream.once()
        assert stream.why == "it says nothing"
        for writer in held:
            writer.close()


async def test_it_comes_back_by_itself_where_the_next_feed_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_stream, "AGAIN_S", 0.01)
    port, heard = free_port(), list[str]()
    stream = FeedStream(lambda: f"http://127.0.0.1:{port}", lambda name, _: heard.append(name))
    following = asyncio.ensure_future(stream.follow())
    await until(lambda: stream.why == "nobody listens there", "nobody")
    async with _server(HEAD + b"event: now\ndata: {}\n\n", port):
        await until(lambda: heard, "what it told")
    await until(lambda: stream.why == "nobody listens there", "nobody again")
    port = free_port()
    async with _server(HEAD + b"event: later\ndata: {}\n\n", port):
        await until(lambda: "later" in heard, "what the next one told")
    following.cancel()


async def test_a_search_that_fails_says_why() -> None:
    async with _server(b'HTTP/1.0 200 OK\r\n\r\n{"topics":9,"found":1,"shown":[]}') as url:
        stream = FeedStream(lambda: url.rstrip("/"), print)
        assert (await stream.topics("trade btc&limit=5", 3)).topics == 9
    with pytest.raises(NotGiven, match="nobody listens there"):
        await stream.topics("x", 3)
    for answer, why in (
        (b"HTTP/1.0 200 OK\r\n\r\n[]", "not understood"),
        (b"HTTP/1.0 400 No\r\n\r\nno", "it answers 400: no"),
    ):
        async with _server(answer) as url:
            with pytest.raises(NotGiven, match=why):
                await FeedStream(lambda url=url: url.rstrip("/"), print).topics("x", 3)  # type: ignore[misc]


@pytest.mark.parametrize("url", ["http://h", "http://127.0.0.1:9091/", "https://h.example:1/k2", "http://[::1]:9091"])
def test_an_address_is_one_of_http(url: str) -> None:
    assert mistake_in(url) == ""


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:9091", "ftp://h", "http://", "http://h:x", "http://h:0", "http://h:99999", "http://a b", "http://h\n", "http://ü"]
)  # fmt: skip
def test_what_is_no_address_is_told_what_is_allowed(url: str) -> None:
    assert mistake_in(url).startswith("allowed: http://HOST:PORT")
