"""For each alert, series with which it fires and series with which it just does not: what ``promtool test rules`` is given.

Values are in promtool's words, one a minute: ``0x9 1x20`` is 0 and nine times 0 more, then 1 and twenty times 1 more. ``8+2x5`` grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Series = Mapping[str, str]


class Case(msgspec.Struct, frozen=True):
    """``fires`` and ``quiet`` are looked at after so many minutes."""

    minutes: int
    fires: Series
    quiet: Series


def _histogram(name: str, **each_minute: int) -> dict[str, str]:
    """Its buckets, each with what comes into it in a minute: ``le_0_5=3``."""
    bounds = {bound.removeprefix("le_").replace("_", "."): count for bound, count in each_minute.items()}
    return {f'{name}_bucket{{le="{bound}"}}': f"0+{count}x60" for bound, count in bounds.items()}


RESTARTS = 'k2_child_restarts_total{child="worker-0"}'
MEMORY = 'k2_process_resident_memory_bytes{process="worker-0"}'

CASES: Mapping[str, Case] = {
    "K2Down": Case(10, {"up": "1x5 0x10"}, {"up": "1x9 0x1"}),
    "K2NotReady": Case(10, {"k2_ready": "1x5 0x10"}, {"k2_ready": "0x7 1 0x10"}),
    "K2NoConnection": Case(
        10, {"k2_binance_connection_up": "1x5 0x10"}, {"k2_binance_connection_up": "1x5 0 1 0 1 0 1"}
    ),
    "K2NoEvents": Case(
        10,
        {'k2_events_received_total{kind="trade"}': "0+9x5 45x10", 'k2_events_received_total{kind="depth"}': "7x15"},
        {'k2_events_received_total{kind="trade"}': "0+9x15", 'k2_events_received_total{kind="depth"}': "7x15"},
    ),
    "K2Stale": Case(
        10,
        {'k2_unready{reason="streams_silent"}': "0x5 3x10"},
        {'k2_unready{reason="streams_silent"}': "0x5 3 0x10", 'k2_unready{reason="gaps_open"}': "4x15"},
    ),
    "K2StreamsRefused": Case(20, {"k2_streams_refused": "1x30"}, {"k2_streams_refused": "1x9 0 1x30"}),
    "K2GapOpen": Case(20, {"k2_gaps_open": "0x9 2x20"}, {"k2_gaps_open": "2x14 0 2x20"}),
    "K2GapsGivenUp": Case(
        20,
        {'k2_gaps_given_up_total{proven="yes"}': "0x9 1x20"},
        {'k2_gaps_given_up_total{proven="yes"}': "3x30", 'k2_gaps_given_up_total{proven="no"}': "0+1x30"},
    ),
    "K2BooksAwaited": Case(
        20,
        {'k2_books{state="awaited"}': "1x30"},
        {'k2_books{state="awaited"}': "1x9 0 1x30", 'k2_books{state="whole"}': "40x30"},
    ),
    "K2MessagesUnreadable": Case(
        20,
        {'k2_messages_dropped_total{cause="malformed"}': "0x9 1x20"},
        {'k2_messages_dropped_total{cause="unknown_notice"}': "0+5x30"},
    ),
    "K2RotationOverdue": Case(
        30,
        {"k2_binance_connection_next_rotation_seconds": "0x40", "k2_binance_connection_up": "1x40"},
        # Without a connection there is nothing to rotate: that is another alert's.
        {"k2_binance_connection_next_rotation_seconds": "0x40", "k2_binance_connection_up": "0x40"},
    ),
    "K2RotationsOverlap": Case(
        20, {"k2_rotations_overlapped_total": "0x9 1x20"}, {"k2_rotations_overlapped_total": "1x30"}
    ),
    "K2ReconnectsOften": Case(
        20,
        {'k2_binance_reconnects_total{cause="stale"}': "0+1x30"},
        {'k2_binance_reconnects_total{cause="stale"}': "0x9 4x20"},
    ),
    "K2Banned": Case(
        10,
        {'k2_venue_refusal_status{service="rest"}': "0x5 418x10"},
        {'k2_venue_refusal_status{service="rest"}': "0x5 429x10"},
    ),
    "K2Refused": Case(
        10,
        {'k2_venue_paused_seconds{service="rest"}': "0x5 30x10"},
        {'k2_venue_paused_seconds{service="rest"}': "0x5 30 0 0 2 0"},
    ),
    "K2RestWeightHigh": Case(
        30,
        {"k2_rest_weight_used": "4700x40", "k2_rest_weight_limit": "4800x40"},
        {"k2_rest_weight_used": "4200x40", "k2_rest_weight_limit": "4800x40"},
    ),
    "K2ConnectsHigh": Case(
        10,
        {"k2_connect_grants_in_window": "260x20", "k2_connect_grants_limit": "270x20"},
        {"k2_connect_grants_in_window": "200x20", "k2_connect_grants_limit": "270x20"},
    ),
    "K2ClockSkew": Case(
        20, {"k2_venue_clock_ahead_seconds": "0.8x30"}, {"k2_venue_clock_ahead_seconds": "0.8x16 0 0.8x30"}
    ),
    "K2ReceiveLatencyHigh": Case(
        30,
        _histogram("k2_receive_latency_seconds", le_1=10, le_2=100, **{"le_+Inf": 100}),
        _histogram("k2_receive_latency_seconds", le_1=90, le_2=100, **{"le_+Inf": 100}),
    ),
    "K2ChildRestarted": Case(20, {RESTARTS: "0x9 1x20"}, {RESTARTS: "2x30"}),
    "K2ChildRestartsOften": Case(20, {RESTARTS: "0x9 2 4 5x20"}, {RESTARTS: "0x9 1 2x20"}),
    "K2MemoryHigh": Case(30, {MEMORY: "3e9x40"}, {MEMORY: "3e9x25 1e9 3e9x10"}),
    "K2MemoryGrows": Case(
        480,
        {MEMORY: "1e8+1e6x500"},
        # As much, but only in the first six hours of its life.
        {MEMORY: "_x230 1e8+1e6x270"},
    ),
    "K2DutyFailures": Case(
        20,
        {'k2_duty_failures_total{duty="places"}': "0x9 1x20"},
        {'k2_duty_failures_total{duty="places"}': "5x30"},
    ),
    "K2LogLinesDropped": Case(20, {"k2_log_lines_dropped_total": "0x9 7x20"}, {"k2_log_lines_dropped_total": "7x30"}),
    "K2MetricsNotKept": Case(10, {"k2_metrics_not_kept": "0x5 1x9"}, {"k2_metrics_not_kept": "0x5 1 0 1 0 1"}),
    "K2CheckpointFailures": Case(
        20, {"k2_checkpoint_failures_total": "0x9 1x20"}, {"k2_checkpoint_failures_total": "1x30"}
    ),
    "K2DiskRingNotWritten": Case(
        10,
        {"k2_disk_ring_write_failures_total": "0x2 0+120x10"},
        {"k2_disk_ring_write_failures_total": "0x7 1x10"},
    ),
    "K2SubscriberSlow": Case(
        10,
        {"k2_subscribers_behind": "0x20", "k2_subscribers_most_waiting_batches": "0x5 20000x20"},
        {"k2_subscribers_behind": "0x5 1 0 1 0 1", "k2_subscribers_most_waiting_batches": "9000x20"},
    ),
    "K2SubscriberCut": Case(
        20,
        {'k2_peers_cut_total{host="10.0.0.9"}': "_x9 1x20"},
        {'k2_peers_cut_total{host="10.0.0.9"}': "1x30"},
    ),
    "K2AggregatorBehind": Case(10, {"k2_push_queue_bundles": "0x5 8x10"}, {"k2_push_queue_bundles": "0x5 8 0 8 0 8"}),
    "K2PublishLatencyHigh": Case(
        30,
        _histogram("k2_publish_latency_seconds", le_0_2=97, le_0_5=100, **{"le_+Inf": 100}),
        _histogram("k2_publish_latency_seconds", le_0_2=100, le_0_5=100, **{"le_+Inf": 100}),
    ),
}

OF_ONE_FEED = 'job="k2workers",exchange="binance",shard="0"'


def given(rules: str) -> dict[str, Any]:
    """The file that promtool is given: one feed for each alert in which it fires, and one in which it does not, all side by side."""
    feeds = [(alert, case, fires) for alert, case in CASES.items() for fires in (True, False)]
    series = [
        {"series": _labelled(name, _feed(alert, fires)), "values": values}
        for alert, case, fires in feeds
        for name, values in {"up": "1x500", **(case.fires if fires else case.quiet)}.items()
    ]
    expected = [
        {
            "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing",instance="{_feed(alert, fires)}"}})',
            "eval_time": f"{case.minutes}m",
            "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
        }
        for alert, case, fires in feeds
    ]
    side_by_side = {"interval": "1m", "input_series": series, "promql_expr_test": expected}
    return {"rule_files": [rules], "tests": [side_by_side, _not_reached(), *(_down(*case) for case in NO_FEEDS)]}


def _not_reached() -> dict[str, Any]:
    """A venue that answers nobody: pauses of 30 s and attempts of ten, as scraped every five seconds; each other time that the rules are looked at falls into an attempt."""
    values = " ".join(["15 10 5 0 0 30 25 20"] * 40)
    return {
        "interval": "5s",
        "input_series": [{"series": 'k2_venue_paused_seconds{service="rest"}', "values": values}],
        "promql_expr_test": [
            {
                "expr": 'count(ALERTS{alertname="K2Refused",alertstate="firing"})',
                "eval_time": "10m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
        ],
    }


NO_FEEDS: tuple[tuple[Series, list[str]], ...] = (
    ({}, ["Prometheus knows of no feed"]),
    ({'up{job="other",instance="x"}': "1x20"}, ["Prometheus knows of no feed"]),
    # One that is down is told of once, by its name.
    ({'up{job="k2workers",instance="a"}': "0x20"}, ["a does not answer Prometheus"]),
    # In a job of another name only its end shows.
    ({'up{job="pods",instance="a"}': "1x20", 'k2_ready{job="pods",instance="a"}': "0x20"}, []),
    ({'up{job="pods",instance="a"}': "1x5 0x15", 'k2_ready{job="pods",instance="a"}': "1x5 stale"}, ["Prometheus knows of no feed"]),
    (
        {'up{job="k2workers",instance="a"}': "0x20", 'up{job="k2workers",instance="b"}': "1x20", 'k2_ready{job="k2workers",instance="b"}': "1x20"},
        ["a does not answer Prometheus"],
    ),
)  # fmt: skip
"""All series that there are, and what K2Down says of them."""


def _down(series: Series, summaries: list[str]) -> dict[str, Any]:
    """A Prometheus that has nothing else."""
    alerts = [
        {
            "exp_labels": {"severity": "critical"} | ({"job": "k2workers", "instance": "a"} if said[0] == "a" else {}),
            "exp_annotations": {"summary": said, "runbook_url": "k2workers/RUNBOOK.md#k2down"},
        }
        for said in summaries
    ]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "15m", "alertname": "K2Down", "exp_alerts": alerts}],
    }


def _feed(alert: str, fires: bool) -> str:
    return f"{alert} {'fires' if fires else 'is quiet'}"


def _labelled(series: str, feed: str) -> str:
    name, _, labels = series.rstrip("}").partition("{")
    return f'{name}{{{",".join(filter(None, (OF_ONE_FEED, labels)))},instance="{feed}"}}'
