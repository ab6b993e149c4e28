"""Environment: what one operator has, to run single rooms and commands in: an org, a Redis, a destination."""

from pathlib import Path
from typing import Any

import requests
from redis import Redis

from pipeline.inbox.dead_letters import dead_letters
from pipeline.local import EMULATOR_CREDENTIALS, LocalRedis
from pipeline.salesforce.client import create
from pipeline.settings import load_settings
from pipeline.tasks.deliver import deliver_due
from pipeline.tasks.ingest import ingest
from pipeline.tasks.runtime import Runtime


class Environment:
    """`environ` holds the variables; events are taken in and delivered in this process, as a worker would."""

    def __init__(self, url: str, server: LocalRedis, redis: Redis, folder: Path) -> None:
        self.url, self.redis = url, redis
        self._file = folder / "destination.yaml"
        self.environ = {
            "PIPELINE_REDIS_URL": server.url,
            "PIPELINE_DESTINATION": str(self._file),
            "SALESFORCE_ENDPOINT_URL": url,
            **EMULATOR_CREDENTIALS,
        }
        self.destination("{}")

    @property
    def runtime(self) -> Runtime:
        return Runtime(load_settings(self.environ))

    def destination(self, text: str) -> None:
        self._file.write_text(text, encoding="utf-8")

    def create(self, object_name: str, **fields: Any) -> str:
        (result,) = self.runtime.org.send([create(object_name, [fields])])[0].results()
        assert result.success, result
        return str(result.id)

    def records(self, object_name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.url}/_emulator/records/{object_name}", timeout=10).json()
        return found

    def calls(self) -> dict[str, int]:
        stats = requests.get(f"{self.url}/_emulator/stats", timeout=10).json()["api_calls"]["by_resource"]
        return {name: int(count) for name, count in stats.items()}

    def deliver(self, *events: dict[str, Any]) -> int:
        """Take events in and deliver whatever is due; returns the calls that delivery took."""
        runtime = self.runtime
        ingest(list(events), runtime)
        return sum(deliver_due(name, "t", runtime).calls for name in runtime.settings.destination.objects)

    def deliver_all(self, *events: dict[str, Any]) -> None:
        """Take events in and deliver until nothing waits."""
        self.deliver(*events)
        runtime = self.runtime
        while any(runtime.inbox(name).waiting().backlog for name in runtime.settings.destination.objects):
            self.deliver()

    def dead(self, object_name: str) -> list[str]:
        return [letter.reason for letter in dead_letters(self.redis, object_name)]
