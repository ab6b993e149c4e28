"""The files of deploy/ and docker-compose.yml: what they run exists, with few rights and no secret in them."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pipeline.cli import main

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES, SYSTEMD = ROOT / "deploy" / "kubernetes", ROOT / "deploy" / "systemd"
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|AUTH|_KEY")
IMAGE = "event-pipeline-salesforce"


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(KUBERNETES.rglob("*.yaml")):
        if file.name != "destination.yaml":
            for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
                yield file.name, document


WORKLOADS = [one for _, one in documents() if one["kind"] in {"Deployment", "StatefulSet"}]
CONTAINERS = [
    pytest.param(one, container, id=container["name"])
    for one in WORKLOADS
    for container in one["spec"]["template"]["spec"]["containers"]
]
UNITS = sorted(SYSTEMD.glob("*.service"))


def commands() -> Iterator[Any]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    for name, service in compose["services"].items():
        if service.get("image") == IMAGE:
            yield pytest.param([str(part) for part in service["command"]], id=f"compose-{name}")
    for unit in UNITS:
        (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
        program, *arguments = shlex.split(line)
        assert program == "/opt/pipeline/bin/pipeline"
        yield pytest.param(arguments, id=unit.name)
    for one in WORKLOADS:
        for container in one["spec"]["template"]["spec"]["containers"]:
            if container["image"] == IMAGE:
                yield pytest.param(container["args"], id=f"kubernetes-{container['name']}")


@pytest.mark.parametrize("command", [*commands()])
def test_what_is_run_is_a_command_with_options_that_exist(command: list[str]) -> None:
    # `--help` after the options: click checks what stands before it, and then runs nothing.
    asked = CliRunner().invoke(main, [*command, "--help"])
    assert asked.exit_code == 0, asked.output


@pytest.mark.parametrize(("workload", "container"), CONTAINERS)
def test_every_container_is_bounded_probed_and_has_no_rights(workload: Any, container: Any) -> None:
    pod = workload["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for bounds in ("requests", "limits"):
        assert set(container["resources"][bounds]) == {"cpu", "memory"}
    assert {"readinessProbe", "livenessProbe"} <= set(container)
    assert (
        workload["spec"]["selector"]["matchLabels"].items()
        <= workload["spec"]["template"]["metadata"]["labels"].items()
    )


def test_no_secret_stands_in_a_file_and_only_delivery_has_those_of_the_org() -> None:
    holders = set()
    for name, one in documents():
        assert one["kind"] != "Secret", name
        for pod in [one["spec"]["template"]["spec"]] if one in WORKLOADS else []:
            for container in pod["containers"]:
                for variable in container.get("env", []):
                    assert "value" not in variable or not SECRET.search(variable["name"])
                    if variable["name"].startswith("SALESFORCE_"):
                        holders.add(container["name"])
        if one["kind"] == "ConfigMap":
            assert not [key for key in one["data"] if SECRET.search(key)]
            assert "@" not in one["data"]["PIPELINE_REDIS_URL"]
    assert holders == {"delivery"}


def test_the_image_of_the_manifests_is_the_one_of_compose_and_the_user_that_of_the_dockerfile() -> None:
    user = re.search(r"--uid (\d+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert user is not None
    for one in WORKLOADS:
        pod = one["spec"]["template"]["spec"]
        for container in pod["containers"]:
            if container["image"] == IMAGE:
                assert pod["securityContext"]["runAsUser"] == int(user[1])
            else:
                compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
                assert f"image: {container['image']}\n" in compose


def test_what_is_scaled_by_the_backlog_exists_and_has_no_number_of_its_own() -> None:
    scaled = {one["metadata"]["name"]: one["spec"] for _, one in documents() if one["kind"] == "ScaledObject"}
    assert set(scaled) == {"ingest", "delivery"}
    names = {one["metadata"]["name"] for one in WORKLOADS}
    assert {spec["scaleTargetRef"]["name"] for spec in scaled.values()} <= names
    (ingest,), (delivery,) = (scaled[name]["triggers"] for name in ("ingest", "delivery"))
    assert (ingest["type"], ingest["metadata"]["listName"]) == ("redis", "ingest")
    assert (delivery["type"], delivery["metadata"]["query"][:4]) == ("prometheus", "sum(")


def test_the_destination_of_the_manifests_is_one_that_is_read() -> None:
    from pipeline.settings.file import read_destination

    assert "Lead" in read_destination(KUBERNETES / "base" / "destination.yaml").objects


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl here")
def test_kustomize_builds_the_overlay() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES / "overlays" / "production")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert built.returncode == 0, built.stderr
    read = list(yaml.safe_load_all(built.stdout))
    workers = [one for one in read if one["kind"] == "Deployment" and one["metadata"]["name"] in {"ingest", "delivery"}]
    assert len(workers) == 2
    assert all("replicas" not in one["spec"] for one in workers)
    images = {c["image"] for one in workers for c in one["spec"]["template"]["spec"]["containers"]}
    assert images == {"registry.example.com/event-pipeline-salesforce:0.1.0"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_hardened_restarts_and_gets_its_secrets_as_credentials(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    for line in (
        "User=pipeline",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
        "Restart=always",
    ):
        assert f"\n{line}\n" in text
    files = dict(re.findall(r"([A-Z_]+)_FILE=%d/([a-z_]+)", text))
    assert set(files.values()) == set(re.findall(r"^LoadCredential=([a-z_]+):", text, re.MULTILINE))
    assert any(name.startswith("SALESFORCE") for name in files) is ("delivery" in unit.name)


def test_the_target_wants_every_unit() -> None:
    text = (SYSTEMD / "pipeline.target").read_text(encoding="utf-8")
    wanted = {
        name.replace("@1", "@") for line in re.findall(r"^Wants=(.+)$", text, re.MULTILINE) for name in line.split()
    }
    assert wanted == {unit.name for unit in UNITS}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    # A program that exists, as systemd looks for it; and an instance, as a template cannot be looked at.
    text = unit.read_text(encoding="utf-8").replace("/opt/pipeline/bin/pipeline", "/bin/true")
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(text, encoding="utf-8")
    (tmp_path / "pipeline.target").write_text((SYSTEMD / "pipeline.target").read_text(encoding="utf-8"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stderr == ""
