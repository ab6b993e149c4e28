"""The files that make the project installable and runnable, held against each other and against the code."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import pipeline.celeryconfig

ADDRESS = re.compile(r"https?://|git\+|file:|@\s*\S+://|--(extra-)?index-url|--find-links", re.IGNORECASE)
LOOPBACK_BINDING = re.compile(r"^127\.0\.0\.1:\d+:\d+$")
WORKERS = ("ingest", "delivery")
OURS = (*WORKERS, "beat", "flower", "metrics", "console")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((root() / "docker-compose.yml").read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((root() / "pyproject.toml").read_text(encoding="utf-8"))


def root() -> Path:
    return Path(__file__).resolve().parents[2]


def pins() -> dict[str, str]:
    lines = (root() / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_constraints_are_exact_and_hold_no_address() -> None:
    for line in (root() / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line
        assert not ADDRESS.search(line), line


def test_every_dependency_is_pinned(project: dict[str, Any]) -> None:
    pinned = {name.lower().replace("_", "-") for name in pins()}
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["project"]["dependencies"], *(one for extra in extras for one in extra)]
    for requirement in wanted:
        name = re.split(r"[\[<>=!~ ]", requirement)[0].lower().replace("_", "-")
        assert name in pinned or name == project["project"]["name"], name  # an extra that brings another


def test_the_readme_names_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root() / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"help", "demo", "test", "lint"} <= targets
    for name in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"\bmake ([a-z-]+)\b", (root() / name).read_text(encoding="utf-8")))
        assert named <= targets, f"{name} names {named - targets}"


def test_make_help_lists_every_target_that_is_explained() -> None:
    makefile = (root() / "Makefile").read_text(encoding="utf-8")
    explained = re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=root(), capture_output=True, text=True, check=True).stdout
    assert all(f"make {target} " in shown for target in explained)


def test_ci_runs_what_contributors_run() -> None:
    script = (root() / ".ci" / "run").read_text(encoding="utf-8")
    assert "make lint" in script
    assert "make test" in script
    # Before the tests, which skip what a browser is missing for.
    assert script.index(".ci/browser") < script.index("make test")
    assert os.access(root() / ".ci" / "browser", os.X_OK)


def test_redis_in_compose_keeps_what_it_was_given(compose: dict[str, Any]) -> None:
    command = compose["services"]["redis"]["command"][-1]
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert "requirepass" in command
    assert any(volume.endswith(":/data") for volume in compose["services"]["redis"]["volumes"])
    assert "ports" not in compose["services"]["redis"]


@pytest.mark.parametrize("name", ["redis", *OURS])
def test_every_service_in_compose_has_a_health_check_and_restarts(name: str, compose: dict[str, Any]) -> None:
    service = compose["services"][name]
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", OURS)
def test_our_containers_wait_for_redis_and_have_no_more_rights_than_they_need(
    name: str, compose: dict[str, Any]
) -> None:
    service = compose["services"][name]
    assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True


def test_ingest_and_delivery_are_apart_and_only_delivery_holds_the_org_s_credentials(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert "--ingest" in services["ingest"]["command"]
    assert "--delivery" in services["delivery"]["command"]
    holders = {name for name in OURS if any("SALESFORCE" in one for one in services[name]["environment"])}
    assert holders == {"delivery"}
    assert {name for name in OURS if any("salesforce" in one for one in services[name]["secrets"])} == {"delivery"}


def test_flower_in_compose_has_a_password_and_is_published_on_loopback(compose: dict[str, Any]) -> None:
    assert "FLOWER_BASIC_AUTH_FILE" in compose["services"]["flower"]["environment"]
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(LOOPBACK_BINDING.match(port) for port in ports)


def test_the_health_check_of_beat_looks_at_the_lock_that_redbeat_takes(compose: dict[str, Any]) -> None:
    from celery import Celery
    from redbeat.schedulers import RedBeatConfig

    app = Celery()
    app.config_from_object(pipeline.celeryconfig)
    assert json.dumps(RedBeatConfig(app).lock_key) in compose["services"]["beat"]["healthcheck"]["test"][-1]


def test_compose_gives_workers_longer_to_stop_than_a_request_takes(compose: dict[str, Any]) -> None:
    for name in WORKERS:
        assert int(compose["services"][name]["stop_grace_period"].removesuffix("s")) > 65


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0,
    reason="there is no docker with compose here",
)
def test_docker_compose_accepts_the_file() -> None:
    checked = subprocess.run(
        ["docker", "compose", "config", "--quiet"],
        cwd=root(),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "SALESFORCE_DOMAIN": "acme.my"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_the_image_runs_as_nobody_special_and_copies_files_that_exist() -> None:
    dockerfile = (root() / "Dockerfile").read_text(encoding="utf-8")
    stages = dockerfile.split("\nFROM ")
    assert re.search(r"^USER (?!root\b|0\b)\S+", stages[-1], re.MULTILINE)
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (root() / source).exists(), source


def test_the_package_ships_what_it_reads_at_run_time() -> None:
    from importlib.resources import files

    for package, name in [
        ("pipeline.data", "sdk_events.jsonl"),
        ("pipeline.cli", "demo.yaml"),
        ("pipeline.metrics", "sample.lua"),
        ("pipeline.console", "console.css"),
        ("pipeline.console", "console.js"),
        ("pipeline", "py.typed"),
    ]:
        assert (files(package) / name).is_file(), name
    assert any(path.suffix == ".lua" for path in Path(pipeline.celeryconfig.__file__).parent.rglob("inbox/*.lua"))
