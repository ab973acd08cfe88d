"""A browser, a feed to look at, and the page of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.page.browser import MS, Tab, address, chromium
from tests.system.support import Program, demo


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """A demonstration whose connections live for some seconds; one of its streams loses trades for a while, later."""
    with demo("--rotation-lifetime", "8", "--symbols", "BTCUSDT,ETHUSDT,BNBUSDT,SOLUSDT", shards=2) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def tab(browser: Browser, program: Program) -> Iterator[Tab]:
    """The page of that feed, opened; whatever it is looked at for, it complains of nothing and asks nobody else."""
    opened = Tab(browser, f"{address(program)}/")
    opened.open()
    opened.page.wait_for_selector("[data-state=ready]", timeout=MS)
    yield opened
    assert (opened.complaints, opened.outside) == ([], [])
    opened.context.close()
