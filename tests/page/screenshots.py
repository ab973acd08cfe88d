"""``python -m tests.page.screenshots FOLDER``: the status page of a demonstration as pictures, light and dark, on a desk and on a phone, and one while something is wrong."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser

from tests.page.browser import PHONE, Tab, chromium
from tests.support.waiting import WAIT_S
from tests.system.support import demo

SEEN_S = 60
"""So long the feed has run: its rotations and rates fill the drawings."""

SHARDS = 6

VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1200, "height": 860}},
    "dark": {"viewport": {"width": 1200, "height": 860}, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True},
}


def take(browser: Browser, url: str, path: Path, *, state: str = "ready", whole: bool = False, **options: Any) -> None:
    """One picture; what stands in the console is told."""
    tab = Tab(browser, url, timezone_id="UTC", **options)
    page = tab.open()
    page.wait_for_selector(f"[data-state={state}]", timeout=WAIT_S * 1_000)
    page.wait_for_selector("#latency path.line", timeout=WAIT_S * 1_000, state="attached")
    page.wait_for_timeout(1_500)
    page.screenshot(path=path, full_page=whole)
    print(path, f"{path.stat().st_size:,} bytes", tab.complaints or "")
    tab.context.close()


def main(folder: Path) -> None:
    """Take them all."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser, demo(shards=SHARDS) as program:
        program.wait_ready()
        time.sleep(SEEN_S)
        url = f"{program.logged('started')[0]['http']}/"
        for name, options in VIEWS.items():
            take(browser, url, folder / f"{name}.png", **options)
        for name in ("light", "phone"):
            take(browser, url, folder / f"whole-{name}.png", whole=True, **VIEWS[name])
        worker = psutil.Process(program.pid_of("worker-3"))
        worker.suspend()
        take(browser, url, folder / "unready.png", state="unready", **VIEWS["light"])
        worker.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
