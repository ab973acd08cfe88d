"""The whole program, as a user runs it, seen only from outside."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from k2workers import native
from tests.system.support import Program, alive, demo, free_port, run_briefly, wait_for


def figures(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def read_natively(program: Program) -> tuple[float, float]:
    """How many messages the native lanes took, and how many they left to Python."""
    return (
        sum(program.metrics("k2_native_messages_total").values()),
        sum(program.metrics("k2_native_fallbacks_total").values()),
    )


def test_rotating_shards_lose_and_repeat_nothing(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with demo("--rotation-lifetime", "4", "--report", str(report), shards=3) as program:
        program.wait_ready()
        before = sum(program.metrics("k2_binance_connection_rotations_total").values())
        read_before = read_natively(program)
        wait_for(
            "the counter of rotations rising",
            lambda: sum(program.metrics("k2_binance_connection_rotations_total").values()) > before,
        )
        counted = program.metrics("k2_binance_connection_rotations_total")
        assert all('reason="scheduled_rotation"' in name for name, count in counted.items() if count)
        wait_for(
            "three rotations of each shard",
            lambda: min(worker.get("rotations", 0) for worker in program.status()["workers"]) >= 3,
        )
        taken, left = (now - then for now, then in zip(read_natively(program), read_before, strict=True))
        if native.extension is not None and os.environ.get("K2_NATIVE") != "off":
            assert taken > 99 * left, (taken, left)
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
        assert program.logged("binance_connection_rotation_triggered")
    result = figures(report)
    truth = result["truth"]
    assert truth["emitted"] > 5_000
    assert truth["received"] == truth["emitted"]
    assert result["events"]["received"] == result["events"]["published"], (
        "books and the feed's own records are no events"
    )
    assert (truth["lost"], truth["duplicated"], truth["reordered"]) == (0, 0, 0)
    assert set(result["rotations"]["by_shard"]) == {"0", "1", "2"}
    assert result["rotations"]["max_concurrent"] == 1
    assert all(record["gap"] == 0 and record["complete"] for record in result["rotations"]["records"])
    assert all(topic["missing"] == 0 for topic in result["continuity"])


def test_more_shards_than_symbols_serve_with_a_word_about_it() -> None:
    with demo("--symbols", "BTCUSDT,ETHUSDT,BNBUSDT,SOLUSDT,XRPUSDT,DOGEUSDT,ADAUSDT,LTCUSDT", shards=10) as program:
        program.wait_ready()
        status = program.status()
        assert [worker["symbols"] for worker in status["workers"]] == [1] * 8
        assert status["shards"] == 8
        (line,) = program.logged("fewer_shards")
        assert (line["running"], line["asked"]) == (8, 10)
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)


def test_streams_of_the_whole_market_alone_are_served(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    arguments = ["--streams", "mini_ticker_all", "--rotation-lifetime", "3", "--report", str(report)]
    with demo(*arguments, shards=3) as program:
        program.wait_ready()
        assert len(program.status()["workers"]) == 1
        wait_for("events of the whole market", lambda: program.status()["published"] > 0)
        wait_for("the one stream seen", lambda: program.status()["workers"][0]["streams_seen"] >= 1)
        (worker,) = program.status()["workers"]
        assert (worker["streams"], worker["streams_seen"]) == (1, 1), "a stream of the whole market has many topics"
        wait_for("a rotation", lambda: program.status()["rotations"])
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
    for record in figures(report)["rotations"]["records"]:
        assert min(record["proven"], record["unproven"], record["quiet"]) >= 0


def test_a_killed_worker_comes_back_and_the_others_go_on(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with demo("--report", str(report), shards=3) as program:
        program.wait_ready()
        pids = {name: state["pid"] for name, state in program.status()["children"].items()}
        wait_for("some published events", lambda: program.status()["published"] > 1_000)
        counted = program.metrics("k2_events_received_total")
        psutil.Process(pids["worker-1"]).kill()
        wait_for(
            "a new worker that serves",
            lambda: program.status()["children"]["worker-1"]["restarts"] == 1 and program.http("/readyz")[0] == 200,
        )
        # A hole is waited for before it is announced, and until then the feed may be ready: the end would come before the repair.
        wait_for(
            "what the dead worker had in its hands is fetched",
            lambda: (
                any(program.metrics("k2_gaps_published_total").values())
                and not any(program.metrics("k2_gaps_open").values())
            ),
        )
        now = {name: state["pid"] for name, state in program.status()["children"].items()}
        assert now["worker-1"] != pids["worker-1"]
        assert {n: p for n, p in now.items() if n != "worker-1"} == {n: p for n, p in pids.items() if n != "worker-1"}
        after = program.metrics("k2_events_received_total")
        assert all(after[sample] >= value for sample, value in counted.items())
        # The dead process' gauges are gone: one sample a shard, and none of them of the old life.
        assert len(program.metrics("k2_binance_connection_lifetime_seconds")) == 3
        assert program.metrics("k2_child_restarts_total")
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
    result = figures(report)
    assert (result["truth"]["duplicated"], result["truth"]["reordered"]) == (0, 0)
    # What the dead worker had in its hands was fetched again by the new one.
    assert all(result["truth"]["by_kind"][kind]["lost"] == 0 for kind in ("trade", "agg_trade"))
    assert result["truth"]["unannounced"] == 0
    assert result["events"]["gaps_open"] == 0
    # Of the worker's first life all but its last half second.
    assert result["events"]["received"] > 0.8 * result["events"]["published"]


def test_a_killed_aggregator_comes_back_and_is_fed_again_and_the_report_is_of_all_its_lives(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with demo("--report", str(report)) as program:
        program.wait_ready()
        before = wait_for("events published", lambda: program.status()["published"])
        # By then there are checkpoints: what they hold is not sent again, and a new life does not see it.
        wait_for("events of several seconds", lambda: program.status()["published"] > before + 10_000)
        psutil.Process(program.pid_of("aggregator")).kill()
        wait_for(
            "a new aggregator that publishes",
            lambda: (
                program.status()["children"]["aggregator"]["restarts"] == 1
                and program.http("/readyz")[0] == 200
                and program.status()["published"] > before + 12_000
            ),
        )
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
    result = figures(report)
    events, truth = result["events"], result["truth"]
    assert (truth["lost"], truth["duplicated"]) == (0, 0)
    # A state of a bar that comes again is passed on: only who decodes it sees that it came before.
    assert truth["emitted"] <= events["published"] < 1.01 * truth["emitted"]
    assert events["received"] >= truth["emitted"]
    counted = {topic["topic"].split(".")[1]: 0 for topic in result["continuity"]}
    for topic in result["continuity"]:
        counted[topic["topic"].split(".")[1]] += topic["count"]
    assert counted == {kind: truth["by_kind"][kind]["emitted"] for kind in counted}


def test_a_stopped_worker_is_noticed_and_replaced() -> None:
    with demo() as program:
        program.wait_ready()
        psutil.Process(program.pid_of("worker-0")).suspend()
        wait_for(
            "the hung worker replaced",
            lambda: program.status()["children"]["worker-0"]["restarts"] == 1 and program.http("/readyz")[0] == 200,
        )
        assert program.logged("child_hung")
        program.stop()


def test_nothing_outlives_a_killed_parent() -> None:
    with demo(shards=3) as program:
        program.wait_ready()
        family = program.remember_family()
        assert len(family) >= 6
        program.process.kill()
        program.process.wait()
        wait_for("every process gone", lambda: not any(alive(p) for p in family.values()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_drains_and_ends_with_zero(number: signal.Signals) -> None:
    with demo() as program:
        program.wait_ready()
        family = program.remember_family()
        program.stop(number)
        assert program.process.returncode == 0, "".join(program.raw)
        # The forkserver and its tracker see the parent's pipes close, and follow it.
        wait_for("every process gone", lambda: not any(alive(p) for p in family.values()))
        assert not any("Traceback" in line for line in program.raw)


def test_a_stop_signal_to_the_whole_process_group_also_drains_in_order() -> None:
    with demo() as program:
        program.wait_ready()
        begun = len(program.log)
        # As a service manager does it; the children first, because then it is certain that they got it before the parent acted.
        for process in program.remember_family().values():
            process.terminate()
        program.stop(signal.SIGTERM)
        assert program.process.returncode == 0, "".join(program.raw)
        assert program.logged("stopped")[0]["clean"] is True
        assert not [line for line in program.log[begun:] if line["level"] in ("warning", "error")]


def test_two_stop_signals_at_once_are_one() -> None:
    with demo() as program:
        program.wait_ready()
        # Two of a kind may be merged by the kernel; these are not.
        program.process.send_signal(signal.SIGINT)
        program.stop(signal.SIGTERM)
        assert program.process.returncode == 0, "".join(program.raw)
        assert program.logged("stopped")[0]["clean"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_while_modules_are_loaded_is_the_end(number: signal.Signals) -> None:
    with Program("--demo", "--http-port", "0", PYTHONPROFILEIMPORTTIME="1") as program:
        wait_for("the first of its imports", lambda: any(line.endswith(" cyclopts\n") for line in list(program.raw)))
        program.stop(number)
        assert program.process.returncode == 0, "".join(program.raw)
        assert not any("Traceback" in line for line in program.raw)


@pytest.mark.parametrize("event", ["started", "demo"])
def test_ctrl_c_while_children_begin_ends_quietly(event: str) -> None:
    with demo() as program:
        wait_for("the first children begun", lambda: program.logged(event))
        program.stop(signal.SIGINT)
        assert program.process.returncode == 0, "".join(program.raw)
        assert not program.logged("child_killed")
        assert not any("Traceback" in line for line in program.raw)


def test_an_unreachable_venue_is_said_and_tried_again() -> None:
    port = free_port()
    with Program(
        "--shards", "2", "--http-port", "0", "--log-format", "json",
        "--publish-endpoint", f"tcp://127.0.0.1:{free_port()}", "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}",
        "--binance-rest-url", f"http://127.0.0.1:{port}", "--binance-websocket-url", f"ws://127.0.0.1:{port}",
    ) as program:  # fmt: skip
        said = wait_for("the venue called unreachable twice", lambda: len(program.logged("venue_unreachable")) > 1)
        assert said
        assert "--demo" in program.logged("venue_unreachable")[0]["hint"]
        assert program.http("/readyz")[0] == 503
        assert program.http("/healthz")[0] == 200
        program.stop()
        assert program.process.returncode == 0


def test_all_taken_ports_are_told_at_once_each_in_one_line() -> None:
    with demo() as program:
        program.wait_ready()
        base = program.logged("started")[0]["http"]
        publishing = program.logged("publishing")[0]
        second = run_briefly(
            "--demo", "--shards", "1", "--http-port", base.rpartition(":")[2],
            "--publish-endpoint", publishing["endpoint"], "--snapshot-endpoint", publishing["snapshot"],
        )  # fmt: skip
        assert second.returncode == 2
        told = [line for line in second.stderr.splitlines() if "error: " in line]
        assert [line.split()[2] for line in told] == ["http_port", "publish_endpoint", "snapshot_endpoint"]
        assert "Traceback" not in second.stderr
        program.wait_ready()
        program.stop()


def test_a_real_exchange_elsewhere_over_tls_differs_in_addresses_only(tmp_path: Path) -> None:
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    bundle, key, chain = tmp_path / "ca.pem", tmp_path / "key.pem", tmp_path / "chain.pem"
    authority.cert_pem.write_to_path(bundle)
    certificate.private_key_pem.write_to_path(key)
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    port, report = free_port(), tmp_path / "r.json"
    with (
        Program("simulate", "--port", str(port), "--tls-cert", str(chain), "--tls-key", str(key)) as exchange,
        Program(
            "--shards", "2", "--symbols", "BTCUSDT,ETH*", "--http-port", "0", "--log-format", "json",
            "--binance-rest-url", f"https://localhost:{port}",
            "--binance-websocket-url", f"wss://localhost:{port}", "--binance-ca-bundle", str(bundle),
            "--publish-endpoint", f"tcp://127.0.0.1:{free_port()}",
            "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}", "--report", str(report),
        ) as program,
    ):  # fmt: skip
        wait_for("the exchange listening", lambda: exchange.raw)
        program.wait_ready()
        wait_for("events from it", lambda: program.status()["published"] > 200)
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
        exchange.stop()
    result = figures(report)
    assert set(result["symbols"]) == {"BTCUSDT", "ETHUSDT"}
    assert "truth" not in result


def test_a_recording_arrives_once_and_in_order_while_rotating(recordings: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    files = [str(recordings / "spot" / f"btcusdt_2024080{day}.gz") for day in (8, 9)]
    with demo(
        "--replay", *files, "--replay-speed", "60", "--streams", "trade,depth,book_ticker",
        "--rotation-lifetime", "3", "--report", str(report), shards=1,
    ) as program:  # fmt: skip
        topics = {"trade": 19_904, "depth": 6_495}

        def done() -> bool:
            counted = program.metrics("k2_events_received_total")
            of_kind = {kind: sum(n for name, n in counted.items() if f'kind="{kind}"' in name) for kind in topics}
            return all(of_kind[kind] >= count for kind, count in topics.items()) and program.status()["rotations"] >= 3

        wait_for("the recording's end and three rotations", done)
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
    result = figures(report)
    counts = {topic["topic"]: topic for topic in result["continuity"]}
    assert counts["binance.trade.BTCUSDT"]["count"] == 19_904
    assert counts["binance.depth.BTCUSDT"]["count"] == 6_495
    assert (result["truth"]["lost"], result["truth"]["duplicated"], result["truth"]["reordered"]) == (0, 0, 0)
    assert result["rotations"]["count"] >= 3
