"""The status page in a tab that stays open: past midnight, with a clock that is set, with more trouble than fits, while the feed does not answer, and when it is of another version."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from k2workers.page.page_files import FILES, FIRST, TYPES
from tests.page.browser import CHROMIUM, MS, Tab, address, text
from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import Program, free_port

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium here (apt-get install chromium)")


def test_what_happened_is_told_as_of_now_also_if_nothing_happens_any_more(tab: Tab) -> None:
    page = tab.page
    page.wait_for_selector("#happened time", timeout=MS)
    # Without the day, for it was today: at midnight that ceases to be true.
    page.evaluate("document.querySelector('#happened time').textContent = 'before midnight'")
    wait_for("the time as of now", lambda: "before midnight" not in text(page, "#happened"))


def test_a_list_that_is_cut_says_how_much_is_not_shown(tab: Tab) -> None:
    for ailing, shown in ((12, 12), (13, 13), (20, 13)):
        listed = tab.page.evaluate(
            """async (ailing) => {
                const { verdict } = await import("/page/verdict.js");
                const ailments = Array.from({ length: ailing }, (_, index) => ({ word: "no_connection", where: `worker-${index}`, text: `worker-${index}`, since_ms: 0 }));
                verdict({ at_ms: 1000, since_ms: 0, ailments, status: { ready: false, waiting_for: "", demo: true } }, []);
                return [...document.querySelectorAll("#ailments li")].map((item) => item.textContent);
            }""",
            ailing,
        )
        assert len(listed) == shown
        assert (listed[-1] == "and 8 more") is (ailing == 20)


def test_lines_go_on_when_the_clock_of_the_feed_was_set_back(tab: Tab) -> None:
    times = tab.page.evaluate(
        """async () => {
            const { Chart } = await import("/page/chart.js");
            const chart = new Chart(document.createElementNS("http://www.w3.org/2000/svg", "svg"), document.createElement("ul"), { write: String });
            for (const at_ms of [1000, 9000, 10000, 2000, 3000]) chart.add(at_ms, { trade: 1 });
            return chart.points.map((one) => one.at_ms);
        }"""
    )
    assert times == [1000, 2000, 3000]


def test_a_feed_that_stands_still_does_not_answer_and_the_page_says_so_until_it_does(
    browser: Browser, program: Program
) -> None:
    opened = Tab(browser, f"{address(program)}/")
    page = opened.open()
    page.wait_for_selector("[data-state=ready]", timeout=MS)
    program.process.send_signal(signal.SIGSTOP)
    try:
        page.wait_for_selector("[data-state=gone]", timeout=MS)
        assert text(page, "#verdict-words") == "The feed does not answer"
        assert re.search(r"since \d\d:\d\d:\d\d, for \d+ s", text(page, "#verdict-since"))
        assert page.title() == "✗ no answer · k2workers"
    finally:
        program.process.send_signal(signal.SIGCONT)
    page.wait_for_selector("[data-state=ready]", timeout=MS)
    assert opened.outside == []
    opened.context.close()


@pytest.mark.long
def test_questions_that_nobody_answers_are_given_up_for_a_browser_keeps_few_open(
    browser: Browser, program: Program
) -> None:
    opened = Tab(browser, f"{address(program)}/")
    page = opened.open()
    page.wait_for_selector("[data-state=ready]", timeout=MS)
    given_up: list[str] = []
    page.on("requestfailed", lambda request: given_up.append(f"{request.method} {urlsplit(request.url).path}"))
    page.fill("#search", "trade")
    page.wait_for_selector("#topics-rows tr", timeout=MS)

    def both_given_up() -> bool:
        page.wait_for_timeout(100)  # in which it is heard what the browser tells
        return {"HEAD /events", "GET /topics"} <= {*given_up}

    program.process.send_signal(signal.SIGSTOP)
    try:
        wait_for("both given up", both_given_up)
        assert "search failed" in text(page, "#topics-count")
    finally:
        program.process.send_signal(signal.SIGCONT)
    page.wait_for_selector("[data-state=ready]", timeout=MS)
    wait_for("the topics again", lambda: " of " in text(page, "#topics-count"))
    opened.context.close()


def _single(http_port: int) -> Program:
    """A small demonstration at this port."""
    ports = [f"--{name}-endpoint=tcp://127.0.0.1:{free_port()}" for name in ("publish", "snapshot", "books")]
    return Program(
        "--demo", "--shards", "1", "--symbols", "BTCUSDT", "--log-format", "json", "--http-port", str(http_port), *ports
    )


@pytest.mark.long
def test_a_page_whose_feed_has_ended_goes_on_with_the_next_one(browser: Browser) -> None:
    port = free_port()
    with _single(port) as first:
        first.wait_ready()
        opened = Tab(browser, f"{address(first)}/")
        page = opened.open()
        page.wait_for_selector("[data-state=ready]", timeout=MS)
        first.stop()
        page.wait_for_selector("[data-state=gone]", timeout=MS)
        wait_for("why", lambda: "nobody listens there" in text(page, "#verdict-since"))
    with _single(port):
        page.wait_for_selector("[data-state=ready]", timeout=MS)
    assert opened.outside == []
    opened.context.close()


class OtherVersion(BaseHTTPRequestHandler):
    """Gives the page of today, and says the same again and again, of which a part is no longer there."""

    now: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        name = urlsplit(self.path).path.removeprefix("/page").removeprefix("/")
        self.send_response(200 if name in {"", "events"} or (FILES / name).exists() else 404)
        self.send_header(
            "Content-Type", "text/event-stream" if name == "events" else TYPES.get(Path(name).suffix, "text/html")
        )
        self.end_headers()
        with contextlib.suppress(OSError):
            while name == "events":
                self.wfile.write(b"event: now\ndata: " + self.now + b"\n\n")
                threading.Event().wait(0.2)
            if (FILES / (name or FIRST)).exists():
                self.wfile.write((FILES / (name or FIRST)).read_bytes())

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_what_a_feed_of_another_version_tells_is_not_taken_for_well(browser: Browser, program: Program) -> None:
    with urllib.request.urlopen(f"{address(program)}/events", timeout=WAIT_S) as stream:
        told = next(line for line in stream if line.startswith(b'data: {"at_ms"'))
    changed = json.loads(told.removeprefix(b"data: "))
    assert changed.pop("connects")
    OtherVersion.now = json.dumps(changed).encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherVersion) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened = Tab(browser, f"http://127.0.0.1:{server.server_port}/")
        page = opened.open()
        page.wait_for_selector("[data-state=gone]", timeout=MS)
        assert "is it another version? Reload the page" in text(page, "#verdict-since")
        opened.context.close()
        server.shutdown()
