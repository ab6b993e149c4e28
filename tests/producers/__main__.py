"""`make producers`: what a producer installs, each in an environment of its own, with the oldest Celery and the newest.

An environment has this package without extras and sends to a real Redis; a worker of the development environment takes
the events in. It needs the network, so it is no part of `make test`.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from pipeline.inbox.dead_letters import received
from pipeline.local import LocalStack, clean_environment, wait_until

ROOT = Path(__file__).resolve().parents[2]
CELERIES = (("celery==5.4.0", "kombu==5.4.0"), ("celery==5.4.0",), ("celery",))
MOST_PACKAGES = 22
NAME_TAKEN = "django-pipeline and event-pipeline-salesforce are both installed here"

PROGRAM = """
import celery, kombu, redis, sys
from celery import Celery, chain, group, shared_task
project = Celery("project", broker="memory://")
project.set_default()
@shared_task
def mine(): ...
from pipeline import RefusedCall, send_event, send_events
name = sys.argv[1]
def event(number):
    return {"type": "identify", "userId": "u1", "messageId": f"{name}-{number}"}
assert send_event.delay(event(0)).message_id == f"{name}-0"
assert send_events.delay(event(number) for number in (1, 2)).message_ids == (f"{name}-1", f"{name}-2")
group(send_event.s(event(3)), send_event.si(event(4))).delay()
send_event.apply_async([event(5)], compression="gzip", priority=3)
for refused in (
    lambda: chain(send_event.si(event(6)), send_event.si(event(7))).delay(),
    lambda: send_event.delay([event(8)]),
    lambda: send_event.delay(event(0)).get() and None,
):
    try:
        refused()
    except RefusedCall:
        continue
    raise AssertionError
assert celery.current_app.main == mine.app.main == "project"
assert not any(one.startswith("pipeline") for one in project.tasks)
print(f"celery {celery.__version__}, kombu {kombu.__version__}, redis {redis.__version__}")
"""


def main() -> None:
    """Try all environments."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(workers={"worker-1": ("--ingest",)}, has_beat=False) as stack,
    ):
        environ = clean_environment() | {"PIPELINE_REDIS_URL": stack.redis.url}
        environ.pop("PYTHONPATH", None)  # what is installed is tried, and not this tree
        for number, celery in enumerate(CELERIES):
            python = _environment(Path(folder) / str(number), *celery)
            print(_run([python, "-c", PROGRAM, str(number)], environ).strip())
            packages = [
                line for line in _run([python, "-m", "pip", "list", "--format=freeze"]).splitlines() if "==" in line
            ]
            size = sum(file.stat().st_size for file in python.parents[1].rglob("*") if _is_installed(file))
            print(f"  {len(packages)} packages, {size / 1e6:.0f} MB")
            assert len(packages) <= MOST_PACKAGES, packages
            assert "event-pipeline-salesforce[worker]" in _run(
                [python.with_name("pipeline"), "worker"], environ, code=2
            )
        with stack.redis.client() as redis:
            wait_until(lambda: sum(received(redis).values()) == 6 * len(CELERIES), what="all events", within_s=30)
            assert set(received(redis)) == {"skipped"}
            assert redis.llen("ingest.unreadable") == 0
        # django-pipeline overwrites what is called as its own files are.
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "django-pipeline"])
        assert NAME_TAKEN in _run([python.with_name("pipeline"), "status"], environ, code=2)
    print("producers of all versions send, and workers take their events in")


def _is_installed(file: Path) -> bool:
    return file.is_file() and "site-packages" in file.parts and not {"pip", "setuptools"} & set(file.parts)


def _environment(folder: Path, *versions: str) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT), *versions])
    return python


def _run(command: list[str | Path], environ: dict[str, str] | None = None, *, code: int = 0) -> str:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, cwd="/", check=False)
    if done.returncode != code:
        sys.exit(f"{done.stdout}{done.stderr}\n{command[0]} ended with {done.returncode} and not with {code}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main()
