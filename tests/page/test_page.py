"""The status page in a real browser, of a feed that runs: what is read there, and what moves."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Page

from tests.page.browser import CHROMIUM, MS, PHONE, Tab, address, text
from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import Program

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium here (apt-get install chromium)")


def _number(words: str) -> int:
    return int(re.sub(r"\D", "", words))


def _figure(page: Page, name: str) -> int:
    return _number(page.locator("#figures div", has_text=name).locator("dd").inner_text())


def _tell_exchange(program: Program, what: str, **body: Any) -> None:
    """Have the embedded exchange do this."""
    exchange = psutil.Process(program.pid_of("exchange"))
    for held in exchange.net_connections("tcp"):
        if held.status == psutil.CONN_LISTEN:
            control = f"http://127.0.0.1:{held.laddr.port}/_exchange/{what}"
            request = urllib.request.Request(control, json.dumps(body).encode(), {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=WAIT_S).close()
            return
    raise AssertionError("the exchange does not listen")


def test_at_first_sight_it_says_whether_all_is_well_and_that_it_is_a_demonstration(tab: Tab) -> None:
    page = tab.page
    assert text(page, "#verdict-words") == "All is well: every stream flows"
    assert re.match(r"since \d\d:\d\d:\d\d, for ", text(page, "#verdict-since"))
    assert text(page, "#demo").startswith("DEMO")
    assert page.title() == "✓ k2workers DEMO"
    assert text(page, "#whose") == "binance · 2 shards · times in UTC+5:30"
    assert page.locator("#shards tr").count() == 2
    assert set(page.locator("#processes td:first-child").all_inner_texts()) == {
        "parent", "aggregator", "exchange", "books", "witness",
    }  # fmt: skip
    assert "connections: " in text(page, "#budgets")
    assert "witness" in text(page, "#subscribers")


def test_figures_move_by_themselves_and_a_rotation_is_seen_happening(tab: Tab) -> None:
    page = tab.page
    published, rotations = _figure(page, "published"), _figure(page, "rotations")
    bars = page.locator("#lines rect.bar").count()
    wait_for("more events published", lambda: _figure(page, "published") > published)
    assert page.locator("#lines rect.bar.open").count() <= 2
    wait_for("a rotation counted", lambda: _figure(page, "rotations") > rotations)
    wait_for("the next connection drawn", lambda: page.locator("#lines rect.bar").count() > bars or bars > 4)
    wait_for("both that overlap", lambda: page.locator("#lines rect.both").count())
    assert page.locator("#lines path.due").count() >= 1, "the next deadline ahead"
    assert "next rotation in" in (page.get_attribute("#lines", "aria-label") or "")
    assert page.locator("#lines path.lost").count() == 0
    wait_for("lines of four kinds", lambda: page.locator("#rates-legend li").count() == 4)
    wait_for("lines of latencies", lambda: page.locator("#latency-legend li").count() == 3)


def test_topics_are_found_by_parts_of_their_names_with_their_last_event(tab: Tab) -> None:
    page = tab.page
    assert "/topics" not in tab.asked, "nobody has searched"
    page.fill("#search", "TRADE btc")
    page.wait_for_selector("#topics-rows tr", timeout=MS)
    wait_for("both topics", lambda: page.locator("#topics-rows tr").count() == 2)
    row = page.locator("#topics-rows tr").nth(1).locator("td")
    topic, state, age, sequence, last_id, event = row.all_inner_texts()
    assert (topic, state) == ("binance.trade.BTCUSDT", "flowing")
    assert age.endswith(" s")
    assert '"trade_id"' in event
    wait_for("a newer event", lambda: row.nth(3).inner_text() != sequence and row.nth(4).inner_text() != last_id)
    page.fill("#search", "no such")
    wait_for("none", lambda: text(page, "#topics-count").startswith("0 of "))
    page.fill("#search", "<img src=x>")
    wait_for("none again", lambda: text(page, "#topics-count").startswith("0 of "))


def test_a_gap_is_seen_happening_and_ending(tab: Tab, program: Program) -> None:
    page = tab.page
    _tell_exchange(program, "fault", kind="rest_5xx")
    _tell_exchange(program, "fault", kind="drop", stream="btcusdt@trade", count=3, everywhere=True)
    wait_for("the gap in words", lambda: "gaps open" in text(page, "#verdict"))
    wait_for("the topic that lacks something", lambda: "binance.trade.BTCUSDT" in text(page, "#gaps"))
    _tell_exchange(program, "clear_faults")
    wait_for("all well again", lambda: page.get_attribute("body", "data-state") == "ready")
    wait_for("the gap among what happened", lambda: "gap announced" in text(page, "#happened"))
    wait_for("what was lacking came", lambda: "ids repaired\n0" not in text(page, "#gaps"))
    # The venue's refusals are faults of the test: the feed is as before for whoever looks next.
    wait_for("ready", lambda: program.http("/readyz")[0] == 200)


def test_a_worker_that_dies_is_seen_at_once_and_its_return_too(tab: Tab, program: Program) -> None:
    page = tab.page
    worker = psutil.Process(program.pid_of("worker-1"))
    worker.suspend()  # or it would be there again before anybody had seen that
    page.wait_for_selector("[data-state=unready]", timeout=MS)
    assert page.title().startswith("✗ not ready")
    assert "worker-1" in text(page, "#ailments")
    assert " · since " in text(page, "#ailments")
    worker.kill()
    page.wait_for_selector("[data-state=ready]", timeout=MS)
    wait_for("the restart", lambda: "was restarted" in text(page, "#happened"))
    wait_for("an end that was not planned", lambda: page.locator("#lines path.lost").count())
    wait_for("a word of it where it is read first", lambda: "restarts lately" in text(page, "#watch"))


def test_all_that_can_be_used_is_reached_by_the_keyboard_and_shows_it(tab: Tab) -> None:
    page = tab.page
    seen: list[str] = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent.trim().slice(0, 40)")
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert (
            outline != "none"
            or seen[-1] in {"", "k2workers"}
            or page.evaluate("document.activeElement === document.body")
        ), seen
    assert seen[0] == "Skip to the search for topics"
    assert "search" in seen
    assert {"/readyz", "/status", "/metrics"} <= set(seen)


def test_it_is_made_for_who_cannot_see_it(tab: Tab) -> None:
    page = tab.page
    assert page.get_attribute("html", "lang") == "en"
    assert page.locator("[role=status], [aria-live]").count() == 2, "only what is worth interrupting for"
    assert page.get_attribute("#topics-count", "aria-live") == "off"
    page.fill("#search", "trade")
    page.wait_for_selector("#topics-count[aria-live=polite]", timeout=MS)
    unnamed = page.evaluate(
        """[...document.querySelectorAll("section, [role=region], svg, meter, input")].filter((node) => !(node.ariaLabel || node.labels?.length
            || node.getAttribute("aria-labelledby"))).map((node) => node.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
    assert page.locator("h1").count() == 1
    assert page.get_by_role("heading", name="All is well").count() == 1
    assert page.locator("main, header, footer nav").count() == 3
    assert page.evaluate("[...document.querySelectorAll('th')].every((cell) => cell.scope)")


def test_words_stand_out_in_light_and_dark_and_nothing_moves_by_itself(tab: Tab) -> None:
    page = tab.page
    page.wait_for_selector("#happened li", timeout=MS)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert page.evaluate(CONTRAST) == [], scheme
        assert page.evaluate("document.getAnimations().length") == 0


CONTRAST = """() => {
  const lightness = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
  const colour = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (node) => { for (; node; node = node.parentElement) { const c = colour(getComputedStyle(node).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return colour(getComputedStyle(document.documentElement).backgroundColor); };
  const weak = [];
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()) || !node.checkVisibility() || node.closest(".skip")) continue;
    const style = getComputedStyle(node);
    const inSvg = node instanceof SVGElement;
    const [a, b] = [lightness(colour(inSvg ? style.fill : style.color)), lightness(ground(inSvg ? node.ownerSVGElement : node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) weak.push(`${node.tagName}.${node.className} ${node.textContent.slice(0, 30)}: ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
  }
  return weak;
}"""


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, program: Program) -> None:
    opened = Tab(browser, f"{address(program)}/", viewport=PHONE, has_touch=True)
    page = opened.open()
    page.wait_for_selector("[data-state=ready]", timeout=MS)
    page.fill("#search", "binance")
    page.wait_for_selector("#topics-rows tr", timeout=MS)
    for width in (320, 375, 768):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    assert opened.complaints == []
    opened.context.close()
