"""Owns the Grafana dashboard: its rows of panels, each with what it asks Prometheus, and the JSON that Grafana reads. Pure but for its main.

``python -m k2workers.metrics.dashboard > config/grafana/k2workers.json`` writes it; a test compares. It asks for metrics alone, so that it needs none
of the recording rules. Every expression gives data of a feed without any fault.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

OURS = '{instance=~"$instance"}'
"""Stands in expressions as ``@``: the feeds that were chosen."""

COLUMNS = 24
"""Of Grafana's grid."""

SOURCE = {"type": "prometheus", "uid": "${datasource}"}

OPTIONS: Mapping[str, Any] = {
    "timeseries": {"tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "auto", "colorMode": "value"},
}


class Panel(msgspec.Struct, frozen=True):
    """``asks`` is legend → expression. ``kind`` and ``unit`` are Grafana's words."""

    title: str
    says: str
    asks: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    limits: Mapping[str, str] = {}
    """Value → text with a colour, of a single figure: ``{"0": "red no"}``."""


def _quantiles(metric: str) -> dict[str, str]:
    of = "sum by (le) (rate({0}_bucket@[$__rate_interval]))"
    return {f"p{q * 100:g}": f"histogram_quantile({q}, {of.format(metric)})" for q in (0.5, 0.99, 0.999)}


def _rate(metric: str, by: str) -> dict[str, str]:
    return {f"{{{{{by}}}}}": f"sum by ({by}) (rate({metric}@[$__rate_interval]))"}


def _increase(metric: str, by: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (increase({metric}@[$__rate_interval]))"


ROWS: Mapping[str, tuple[Panel, ...]] = {
    "At a glance": (
        Panel(
            "Ready",
            "What /readyz says: every stream flows.",
            {"": "min(k2_ready@)"},
            kind="stat", width=3, height=4, limits={"0": "red no", "1": "green yes"},
        ),
        Panel("Events a second", "Received, of all kinds and shards.", {"": "sum(rate(k2_events_received_total@[$__rate_interval]))"}, kind="stat", width=3, height=4),
        Panel("Gaps open", "Announced, and filled by nothing yet.", {"": "sum(k2_gaps_open@)"}, kind="stat", width=3, height=4),
        Panel("Rotations", "Planned replacements of connections in the last hour.", {"": "sum(increase(k2_binance_connection_rotations_total@[1h]))"}, kind="stat", width=3, height=4),
        Panel("Restarts", "Of processes, in the last day.", {"": "sum(increase(k2_child_restarts_total@[1d]))"}, kind="stat", width=3, height=4),
        Panel("Subscribers", "Connections.", {"": "sum(k2_subscribers@)"}, kind="stat", width=3, height=4),
        Panel("Refusal", "HTTP status of the venue's last refusal; 418 is a ban.", {"{{exchange}} {{service}}": "max by (exchange, service) (k2_venue_refusal_status@)"}, kind="stat", width=3, height=4),
        Panel("Version", "Of the program and of Python.", {"{{version}}, Python {{python}}": "max by (version, python) (k2_build_info@)"}, kind="stat", width=3, height=4),
        Panel("Why not ready", "How much there is of each reason; the words are in k2workers/HEALTH.md.", {"{{reason}}": "sum by (reason) (k2_unready@)"}, width=24, height=6),
    ),
    "Events": (
        Panel("Events by kind", "Received a second.", _rate("k2_events_received_total", "kind")),
        Panel("Events by shard", "Received a second.", _rate("k2_events_received_total", "shard")),
        Panel("Age of the last event by kind", "To a second.", {"{{kind}}": "time() - max by (kind) (k2_last_event_timestamp_seconds@)"}, "s"),
        Panel("Published", "Events a second to subscribers.", {"events": "sum(rate(k2_events_published_total@[$__rate_interval]))"}),
        Panel("Bytes", "From connections, and to subscribers.", {"received": "sum(rate(k2_bytes_received_total@[$__rate_interval]))", "published": "sum(rate(k2_bytes_published_total@[$__rate_interval]))"}, "Bps"),
        Panel("Streams that bring nothing", "Silent and unproven ones keep the feed from being ready; quiet ones do not.", {word: f"sum(k2_streams_{word}@)" for word in ("silent", "unproven", "quiet", "refused")}),
    ),
    "Rotations": (
        Panel("How long each connection has carried the feed", "Falls to 0 at each rotation: shards take turns.", {"shard {{shard}}": "max by (shard) (k2_binance_connection_lifetime_seconds@)"}, "s", width=12),
        Panel("Next rotations", "Time to the next planned one of each shard.", {"shard {{shard}}": "min by (shard) (k2_binance_connection_next_rotation_seconds@)"}, "s", width=12),
        Panel("Rotations by reason", "How many.", {"{{reason}}": _increase("k2_binance_connection_rotations_total", "reason"), "overlapped": _increase("k2_rotations_overlapped_total")}),
        Panel("Connections lost", "Unplanned, by cause.", {"{{cause}}": _increase("k2_binance_reconnects_total", "cause")}),
        Panel("Shards with a connection", "1 while every route of a shard has one.", {"shard {{shard}}": "min by (shard) (k2_binance_connection_up@)"}),
    ),
    "Gaps and repairs": (
        Panel("Gaps announced", "Holes, by kind.", {"{{kind}}": _increase("k2_gaps_total", "kind")}),
        Panel("Gaps that are open", "Doubted: the venue has denied the ids once.", {"open": "sum(k2_gaps_open@)", "doubted": "sum(k2_gaps_doubted@)", "holes waiting": "sum(k2_holes_waiting@)"}),
        Panel("What became of missing ids", "Ids.", {"missing": _increase("k2_missing_ids_total"), "repaired": _increase("k2_repaired_ids_total"), "void": _increase("k2_void_ids_total"), "gaps given up": _increase("k2_gaps_given_up_total")}),
        Panel("REST requests", "Repairs, by outcome.", {"{{outcome}}": _increase("k2_rest_requests_total", "outcome")}),
        Panel("Order books", "Kept for joiners; missing: of which subscribers have none.", {"{{state}}": "sum by (state) (k2_books@)", "missing": "sum(k2_books_missing@)"}),
        Panel("Dropped", "Copies (as many as events during a rotation), outliers, and messages that were no event.", {"copies": _increase("k2_duplicates_dropped_total"), "outliers": _increase("k2_outliers_dropped_total"), "messages": _increase("k2_messages_dropped_total")}),
    ),
    "Latency": (
        Panel("Venue to socket read", "Two clocks.", _quantiles("k2_receive_latency_seconds"), "s"),
        Panel("Socket read to publication", "Our own.", _quantiles("k2_publish_latency_seconds"), "s"),
        Panel("Venue's clock ahead of ours", "At least so far.", {"{{exchange}}": "max by (exchange) (k2_venue_clock_ahead_seconds@)"}, "s"),
    ),
    "Budgets": (
        Panel("Connection attempts in the venue's window", "And the most that we allow ourselves.", {"{{exchange}}": "max by (exchange) (k2_connect_grants_in_window@)", "limit {{exchange}}": "max by (exchange) (k2_connect_grants_limit@)", "waiting {{exchange}}": "max by (exchange) (k2_connect_grants_waiting@)"}),
        Panel("REST weight of a minute", "And the most that we allow ourselves.", {"{{exchange}}": "max by (exchange) (k2_rest_weight_used@)", "limit {{exchange}}": "max by (exchange) (k2_rest_weight_limit@)"}),
        Panel("Kept away", "Seconds until the next attempt at a service that refused us.", {"{{exchange}} {{service}}": "max by (exchange, service) (k2_venue_paused_seconds@)"}, "s"),
    ),
    "Processes": (
        Panel("Memory", "Resident.", {"{{process}}": "max by (process) (k2_process_resident_memory_bytes@)"}, "bytes"),
        Panel("CPU", "Cores used.", _rate("k2_process_cpu_seconds_total", "process")),
        Panel("Restarts", "By process.", {"{{child}}": _increase("k2_child_restarts_total", "child")}),
        Panel("Kept for restarts", "Bytes that the aggregator does not have safe yet, and the replay ring.", {"workers": "sum(k2_push_kept_bytes@)", "ring": "sum(k2_replay_ring_bytes@)"}, "bytes"),
        Panel("Bundles waiting for the aggregator", "And those that found no room.", {"waiting": "sum(k2_push_queue_bundles@)", "refused": _increase("k2_push_refused_total")}),
        Panel("Trouble of processes", "Failed duties, lost lines of the log, checkpoints that could not be written, processes without files for their metrics.", {"duties": _increase("k2_duty_failures_total"), "log lines": _increase("k2_log_lines_dropped_total"), "checkpoints": _increase("k2_checkpoint_failures_total"), "metrics not kept": "sum(k2_metrics_not_kept@)"}),
    ),
    "Subscribers": (
        Panel("Subscribers", "Connections; behind: they take less than comes; cut: ended because of that, or for what they did.", {"connected": "sum(k2_subscribers@)", "behind": "sum(k2_subscribers_behind@)", "cut": f"{_increase('k2_peers_cut_total')} or vector(0)"}),
        Panel("Lag of the slowest", "Bytes that it has not taken from us.", {"owed": "max(k2_subscribers_most_owed_bytes@)"}, "bytes"),
        Panel("Batches", "Waiting in the slowest subscriber's program, lost to those that are connected, and given again.", {"waiting": "max(k2_subscribers_most_waiting_batches@)", "lost": "sum(k2_subscribers_lost_batches@)", "replayed": _increase("k2_replayed_batches_total")}),
    ),
}  # fmt: skip


def expressions() -> Iterator[str]:
    """What the panels ask, as Grafana sends it but for its variables (``$instance``, ``$__rate_interval``)."""
    for panels in ROWS.values():
        for panel in panels:
            yield from (_asked(expression) for expression in panel.asks.values())


def _asked(expression: str) -> str:
    return expression.replace("@", OURS)


def dashboard() -> dict[str, Any]:
    """The whole dashboard."""
    return {
        "uid": "k2workers",
        "title": "k2workers",
        "tags": ["k2workers"],
        "schemaVersion": 38,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "panels": list(_panels()),
    }


def _variables() -> list[dict[str, Any]]:
    asked = "label_values(k2_ready, instance)"
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {
            "name": "instance", "type": "query", "label": "Feed", "datasource": SOURCE, "definition": asked,
            "query": {"query": asked, "refId": "feeds"}, "refresh": 2, "multi": True, "includeAll": True,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        },
    ]  # fmt: skip


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _place(0, y, COLUMNS, 1)}  # fmt: skip
        y, x, height = y + 1, 0, 0
        for panel in panels:
            if x + panel.width > COLUMNS:
                y, x, height = y + height, 0, 0
            number += 1
            yield {"id": number, "gridPos": _place(x, y, panel.width, panel.height), **_shown(panel)}
            x, height = x + panel.width, max(height, panel.height)
        y += height


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _shown(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.limits:
        texts = {value: dict(zip(("color", "text"), said.split(), strict=True)) for value, said in panel.limits.items()}
        defaults["mappings"] = [{"type": "value", "options": texts}]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": OPTIONS[panel.kind],
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": _asked(expression), "legendFormat": legend}
            for place, (legend, expression) in enumerate(panel.asks.items())
        ],
    }  # fmt: skip


def text() -> str:
    """As the file has it."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
