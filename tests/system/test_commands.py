"""Every command that README, OPERATING.md, DEPLOYING.md, the Dockerfile and the help tell users to run, run as written: default ports, default addresses.

They run in a network of their own, in which the venue's names lead to the stand-in, over TLS with certificates of a test's authority.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from k2workers.config import SETTINGS, Settings
from tests.support import written
from tests.support.namespace import Namespace
from tests.support.recording import write_recording
from tests.support.written import Written
from tests.system.support import ROOT, Program, run_briefly, wait_for

README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "k2workers" / "OPERATING.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMMANDS = {
    "README": written.in_text(README),
    "OPERATING": written.in_text(OPERATING),
    "DEPLOYING": written.in_text((ROOT / "k2workers" / "DEPLOYING.md").read_text(encoding="utf-8")),
    "Dockerfile": written.in_dockerfile(DOCKERFILE),
}
ALL = list(dict.fromkeys(command for commands in COMMANDS.values() for command in commands))
EXCHANGES = [command for command in ALL if "simulate" in command.words]
READERS = [command for command in ALL if {"tail", "book"} & {*command.words}]
LOOKS = [command for command in ALL if command.words[-1] == "top"]
FEEDS = [command for command in ALL if command not in EXCHANGES + READERS + LOOKS]
DEFAULTS = {name: setting.default for name, setting in SETTINGS.items()}
OWN = Settings().of_venue("binance")
STAND_IN = """
from k2workers.simulator import SimulatorSettings, main
main(SimulatorSettings(
    host="127.0.0.2", port=9443, rest_port=443, tls_cert="chain.pem", tls_key="key.pem",
    # One address serves in two minutes what users would start over days.
    weight_per_minute=1_000_000, connects_per_window=10_000,
))
"""
"""On an address of its own, so that what it serves there is free on 127.0.0.1."""


def value(command: Written, option: str) -> str:
    """The word after the option; empty without it."""
    return command.words[command.words.index(option) + 1] if option in command.words else ""


def prefixes(command: Written, folder: Path) -> list[str]:
    """What a feed's subscribers will see first on the wire, if each of its topics flows: of named symbols each, of patterns one."""
    words = (value(command, "--symbols") or ",".join(OWN.usual_symbols)).split(",")
    symbols = [name for word in words for name in (lines_of(folder, word) if word.startswith("file:") else [word])]
    if "--demo" in command.words or any("*" in symbol for symbol in symbols):
        endings = [""]
    else:
        endings = [f"{symbol} " for symbol in symbols]
    kinds = value(command, "--streams").split(",") if "--streams" in command.words else OWN.usual_streams
    return [f"binance.{kind}.{ending}" for kind in kinds for ending in endings]


def lines_of(folder: Path, word: str) -> list[str]:
    return (folder / word.removeprefix("file:")).read_text(encoding="utf-8").split()


class Machine:
    """A user's machine: the network, the checkout with the files that commands name, the image's root."""

    def __init__(self, folder: Path, namespace: Namespace) -> None:
        self.folder = folder
        self.checkout, self.root = folder / "checkout", folder / "image"
        self.image = written.image(DOCKERFILE)
        self._namespace = namespace
        # HOME: where runs say where they answer. Other tests' runs say it elsewhere.
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "K2_BINANCE_CA_BUNDLE": str(folder / "ca.pem"),
        }

    def lay(self) -> None:
        """Put the files in their places."""
        self.checkout.mkdir()
        for name in ("k2workers", "scripts", "config", ".venv"):
            (self.checkout / name).symlink_to(ROOT / name)
        words = list(dict.fromkeys(word for command in ALL for word in command.words))
        for word in words:
            if word.startswith("file:"):
                (self.checkout / word.removeprefix("file:")).write_text("BNBUSDT\nXRPUSDT\n", encoding="ascii")
        for number, name in enumerate(word for word in words if word.endswith(".gz")):
            write_recording(self.checkout / name, minute=10 * number, minutes=10)
        for source, target in self.image.copied:
            place = self.inside(target)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(ROOT / source)
        for volume in self.image.volumes:
            self.inside(volume).mkdir(parents=True)

    def inside(self, path: str) -> Path:
        """Where a path of the image is here."""
        return self.root / path.removeprefix("/")

    def start(self, command: Written, folder: Path | None = None) -> Program:
        """Run it as written. Only paths of the image's own root are others."""
        words = list(command.words)
        environment: dict[str, str] = {}
        if command.image:
            words = [sys.executable, *self.image.entrypoint[1:], *words]
            folder = self.inside(self.image.folder)
            for name, text in self.image.environment.items():
                environment[name] = str(self.inside(text)) if text.startswith("/") else text
        elif words[0] == "python":
            words[0] = sys.executable
        return Program(
            command=self._namespace.inside(*words),
            folder=folder or self.checkout,
            only={**self._environment, **environment},
        )

    def onlooker(self, *args: str) -> Program:
        """One that looks on from outside; it ends by itself when it has seen everything."""
        command = self._namespace.inside(sys.executable, "-m", "tests.support.onlooker", *args)
        return Program(command=command, only={"PATH": "/usr/bin:/bin"})

    @contextlib.contextmanager
    def running(self, command: Written) -> Iterator[dict[str, Any]]:
        """A feed whose topics flow and that calls itself ready, and its /status; afterwards it is stopped, and that is clean."""
        with (
            self.onlooker(
                "feed", f"http://127.0.0.1:{DEFAULTS['http_port']}", DEFAULTS["publish_endpoint"],
                *prefixes(command, self.checkout),
            ) as onlooker,
            self.start(command) as program,
        ):  # fmt: skip
            self.wait_for_end(onlooker, program)
            yield json.loads(onlooker.raw[-1])
            if "--duration" not in command.words:
                program.process.send_signal(signal.SIGTERM)
            assert_clean_end(program)

    @staticmethod
    def wait_for_end(onlooker: Program, *watched: Program) -> None:
        """Until the onlooker has seen everything; what it looks at must live on."""

        def seen() -> bool:
            for program in watched:
                assert program.process.poll() is None, "".join(program.raw)
            return onlooker.process.poll() is not None

        wait_for("everything seen by the onlooker", seen)
        onlooker.join()
        assert onlooker.process.returncode == 0, "".join(onlooker.raw)


def assert_clean_end(program: Program) -> None:
    program.join()
    assert program.process.returncode == 0, "".join(program.raw)
    assert not any("Traceback" in line for line in program.raw), "".join(program.raw)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    venue = [str(urlsplit(url).hostname) for url in (OWN.websocket_url, OWN.rest_url)]
    authority = trustme.CA()
    certificate = authority.issue_cert(*venue)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    with Namespace(folder, dict.fromkeys(venue, "127.0.0.2")) as namespace:
        made = Machine(folder, namespace)
        made.lay()
        command = namespace.inside(sys.executable, "-c", STAND_IN)
        with Program(command=command, folder=folder, PYTHONPATH=str(ROOT)) as exchange:
            wait_for("the stand-in listening", lambda: exchange.raw)
            yield made


def named(command: Written) -> str:
    return ("docker run " if command.image else "") + " ".join(command.words)


@pytest.mark.parametrize("source", COMMANDS)
def test_each_text_has_commands(source: str) -> None:
    assert COMMANDS[source]


def test_help_shows_the_commands_of_operating() -> None:
    examples = run_briefly("--help").stdout.partition("\nExamples:\n\n")[2].strip()
    assert written.in_lines(examples)
    assert f"```\n{examples}\n```\n" in OPERATING


@pytest.mark.parametrize(
    "line",
    ["`scripts/run` and scripts/run", "```\npython -m k2workers\nmake k2workers\n```", "python -m k2workers --demo", "```\nk2workers tail x\n```"],
)  # fmt: skip
def test_a_line_that_is_not_understood_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"understood|mentions"):
        written.in_text(f"Text.\n\n{line}\n")


@pytest.mark.parametrize("command", FEEDS, ids=named)
def test_a_feed_is_ready_and_flows_and_ends_cleanly(command: Written, machine: Machine) -> None:
    if "--duration" in command.words:
        words = list(command.words)
        words[words.index("--duration") + 1] = "40"  # it counts from the start, which may take long
        command = Written(tuple(words), command.image)
    with machine.running(command) as status:
        assert status["waiting_for"] == ""
        if command.image:
            check = Written((sys.executable, *machine.image.healthcheck[1:]))
            with machine.start(check) as healthcheck:
                assert_clean_end(healthcheck)
    if report := value(command, "--report"):
        assert json.loads((machine.checkout / report).read_text(encoding="utf-8"))["events"]["published"]


@pytest.mark.parametrize(
    "shards", [pytest.param(n, marks=[] if n in {1, 3, 16} else [pytest.mark.long]) for n in range(1, 17)]
)
def test_any_number_of_shards_serves_the_default_symbols(shards: int, machine: Machine) -> None:
    with machine.running(Written(("python", "-m", "k2workers", "--shards", str(shards)))) as status:
        served = [worker["symbols"] for worker in status["workers"]]
        assert len(served) == min(shards, len(OWN.usual_symbols))
        assert sum(served) == len(OWN.usual_symbols)
        assert max(served) - min(served) <= 1


def test_what_readers_are_told_to_run_reads_the_feed(machine: Machine) -> None:
    assert READERS and LOOKS
    programs = re.findall(r"^```python\n(.*?asyncio\.run.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    assert programs
    feed = next(command for command in FEEDS if command.words[-2:] == ("--shards", "8"))
    with machine.running(feed), contextlib.ExitStack() as stack:
        readers = [stack.enter_context(machine.start(command)) for command in READERS]
        for text in programs:
            program = stack.enter_context(machine.start(Written((sys.executable, "-u", "-c", text))))
            wait_for("events printed", lambda program=program: any(line.startswith("binance.") for line in program.raw))
        for command, reader in zip(READERS, readers, strict=True):
            topic = command.words[-1]
            wait_for(f"events of {topic}", lambda topic=topic, reader=reader: f" {topic}" in "".join(reader.raw))
            reader.process.send_signal(signal.SIGTERM)
            assert_clean_end(reader)
        for command in LOOKS:
            with machine.start(command) as look:
                assert_clean_end(look)
                assert look.raw[0].startswith("All is well: every stream flows, since "), look.raw


@pytest.mark.parametrize("command", EXCHANGES, ids=named)
def test_the_stand_in_serves_any_client_and_ends_cleanly(command: Written, machine: Machine) -> None:
    address = f"127.0.0.1:{value(command, '--port')}"
    with machine.onlooker("exchange", address, "btcusdt@trade") as onlooker, machine.start(command) as exchange:
        machine.wait_for_end(onlooker, exchange)
        exchange.process.send_signal(signal.SIGTERM)
        assert_clean_end(exchange)
