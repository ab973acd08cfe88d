"""Fires the alerts for real: troubles of a running feed, watched by a real Prometheus that has the rules. ``scripts/chaos --alerts``.

The rules are as they are in ``config/``, but for one who cannot wait: ``for`` is 3 s, and what looks at minutes looks at 20 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tests.chaos.rig import Rig
from tests.observing.own_feeds import OWN_FEEDS
from tests.observing.strikes import BY_SERIES, STRIKES, Strike
from tests.support.prometheus import RULES, Prometheus, impatient, prometheus
from tests.support.waiting import until, wait_for

LIMIT_S = 120.0
FOR, WINDOW = "3s", "20s"


class Outcome(msgspec.Struct, frozen=True):
    """How long after its trouble began each alert fired (None: it did not), and the metrics that should have moved and did not."""

    fired_s: Mapping[str, float | None]
    unmoved: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether all of it happened."""
        return not self.unmoved and None not in self.fired_s.values()


async def strike_once(rig: Rig, watch: Prometheus, strike: Strike) -> Outcome:
    """Bring one trouble about, wait for its alerts and for what it moves, and end it. All is well before."""
    await _all_is_well(rig, watch, strike.alerts)
    began_s = time.monotonic()
    fired: dict[str, float | None] = dict.fromkeys(strike.alerts)
    unmoved = set(strike.moves)

    def look() -> bool:
        for name in watch.firing():
            if name in fired and fired[name] is None:
                fired[name] = round(time.monotonic() - began_s, 1)
        for metric in list(unmoved):
            if _moved(watch, metric, int(time.monotonic() - began_s) + 2):
                unmoved.remove(metric)
        return not unmoved and None not in fired.values()

    async with strike.trouble(rig):
        with contextlib.suppress(AssertionError):  # the outcome says what did not happen
            await until(lambda: asyncio.to_thread(look), "the alerts", LIMIT_S)
    return Outcome(fired, tuple(sorted(unmoved)))


def _moved(watch: Prometheus, metric: str, for_s: int) -> bool:
    """Whether it took two values in this time, or was there for the first time."""
    changed = f"max_over_time({metric}[{for_s}s]) > min_over_time({metric}[{for_s}s])"
    return bool(watch.query(f"{changed} or ({metric} > 0 unless {metric} offset {for_s}s)"))


async def _all_is_well(rig: Rig, watch: Prometheus, alerts: tuple[str, ...]) -> None:
    await rig.ready()

    async def quiet() -> bool:
        return not set(await asyncio.to_thread(watch.firing)) & set(alerts)

    await until(quiet, f"none of {alerts} firing before its trouble", 300.0)


async def run(names: list[str], rules: str) -> bool:
    """Each of these troubles, one after the other, in one feed; whether all alerts fired and all moved."""
    good = True
    with tempfile.TemporaryDirectory() as folder:
        async with Rig(Path(folder), shards=4, symbols=12, rate=1_000.0) as rig:
            address = rig.feed.logged("started")[0]["http"].removeprefix("http://")
            with prometheus(Path(folder) / "prometheus", {"k2workers": address}, rules=rules) as watch:
                await until(lambda: watch.query("k2_ready == 1"), "the first scrape")
                for name in names:
                    outcome = await strike_once(rig, watch, STRIKES[name])
                    good &= outcome.good
                    say(row(name, outcome))
    return good


def run_own(name: str, rules: str) -> bool:
    """One of the troubles that have feeds of their own."""
    with tempfile.TemporaryDirectory() as folder, OWN_FEEDS[name].start() as address:
        began_s, fired = time.monotonic(), dict.fromkeys(OWN_FEEDS[name].alerts, 0.0)
        with (
            prometheus(Path(folder), {"k2workers": address}, rules=rules) as watch,
            contextlib.suppress(AssertionError),
        ):
            wait_for("the alerts", lambda: fired.keys() <= watch.firing().keys(), LIMIT_S)
            fired = dict.fromkeys(fired, time.monotonic() - began_s)
    outcome = Outcome({alert: after_s or None for alert, after_s in fired.items()}, ())
    say(row(name, outcome))
    return outcome.good


def say(line: str) -> None:
    """At once: a whole run takes some twenty minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def row(name: str, outcome: Outcome) -> str:
    """A line of the table of the page."""
    fired = ", ".join(
        f"`{alert}` {'did not fire' if after is None else f'{after:.0f} s'}" for alert, after in outcome.fired_s.items()
    )
    fired = fired or "none: it moves metrics"
    unmoved = f"; did not move: {', '.join(outcome.unmoved)}" if outcome.unmoved else ""
    return f"| {name} | {fired}{unmoved} |"


def main(wanted: list[str]) -> int:
    """The exit code. With words only the troubles whose names have one of them."""
    names, own = ([n for n in of if not wanted or any(word in n for word in wanted)] for of in (STRIKES, OWN_FEEDS))
    rules = impatient(RULES.read_text(encoding="utf-8"), FOR, WINDOW)
    say("| trouble | alert, after |\n|---|---|")
    good = [run_own(name, rules) for name in own]
    if names:
        good.append(asyncio.run(run(names, rules)))
    if not wanted:
        say("\n| by promtool's series only | because |\n|---|---|")
        for alert, why in BY_SERIES.items():
            say(f"| `{alert}` | {why} |")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
