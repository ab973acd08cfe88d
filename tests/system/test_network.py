"""The whole program on networks that are not plain: behind a proxy, on IPv6, with a port that is taken."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import trustme

from tests.support.names import has_ipv6
from tests.support.proxy import ForwardProxy
from tests.support.venue import Venue
from tests.support.waiting import wait_for
from tests.system.support import ROOT, Program, free_port, run_briefly

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")

NO_PROXIES = {
    name: "" for word in ("http", "https", "all", "no") for name in (f"{word}_proxy", f"{word}_PROXY".upper())
}


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_the_feed_behind_a_proxy_reaches_the_venue_and_never_shows_the_password(kind: str, tmp_path: Path) -> None:
    authority, bundle = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("venue.example").configure_cert(context)
    with (
        Venue(tls=context) as venue,
        ForwardProxy(kind, {"venue.example": venue.port}, name="me", password="s3cr3t") as proxy,
        Program(
            "--shards", "2", "--symbols", "AAAUSDT,BBBUSDT", "--log-format", "json", "--log-level", "debug",
            "--binance-websocket-url", "wss://venue.example:9443", "--binance-rest-url", "https://venue.example",
            "--binance-ca-bundle", str(bundle), "--http-port", "0",
            "--publish-endpoint", f"tcp://127.0.0.1:{free_port()}", "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}",
            only={**os.environ, **NO_PROXIES, "ALL_PROXY": f"{kind}://me:s3cr3t@127.0.0.1:{proxy.port}"},
        ) as program,
    ):  # fmt: skip
        program.wait_ready()
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
    assert {"venue.example:9443", "venue.example:443"} == set(proxy.asked)
    assert [(line["through"], line["variable"]) for line in program.logged("proxy")] == [
        (f"{kind}://127.0.0.1:{proxy.port}", "ALL_PROXY")
    ] * 2
    assert "s3cr3t" not in "".join(program.raw)


@pytest.mark.parametrize("value", ["socks4://me:s3cr3t@127.0.0.1:1", "http://me:s3cr3t@"])
def test_a_proxy_that_is_none_is_one_message_before_any_child(value: str) -> None:
    ended = run_briefly("--log-format", "json", **NO_PROXIES | {"ALL_PROXY": value})
    assert ended.returncode == 2
    assert ended.stdout.strip() == ""
    assert ended.stderr.startswith("k2workers: error: ALL_PROXY in the environment is not the address of a proxy")
    assert len(ended.stderr.splitlines()) == 1
    assert "s3cr3t" not in ended.stderr


def test_the_demonstration_and_the_image_health_check_need_no_proxy_and_follow_the_port() -> None:
    (check,) = re.findall(r"^ *CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    ports = ["--http-port", "0", "--publish-endpoint", "tcp://127.0.0.1:*", "--snapshot-endpoint", "tcp://127.0.0.1:*"]
    dead = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    with tempfile.TemporaryDirectory(prefix="k2-") as folder:
        proxied = {**os.environ, **NO_PROXIES, **dead, "RUNTIME_DIRECTORY": folder}
        host = ["--http-host", "0.0.0.0", "--log-format", "json"]
        with Program("--demo", "--shards", "1", *host, *ports, only=proxied) as program:
            program.wait_ready()
            look = [sys.executable, *json.loads(check)[1:]]
            for path in ("/healthz", "/readyz"):
                subprocess.run([*look, path], cwd=ROOT, env=proxied, timeout=60, check=True)
            (warned,) = program.logged("open_to_others")
            assert warned["settings"] == ["http_host = '0.0.0.0'"]
            program.stop()
        assert (
            subprocess.run([*look], cwd=ROOT, env=proxied | {"K2_HTTP_PORT": "1"}, timeout=60, check=False).returncode
            == 1
        )


@needs_ipv6
def test_everything_that_listens_listens_on_ipv6() -> None:
    port = free_port()
    hosts = ["--http-host", "::1", "--publish-endpoint", f"tcp://[::1]:{port}", "--snapshot-endpoint", "tcp://[::1]:*"]
    with Program("--demo", "--shards", "1", "--http-port", "0", "--log-format", "json", *hosts) as program:
        program.wait_ready()
        tail = ["tail", "binance.trade.", "--endpoint", f"tcp://[::1]:{port}", "--count", "3", "--json"]
        assert len(run_briefly(*tail).stdout.splitlines()) == 3
        assert program.http("/metrics")[0] == 200
        assert program.logged("publishing")[0]["endpoint"] == f"tcp://[::1]:{port}"
        assert wait_for("books", lambda: program.logged("keeping_books"))[0]["endpoint"].startswith("tcp://[::1]:")
        assert program.logged("started")[0]["http"].startswith("http://[::1]:")
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)


@needs_ipv6
def test_the_stand_in_on_ipv6_prints_addresses_that_can_be_used() -> None:
    command = [sys.executable, "-m", "k2workers", "simulate", "--host", "::1", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        _, _, websocket, rest = running.stdout.readline().split()
        assert websocket.startswith("ws://[::1]:")
        port = int(rest.removeprefix("http://[::1]:"))
        socket.create_connection(("::1", port)).close()
        running.terminate()


@pytest.mark.parametrize("setting", ["publish_endpoint", "snapshot_endpoint"])
def test_a_port_that_is_taken_names_its_setting(setting: str) -> None:
    # Also while the venue is silent: nobody listens at its address.
    with socket.socket() as taken, socket.socket() as venue:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        venue.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        ports = {"publish_endpoint": "tcp://127.0.0.1:*", "snapshot_endpoint": "tcp://127.0.0.1:*"} | {
            setting: endpoint
        }
        flags = [part for name, value in ports.items() for part in (f"--{name.replace('_', '-')}", value)]
        source = ["--binance-rest-url", f"http://127.0.0.1:{venue.getsockname()[1]}"]
        if setting != "publish_endpoint":
            source = ["--demo"]
        ended = run_briefly(*source, "--http-port", "0", "--log-format", "json", *flags)
    assert ended.returncode == 2
    (error,) = [line for line in ended.stderr.splitlines() if line.startswith("k2workers: error")]
    assert f"{setting} = '{endpoint}' cannot be used: the address is in use by another program" in error
