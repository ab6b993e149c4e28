"""A producer's installation: Celery, the Redis client and little else."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pipeline

ROOT = Path(pipeline.__file__).resolve().parents[1]


def required(requirement: Requirement, seen: set[str]) -> None:
    """Note the names of the packages that a requirement brings, here."""
    name = canonicalize_name(requirement.name)
    seen.add(name)
    for one in map(Requirement, requires(name) or []):
        extras = requirement.extras or {""}
        is_wanted = one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras)
        if is_wanted and (canonicalize_name(one.name) not in seen or one.extras):
            required(one, seen)


def producers_packages() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    seen: set[str] = {"event-pipeline-salesforce"}
    for one in project["dependencies"]:
        required(Requirement(one), seen)
    return seen


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what a producer installs, and no more."""
    folder = tmp_path_factory.mktemp("producer")
    (folder / "pipeline").symlink_to(ROOT / "pipeline")
    for name in producers_packages() - {"event-pipeline-salesforce"}:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that finds the standard library and what is in a folder."""
    return subprocess.run(
        [sys.executable, "-S", "-c", program, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PIPELINE_REDIS_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_producer_installs_little() -> None:
    packages = producers_packages()
    assert {"celery", "kombu", "redis"} <= packages
    assert len(packages) <= 22
    heavy = {"flower", "tornado", "zeep", "lxml", "simple-salesforce", "celery-redbeat", "marshmallow", "lz4", "rich"}
    assert packages.isdisjoint(heavy | {"cryptography", "prometheus-client", "requests", "pyyaml", "starlette"})


def test_the_parts_of_workers_are_an_extra_that_the_others_bring() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == ["celery>=5.4,<6", "kombu[redis]>=5.4,<6"]
    extras = project["optional-dependencies"]
    assert {"celery>=5.7,<5.8", "kombu[redis]>=5.7,<5.8"} <= set(extras["worker"])
    for name in ("console", "local"):
        assert "event-pipeline-salesforce[worker]" in extras[name]


SENDING = """
import pipeline
from pipeline.testing import sent_events
with sent_events() as sent:
    pipeline.send_event.delay({"type": "identify", "userId": "u1"})
    pipeline.send_events.delay([{"type": "identify", "userId": "u1"}])
assert len(sent) == 2
try:
    pipeline.send_event.delay({"type": "identify", "userId": "u1"})
except pipeline.NotSent:
    print("not sent")
try:
    pipeline.read_result("m1")
except Exception as error:
    print(type(error).__module__)
"""


@pytest.mark.parametrize("key", ["", "PIPELINE_MESSAGE_KEY"])
def test_a_producer_sends_and_reads_results_without_what_workers_need(key: str, installed: Path) -> None:
    done = run(installed, (f"import os; os.environ[{key!r}] = 'k' * 32\n" if key else "") + SENDING)
    assert done.stdout.split() == ["not", "sent", "redis.exceptions"], done.stderr


COMMANDS = """
import json
from click.testing import CliRunner
from pipeline.cli import _COMMANDS, main
open("events.jsonl", "w").write("{}\\n")
ARGUMENTS = {"send": ["events.jsonl"], "preview": ["events.jsonl"], "trace": ["m1"], "dead-letters": ["list"]}
ran = {name: CliRunner().invoke(main, [name, *ARGUMENTS.get(name, [])]) for name in _COMMANDS if name != "completion"}
print(json.dumps({name: [one.exit_code, one.output] for name, one in ran.items()}))
"""


def test_a_command_that_lacks_its_parts_names_the_extra(installed: Path) -> None:
    done = run(installed, COMMANDS)
    assert done.returncode == 0, done.stderr
    ran = json.loads(done.stdout)
    needed = {
        name: re.findall(r"pip install 'event-pipeline-salesforce\[(\w+)\]'", text) for name, (_, text) in ran.items()
    }
    without = {name for name, extras in needed.items() if not extras}
    # These need no more than Redis, which is not there.
    assert without <= {"status", "trace", "pause", "resume", "dead-letters"}, {name: ran[name] for name in without}
    assert all(code == 2 for name, (code, _) in ran.items() if name not in without)
    assert all("Start it, or set PIPELINE_REDIS_URL" in ran[name][1] for name in without)
    assert {needed["worker"][0], needed["beat"][0], needed["send"][0]} == {"worker"}


def test_celery_s_own_worker_command_names_the_extra_too(installed: Path) -> None:
    done = run(installed, "from celery.__main__ import main; main()", "-A", "pipeline", "worker")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'event-pipeline-salesforce[worker]'")


def test_help_and_the_version_need_nothing(installed: Path) -> None:
    for option in ("--help", "--version"):
        assert run(installed, "from pipeline.cli import main; main()", option).returncode == 0


def test_what_is_asked_of_tests_names_the_extra(installed: Path) -> None:
    done = run(installed, "from pipeline.testing import rejection; rejection({})")
    assert "ConfigurationError: marshmallow is not installed" in done.stderr
    assert "event-pipeline-salesforce[worker]" in done.stderr


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """An installation into which django-pipeline has been installed as well."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__", "emulator"))
    (tmp_path / "pipeline" / "compressors").mkdir()
    (tmp_path / "pipeline" / "compressors" / "__init__.py").write_text("", encoding="utf-8")
    return tmp_path


def in_folder(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{program}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_environment_shared_with_django_pipeline_says_so(mixed: Path) -> None:
    imported = in_folder(mixed, "import pipeline; pipeline.send_event.name")
    assert "UserWarning: django-pipeline and event-pipeline-salesforce are both installed here" in imported.stderr
    # Whichever was installed last has its own __init__.py.
    for init in (None, ""):
        if init is not None:
            (mixed / "pipeline" / "__init__.py").write_text(init, encoding="utf-8")
        ran = in_folder(mixed, "from pipeline.cli import main; sys.argv = ['pipeline', 'status']; main()")
        assert ran.returncode == 2
        assert "Error: django-pipeline and event-pipeline-salesforce are both installed here" in ran.stderr


def test_an_environment_of_its_own_says_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import pipeline"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
