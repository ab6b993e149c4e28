"""docs/producers.md is executed: each of its programs does what the page says."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.inbox.dead_letters import received
from pipeline.local import LocalRedis, LocalStack, clean_environment, wait_until

PAGE = Path(__file__).resolve().parents[3] / "docs" / "producers.md"
BLOCK = re.compile(r'^```python title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PROGRAMS = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
KEY = "k" * 32

SETTINGS = """
SECRET_KEY = "test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
"""
URLS = """
from django.urls import path
from shop.views import sign_up
urlpatterns = [path("sign-up", sign_up)]
"""
COMMITTED = """
import json, django
from django.conf import settings
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
from shop import views
print(Client().post("/sign-up", {"email": "ada@example.com"}).status_code)
def fail(*_, **__): raise RuntimeError
views.HttpResponse = fail
client = Client(raise_request_exception=False)
print(client.post("/sign-up", {"email": "bob@example.com"}).status_code)
"""
ASKED = """
from fastapi.testclient import TestClient
from main import app
client = TestClient(app)
for path in ("/sign-up", "/sign-up-async"):
    print(client.post(path, data={"email": "ada@example.com"}).json())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all programs of the page, each under its title if that is the name of a file."""
    for title, text in PROGRAMS.items():
        if title.endswith(".py"):
            (tmp_path / title).parent.mkdir(exist_ok=True)
            (tmp_path / title).write_text(text, encoding="utf-8")
    (tmp_path / "shop" / "settings.py").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "shop" / "urls.py").write_text(URLS, encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str, stdin: str = "", **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=clean_environment() | {"PYTHONPATH": str(folder)} | environ,
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def queued(server: LocalRedis) -> list[Any]:
    """Return the events that wait in the queue, in their order."""
    with server.client() as redis:
        bodies = [json.loads(one)["body"] for one in reversed(redis.lrange("ingest", 0, -1))]
    arguments = [json.loads(base64.b64decode(body))[0][0] for body in bodies]
    return [event for one in arguments for event in (one if isinstance(one, list) else [one])]


def emails(server: LocalRedis) -> list[str]:
    return [event["traits"]["email"] for event in queued(server)]


def test_every_program_of_the_page_is_run_here() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("```python") == len(PROGRAMS)
    tested = Path(__file__).read_text(encoding="utf-8")
    assert "conftest.py" in PROGRAMS  # which test_sign_up.py uses
    assert [title for title in PROGRAMS if re.split(r"[/.]", title)[0] not in tested] == []


def test_one_event_is_sent_and_its_id_is_told(folder: Path, redis_server: LocalRedis) -> None:
    told = run(folder, "-c", PROGRAMS["one event"], PIPELINE_REDIS_URL=redis_server.url)
    (event,) = queued(redis_server)
    assert told.strip() == event["messageId"]


def test_django_sends_after_the_commit_and_not_after_a_rollback(folder: Path, redis_server: LocalRedis) -> None:
    told = run(folder, "-c", COMMITTED, PIPELINE_REDIS_URL=redis_server.url, DJANGO_SETTINGS_MODULE="shop.settings")
    assert [line for line in told.splitlines() if line.isdecimal()] == ["201", "500"]
    assert emails(redis_server) == ["ada@example.com"]


def test_django_goes_on_without_a_broker(folder: Path) -> None:
    told = run(
        folder, "-c", COMMITTED, PIPELINE_REDIS_URL="redis://127.0.0.1:1/0", DJANGO_SETTINGS_MODULE="shop.settings"
    )
    assert "201" in told.splitlines()


def test_django_s_tests_see_what_was_sent(folder: Path) -> None:
    told = run(folder, "-m", "django", "test", "shop", "--pattern", "tests.py", DJANGO_SETTINGS_MODULE="shop.settings")
    assert "Ran 1 test" in told


@pytest.mark.parametrize("url", [None, "redis://127.0.0.1:1/0"])
def test_flask_sends_and_goes_on_without_a_broker(folder: Path, redis_server: LocalRedis, url: str | None) -> None:
    program = """
from flaskr import create_app
print(create_app().test_client().post("/sign-up", data={"email": "ada@example.com"}).text)
"""
    told = run(folder, "-c", program, PIPELINE_REDIS_URL=url or redis_server.url)
    assert "welcome" in told
    assert ("the sign-up was not sent" in told) is (url is not None)
    assert emails(redis_server) == ([] if url else ["ada@example.com"])


def test_the_tests_of_a_flask_program_see_what_was_sent(folder: Path) -> None:
    assert "1 passed" in run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_sign_up.py", "--rootdir=.")


def test_fastapi_sends_from_threads_and_from_the_event_loop(folder: Path, redis_server: LocalRedis) -> None:
    assert "main.py" in PROGRAMS
    told = run(folder, "-c", ASKED, PIPELINE_REDIS_URL=redis_server.url)
    ids = re.findall(r"^[0-9a-f-]{36}$", told, re.MULTILINE)
    assert ids == [event["messageId"] for event in queued(redis_server)]
    assert len(ids) == 2


def test_a_script_sends_by_the_hundred(folder: Path, redis_server: LocalRedis) -> None:
    rows = "id,email\n" + "".join(f"{number},p{number}@example.com\n" for number in range(1200))
    told = run(folder, "backfill.py", stdin=rows, PIPELINE_REDIS_URL=redis_server.url)
    assert told.splitlines() == ["500 events sent", "500 events sent", "200 events sent"]
    assert [event["messageId"] for event in queued(redis_server)] == [f"backfill-{number}" for number in range(1200)]


NOT_HERE = """
import sys
class Blocker:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "pipeline":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
"""


def test_another_application_sends_by_name(folder: Path, redis_server: LocalRedis) -> None:
    run(folder, "-c", NOT_HERE + PROGRAMS["by name"], PIPELINE_REDIS_URL=redis_server.url)
    assert [event["messageId"] for event in queued(redis_server)] == ["order-1", "order-1", "order-2"]


def test_a_signature_is_needed_where_workers_have_a_key(start_stack: Callable[..., LocalStack], folder: Path) -> None:
    stack = start_stack(
        workers={"worker-1": ("--ingest",)}, environ={"PIPELINE_MESSAGE_KEY": KEY}, has_beat=False, broker_url=None
    )
    for title in ("by name", "signed, by name"):
        keys = {"PIPELINE_MESSAGE_KEY": f"{KEY},{'o' * 32}"}
        run(folder, "-c", NOT_HERE + PROGRAMS[title], PIPELINE_REDIS_URL=stack.redis.url, **keys)
    with stack.redis.client() as redis:
        wait_until(lambda: received(redis) == {"accepted": 1}, what="the signed event")
        wait_until(lambda: redis.llen("ingest.unreadable") == 2, what="the others")
    trace = [sys.executable, "-m", "pipeline.cli", "trace", "order-3"]
    told = subprocess.run(trace, env=stack.env, cwd=folder, capture_output=True, text=True, check=True)
    assert told.stdout.startswith("accepted")
