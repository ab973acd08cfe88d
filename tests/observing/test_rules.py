"""The rules as promtool reads them: each alert fires with what it is for, is quiet with what just is not, and has its section of the runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from k2workers.config import SETTINGS
from k2workers.feed.dropped_messages import CAUSES
from k2workers.metrics.__main__ import names
from k2workers.processes import child_status, status
from k2workers.rotation import record
from k2workers.supervision import permissions
from tests.observing.rule_cases import CASES, given
from tests.support.prometheus import RULES, named_in, promtool
from tests.system.support import ROOT

ALERTS = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
RECORDS = set(re.findall(r"- record: (\S+)", RULES.read_text(encoding="utf-8")))
SHOWN = {
    field
    for module in (child_status, permissions, record, status)
    for shape in vars(module).values()
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct)
    for field in shape.__struct_fields__
}
"""Keys of /status and of the report."""
TOOLS = {"dmesg", "timedatectl"}
"""Of the machine."""
RUNBOOK = (ROOT / "k2workers" / "RUNBOOK.md").read_text(encoding="utf-8")


def test_promtool_finds_no_fault_with_the_rules() -> None:
    said = promtool("check", "rules", "--lint-fatal", str(RULES))
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"{len(ALERTS) + len(RECORDS)} rules found" in said.stdout


def test_each_alert_fires_with_what_it_is_for_and_is_quiet_with_what_just_is_not(tmp_path: Path) -> None:
    assert list(CASES) == ALERTS
    cases = tmp_path / "cases.yml"
    cases.write_text(json.dumps(given(str(RULES))), encoding="utf-8")  # JSON is YAML
    said = promtool("test", "rules", str(cases))
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_configuration_on_the_page_is_one_that_prometheus_takes(tmp_path: Path) -> None:
    page = (ROOT / "k2workers" / "HEALTH.md").read_text(encoding="utf-8")
    (written,) = re.findall(r"(?s)```yaml\n(rule_files:.*?)```", page)
    (tmp_path / RULES.name).write_text(RULES.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(written, encoding="utf-8")
    said = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"{len(ALERTS) + len(RECORDS)} rules found" in said.stdout


def test_each_alert_leads_to_its_section_of_the_runbook_and_each_section_is_of_an_alert() -> None:
    sections = re.split(r"(?m)^## ", RUNBOOK)[1:]
    assert [section.partition("\n")[0] for section in sections] == ALERTS
    for section in sections:
        assert all(f"**{part}**" in section for part in ("Means", "Look at", "Do")), section
    rules = re.split(r"- alert: ", RULES.read_text(encoding="utf-8"))[1:]
    for alert, rule in zip(ALERTS, rules, strict=True):
        assert f"runbook_url: k2workers/RUNBOOK.md#{alert.lower()}\n" in rule
        assert re.search(r"severity: (critical|warning)\b", rule)


def test_rules_and_runbook_name_only_metrics_log_events_and_settings_that_there_are() -> None:
    shown = {name.partition("{")[0] for name in names()}
    histograms = {f"{name}_bucket" for name in shown if name.endswith("_latency_seconds")}
    assert named_in(RULES.read_text(encoding="utf-8")) <= shown | RECORDS | histograms
    assert named_in(RUNBOOK) <= shown
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "k2workers").rglob("*.py"))
    told = re.findall(r"[Ll]og\s+((?:`\w+`(?:, | and | or )?)+)", RUNBOOK)
    events = {event for group in told for event in re.findall(r"`(\w+)`", group)}
    assert len(events) > 10
    assert {event for event in events if f'"{event}"' not in sources} == set()
    known = {*SETTINGS, *SHOWN, *TOOLS, *CAUSES, *re.findall(r'"([a-z_]+)"', sources)}
    assert set(re.findall(r"`([a-z_]+)`", RUNBOOK)) - known == set()
