"""A real Prometheus and promtool: those of PATH, or Debian's, as ``scripts/prometheus`` finds them."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import ROOT, free_port

RULES = ROOT / "config" / "prometheus" / "k2workers.rules.yml"


@functools.cache
def _found() -> tuple[str, str]:
    done = subprocess.run([str(ROOT / "scripts" / "prometheus")], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.strip(), ""
    return "", done.stdout.strip() or f"scripts/prometheus failed: {done.stderr.strip()}"


def tool(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``. Who can have none skips."""
    directory, why_not = _found()
    if why_not:
        pytest.skip(why_not)
    return f"{directory}/{name}"


def promtool(*args: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """What promtool says."""
    return subprocess.run(
        [tool("promtool"), *args], input=given, capture_output=True, text=True, timeout=WAIT_S, check=False
    )


Sample = tuple[dict[str, str], float]


class Prometheus:
    """One that runs, under ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=WAIT_S) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from error

    def query(self, expression: str) -> list[Sample]:
        """What an expression gives now: labels and value of each series."""
        found = self.ask("query", query=expression)
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in found["result"]]

    def firing(self) -> dict[str, list[dict[str, Any]]]:
        """The alerts that fire, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in self.ask("alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found


@contextmanager
def prometheus(
    folder: Path, targets: Mapping[str, str], *, rules: str, every: str = "1s", lookback: str = "5m"
) -> Iterator[Prometheus]:
    """One that scrapes these addresses (by job), with these rules, until the end. It is stopped by its own pid."""
    program, port = tool("prometheus"), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(rules, encoding="utf-8")
    config = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [address]}]} for job, address in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}",
                f"--query.lookback-delta={lookback}", "--log.level=warn",
            ],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            found = Prometheus(f"http://127.0.0.1:{port}")

            def is_ready() -> bool:
                assert process.poll() is None, (folder / "prometheus.log").read_text(encoding="utf-8")
                try:
                    with urllib.request.urlopen(f"{found.url}/-/ready", timeout=WAIT_S) as reply:
                        return bool(reply.status == 200)
                except OSError:
                    return False

            wait_for("Prometheus ready", is_ready)
            yield found
        finally:
            process.terminate()
            process.wait(WAIT_S)


def impatient(rules: str, longest_for: str = "2s", window: str = "") -> str:
    """The rules for one who cannot wait: no alert must last longer than that, and figures of minutes are of ``window``, if one is given."""
    quick = re.sub(r"(?m)^( +for: )\d+\w+$", rf"\g<1>{longest_for}", rules)
    return re.sub(r"(?<=\[)\d+m(?=[\]:])|(?<=offset )\d+m", window, quick) if window else quick


def named_in(text: str) -> set[str]:
    """The metrics and records of ours that a text names."""
    return set(re.findall(r"\bk2[_:][\w:]+", text))
