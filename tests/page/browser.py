"""A real browser: Debian's Chromium, driven by Playwright. Nothing but the page that is looked at may be asked for, and nothing may be complained of."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import Program

CHROMIUM = shutil.which("chromium") or ""

MS = WAIT_S * 1_000

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 740}


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, with a new and empty profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """One page in a context of its own. ``complaints`` are what its console said and what failed, ``outside`` what was asked of others than ``url``."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.outside: list[str] = []
        self.asked: list[str] = []
        self.context: BrowserContext = browser.new_context(
            **{"viewport": DESKTOP, "timezone_id": "Asia/Kolkata", **options}
        )
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._requested)

    def open(self) -> Page:
        """Load the page."""
        self.page.goto(self.url)
        return self.page

    def _requested(self, request: Request) -> None:
        asked, own = urlsplit(request.url), urlsplit(self.url)
        self.asked.append(asked.path)
        if (asked.scheme, asked.netloc) != (own.scheme, own.netloc):
            self.outside.append(request.url)


def address(program: Program) -> str:
    """Where this feed answers HTTP."""
    return str(wait_for("the HTTP address in the log", lambda: program.logged("started"))[0]["http"])


def text(page: Page, selector: str) -> str:
    """What is read there."""
    return page.inner_text(selector)
