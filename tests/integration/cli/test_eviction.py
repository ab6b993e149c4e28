"""A Redis that deletes events when it is full is told everywhere, and one that does not tell is not accused."""

import json
import logging
from collections.abc import Iterator
from functools import partial

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.cli.run import _say_what_is_evicted
from pipeline.console.overview import alerts
from pipeline.console.overview_page import observe
from pipeline.metrics.exporter import Exporter
from pipeline.tasks.eviction import policies
from pipeline.tasks.ingest import queued
from tests.integration.environment import Environment

SAID = (
    "state: Redis deletes events when it is full (maxmemory-policy allkeys-lru); set maxmemory-policy noeviction there"
)


@pytest.fixture
def evicting(environment: Environment) -> Iterator[Environment]:
    environment.redis.config_set("maxmemory-policy", "allkeys-lru")
    yield environment
    environment.redis.config_set("maxmemory-policy", "noeviction")


def figures(environment: Environment) -> dict[tuple[str, ...], float]:
    runtime = environment.runtime
    told = partial(policies, runtime.settings, runtime.redis)
    exporter = Exporter(runtime.redis, runtime.settings.destination, queued, told)
    (family,) = [one for one in exporter.collect() if one.name == "pipeline_redis_evicts"]
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_it_is_said_by_status_at_start_by_a_metric_and_on_the_console(
    evicting: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    shown = CliRunner().invoke(main, ["status"])
    assert SAID in shown.stdout
    told = json.loads(CliRunner().invoke(main, ["status", "--json"]).stdout.splitlines()[-1])
    assert told["redis"]["warnings"][0].startswith(SAID)
    with caplog.at_level(logging.ERROR):
        _say_what_is_evicted()
    assert SAID in caplog.text
    assert figures(evicting) == {("state", "allkeys-lru"): 1}
    assert [one.advice for one in alerts(observe(evicting.runtime)) if one.what == "Events can be lost."]


def test_nothing_is_said_of_one_that_keeps_everything(environment: Environment) -> None:
    shown = CliRunner().invoke(main, ["status"])
    assert shown.exit_code == 0
    assert "maxmemory" not in shown.stdout
    assert f"redis: {environment.runtime.settings.redis.shown}" in shown.stdout
    assert figures(environment) == {("state", "noeviction"): 0}


def test_nothing_is_said_of_one_that_may_not_be_asked(evicting: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    port = evicting.redis.get_connection_kwargs()["port"]
    evicting.redis.execute_command("ACL", "SETUSER", "few", "on", "nopass", "~*", "&*", "+@all", "-info")  # type: ignore[no-untyped-call]
    url = f"redis://few@127.0.0.1:{port}/0"
    evicting.environ["PIPELINE_REDIS_URL"] = url
    monkeypatch.setenv("PIPELINE_REDIS_URL", url)
    shown = CliRunner().invoke(main, ["status"])
    evicting.redis.execute_command("ACL", "DELUSER", "few")  # type: ignore[no-untyped-call]
    assert shown.exit_code == 0, shown.output
    assert "maxmemory" not in shown.output


def test_the_brokers_own_redis_is_asked_too(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.redis.config_set("maxmemory-policy", "volatile-ttl")
    try:
        port = environment.redis.get_connection_kwargs()["port"]
        monkeypatch.setitem(environment.environ, "PIPELINE_BROKER_URL", f"redis://127.0.0.1:{port}/1")
        assert figures(environment) == {("state", "volatile-ttl"): 1, ("broker", "volatile-ttl"): 1}
    finally:
        environment.redis.config_set("maxmemory-policy", "noeviction")
