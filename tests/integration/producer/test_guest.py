"""A good guest: what importing and sending leave unchanged in a program that has a Celery application of its own.

Each program runs in a process of its own, as pytest's has the pipeline in it already.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pipeline.local import LocalRedis, clean_environment, wait_until

EVENT = {"type": "identify", "userId": "u1", "traits": {"email": "a@example.com"}, "messageId": "m1"}

# What a process shares among all that is imported into it, as plain values.
SHARED = """
import atexit, gc, json, logging, multiprocessing, os, signal, sys, threading, warnings
import celery, kombu.pools, kombu.serialization, kombu.transport
import celery.worker.worker, celery.concurrency, redis, ssl, socket
from celery import _state, signals
from kombu import compression, serialization
from kombu.utils import json as kombu_json

def shared():
    receivers = {name: len(one.receivers or ()) for name, one in vars(signals).items() if hasattr(one, "receivers")}
    loggers = {name: (one.level, list(map(str, one.handlers)), list(map(str, one.filters)))
               for name, one in logging.root.manager.loggerDict.items() if isinstance(one, logging.Logger)}
    as_made = (0, [], []), (0, ["<NullHandler (NOTSET)>"], [])  # any library makes loggers
    return {
        "transports": dict(kombu.transport.TRANSPORT_ALIASES),
        "serializers": sorted(set(serialization.registry.name_to_type) - {"signed-json"}),
        "json types": [sorted(map(str, kombu_json._encoders)), sorted(kombu_json._decoders)],
        "compressions": sorted(compression._aliases),
        "pools": [kombu.pools.get_limit(), len(kombu.pools.connections), len(kombu.pools.producers)],
        "receivers": receivers,
        "root logger": (logging.root.level, len(logging.root.handlers)),
        "loggers": {name: one for name, one in loggers.items() if one not in as_made},
        "logger class": str(logging.getLoggerClass()),
        "warnings": len(warnings.filters),
        "gc": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "signals": [str(signal.getsignal(one)) for one in sorted(signal.valid_signals())],
        "atexit": atexit._ncallbacks(),
        "hooks": [str(sys.excepthook), str(threading.excepthook), str(sys.unraisablehook), len(sys.meta_path)],
        "path": list(sys.path),
        "environment": dict(os.environ),
        "start method": multiprocessing.get_start_method(allow_none=True),
        "socket timeout": socket.getdefaulttimeout(),
        "https context": str(ssl._create_default_https_context),
        "recursion": sys.getrecursionlimit(),
        "umask and folder": os.getcwd(),
        "task types": sorted(celery.canvas.Signature.TYPES),
        "default app": str(_state.default_app),
    }

import celery.canvas, concurrent.futures, multiprocessing.util, celery.result
from celery.utils.log import get_task_logger
get_task_logger("any")  # celery.task, which the first logger of a task makes
"""


def run(program: str, environ: dict[str, str], folder: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment() | {"PYTHONPATH": str(folder)} | environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def environ(redis_server: LocalRedis) -> dict[str, str]:
    """Events go into database 0; the project's own queue is in database 5 of the same server."""
    return {"PIPELINE_REDIS_URL": redis_server.url, "PROJECT_BROKER": redis_server.url.removesuffix("0") + "5"}


def waiting(server: LocalRedis, database: int, queue: str) -> list[str]:
    """Return the names of the tasks whose messages wait in a queue."""
    with Redis.from_url(server.url.removesuffix("0") + str(database)) as redis:
        return [json.loads(one)["headers"]["task"] for one in redis.lrange(queue, 0, -1)]


@pytest.mark.parametrize("has_key", [False, True])
@pytest.mark.parametrize("has_app", [False, True])
def test_importing_and_sending_change_nothing_that_a_process_shares(
    environ: dict[str, str], tmp_path: Path, redis_server: LocalRedis, has_app: bool, has_key: bool
) -> None:
    program = (
        SHARED
        + ("project = celery.Celery('project'); project.set_default(); project.finalize()\n" if has_app else "")
        + f"""
project_current = str(_state._tls.current_app)
before = json.loads(json.dumps(shared()))
threads = threading.active_count()
import pipeline
imported = json.loads(json.dumps(shared()))
assert threading.active_count() == threads
pipeline.send_event.delay({EVENT})
sent = json.loads(json.dumps(shared()))
assert str(_state._tls.current_app) == project_current
print(json.dumps([before, imported, sent]))
"""
    )
    key = {"PIPELINE_MESSAGE_KEY": "k" * 32} if has_key else {}
    django = {"DJANGO_SETTINGS_MODULE": "nowhere.settings"}  # a fixup of Celery's goes by it
    before, imported, sent = run(program, environ | key | django, tmp_path)
    assert imported == before
    assert sent == before
    assert waiting(redis_server, 0, "ingest") == ["pipeline.send_event"]


TWO_APPS = """
import json, os
from celery import Celery, current_app, shared_task, Task
{first}
bound = []
class Base(Task):
    @classmethod
    def on_bound(cls, app):
        bound.append(app.main)
project = Celery("project", broker=os.environ["PROJECT_BROKER"])
project.conf.broker_pool_limit = 3
@shared_task(base=Base)
def send_mail(to): ...
@project.task
def charge(order): ...
{last}
pipeline.send_event.delay(EVENT)
send_mail.delay("ada")
charge.delay(7)
@shared_task(base=Base)
def later(to): ...
later.delay("ada")
pipeline.send_events.delay([EVENT])
from kombu import pools
with project.connection_for_write() as connection:
    transport = type(connection.transport).__module__
print(json.dumps({{
    "current": current_app.main,
    "apps": [send_mail.app.main, charge.app.main, later.app.main, pipeline.send_event.app.main],
    "bound": sorted(set(bound)),
    "ours in the project": [name for name in project.tasks if name.startswith("pipeline")],
    "theirs in ours": [name for name in pipeline.app.tasks if not name.startswith(("pipeline.", "celery."))],
    "transport": transport,
    "limit": project.pool.limit,
}}))
"""


@pytest.mark.parametrize("is_first", [True, False])
def test_two_applications_in_one_process_keep_their_tasks_and_their_brokers(
    environ: dict[str, str], tmp_path: Path, redis_server: LocalRedis, is_first: bool
) -> None:
    ours = f"import pipeline; EVENT = {EVENT}"
    program = TWO_APPS.format(first=ours if is_first else "", last="" if is_first else ours)
    assert run(program, environ, tmp_path) == {
        "current": "project",
        "apps": ["project", "project", "project", "pipeline"],
        "bound": ["project"],
        "ours in the project": [],
        "theirs in ours": [],
        "transport": "kombu.transport.redis",
        "limit": 3,
    }
    assert waiting(redis_server, 0, "ingest") == ["pipeline.send_events", "pipeline.send_event"]
    assert waiting(redis_server, 5, "celery") == ["project.later", "project.charge", "project.send_mail"]


PROJECT = {
    "shop/__init__.py": "from shop.celery import app\n",
    "shop/celery.py": """
import os
from celery import Celery
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["shop"])
""",
    "shop/settings.py": """
import os
SECRET_KEY = "test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.views"
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CELERY_BROKER_URL = os.environ["PROJECT_BROKER"]
CELERY_TASK_IGNORE_RESULT = True
""",
    "shop/tasks.py": """
from celery import shared_task
@shared_task
def send_mail(to): return to
@shared_task
def charge(order): raise ValueError(f"card declined for order {order}")
@shared_task
def notify(user):
    from pipeline import send_event
    return send_event.delay({"type": "identify", "userId": user, "messageId": f"from-{user}"}).message_id
""",
    "shop/views.py": """
from django.db import transaction
from django.http import HttpResponse
from django.urls import path
from pipeline import send_event
from shop.tasks import charge, notify, send_mail
def sign_up(request):
    send_mail.delay("ada@example.com")
    transaction.on_commit(lambda: send_event.delay({"type": "identify", "userId": "u1"}))
    charge.delay(77)
    notify.delay("u2")
    return HttpResponse("ok")
urlpatterns = [path("sign-up", sign_up)]
""",
    "flaskr.py": """
import os
from celery import Celery, Task, shared_task
from flask import Flask
from pipeline import send_event

def celery_init_app(app):
    class FlaskTask(Task):
        def __call__(self, *args, **kwargs):
            with app.app_context():
                return self.run(*args, **kwargs)
    celery_app = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app

@shared_task
def send_mail(to): ...

def create_app():
    app = Flask("flaskr")
    app.config["CELERY"] = {"broker_url": os.environ["PROJECT_BROKER"], "task_ignore_result": True}
    celery_init_app(app)
    @app.post("/sign-up")
    def sign_up():
        send_mail.delay("ada@example.com")
        return send_event.delay({"type": "identify", "userId": "u1", "messageId": "m1"}).message_id
    return app
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


DJANGO_REQUEST = """
import json, os
import shop, django
django.setup()
from django.test import Client
assert Client().post("/sign-up").status_code == 200
from celery import current_app
import pipeline
print(json.dumps([current_app.main, sorted(n for n in current_app.tasks if n.startswith("pipeline")),
                  current_app.conf.broker_url == os.environ["PROJECT_BROKER"]]))
"""


def test_a_django_project_and_its_worker_stay_as_they_are(
    environ: dict[str, str], project: Path, redis_server: LocalRedis
) -> None:
    assert run(DJANGO_REQUEST, environ, project) == ["shop", [], True]
    assert waiting(redis_server, 0, "ingest") == ["pipeline.send_event"]
    queued = ["shop.tasks.notify", "shop.tasks.charge", "shop.tasks.send_mail"]
    assert waiting(redis_server, 5, "celery") == queued
    # The project's views, and so the pipeline, are imported into its worker.
    command = [sys.executable, "-c", "import shop.celery, pipeline; from celery.__main__ import main; main()"]
    command += ["-A", "shop", "worker", "--concurrency", "1", "--loglevel", "INFO"]
    log = project / "worker.log"
    env = clean_environment() | environ | {"PYTHONPATH": str(project), "DJANGO_SETTINGS_MODULE": "shop.settings"}
    with log.open("wb") as out, subprocess.Popen(command, env=env, cwd=project, stdout=out, stderr=out) as worker:
        try:
            wait_until(lambda: len(waiting(redis_server, 0, "ingest")) == 2, what="the event of the project's task")
            wait_until(lambda: "notify" in log.read_text().rpartition("succeeded")[0], what="the worker's log")
        finally:
            worker.terminate()
            worker.wait(timeout=30)
    text = log.read_text(encoding="utf-8")
    assert "Task shop.tasks.send_mail" in text
    assert "succeeded in" in text
    assert "received" in text
    assert "ValueError: card declined for order 77" in text
    assert "pipeline.send_event" not in text.partition("[tasks]")[2].partition("ready")[0]
    assert "Traceback" in text


def test_a_flask_project_stays_as_it_is(environ: dict[str, str], project: Path, redis_server: LocalRedis) -> None:
    program = """
import json
from flaskr import create_app, send_mail
from celery import current_app
client = create_app().test_client()
print(json.dumps([client.post("/sign-up").text, current_app.main, send_mail.app.main]))
"""
    assert run(program, environ, project) == ["m1", "flaskr", "flaskr"]
    assert waiting(redis_server, 0, "ingest") == ["pipeline.send_event"]
    assert waiting(redis_server, 5, "celery") == ["flaskr.send_mail"]


def test_celery_itself_runs_our_worker_with_our_log(environ: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "celery", "-A", "pipeline", "worker", "--queues", "ingest", "--concurrency", "1"]
    command += ["--loglevel", "INFO"]
    log = tmp_path / "worker.log"
    env = clean_environment() | environ | {"PIPELINE_LOG_FORMAT": "json"}
    root = str(Path(__file__).resolve().parents[3])
    send = f"from pipeline import send_event; print(send_event.delay({EVENT}).message_id == 'm1' and 1)"
    with log.open("wb") as out, subprocess.Popen(command, env=env, cwd=root, stdout=out, stderr=out) as worker:
        try:
            assert run(send, environ, tmp_path) == 1
            with Redis.from_url(environ["PIPELINE_REDIS_URL"]) as redis:
                wait_until(lambda: redis.hgetall("pipeline:{events}:counts"), what="the event taken in", within_s=30)
        finally:
            worker.terminate()
            worker.wait(timeout=30)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    assert any(line["logger"].startswith("celery") for line in lines)
    assert not any("pipeline.send_event" in line["message"] for line in lines)  # Celery's two lines for each message
    assert os.environ.get("PIPELINE_REDIS_URL") is None
