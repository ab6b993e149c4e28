"""Everything a worker process holds: made once per process, in one place, from the environment."""

import os
from functools import cache, cached_property

from celery.utils.log import get_task_logger
from redis import Redis

from pipeline.inbox.bulk_jobs import BulkBounds, BulkJobs
from pipeline.inbox.inbox import Bounds, Inbox
from pipeline.mapping.plan import compile_plan
from pipeline.metrics.tally import Tally
from pipeline.salesforce.bulk import Bulk
from pipeline.salesforce.client import Org
from pipeline.salesforce.describe import DescribeCache
from pipeline.salesforce.pause import Pause
from pipeline.salesforce.quota import QuotaGate
from pipeline.salesforce.session import SessionStore
from pipeline.salesforce.transport import Transport
from pipeline.schema import check_schema
from pipeline.settings import Settings, load_settings
from pipeline.state_store import ServerClock, connect

log = get_task_logger(__name__)

_LEASE_MARGIN_S = 2.0


class Runtime:
    """The settings, and the clients built from them. Nothing here touches a network before it is used."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        destination = settings.destination
        self.redis: Redis = connect(settings.redis)
        self.planner = compile_plan(destination)
        quota = destination.quota
        self.gate = QuotaGate(self.redis, share=quota.share, reserve=quota.reserve, weights=quota.weights)
        self.pause = Pause(self.redis)
        self.tally = Tally()
        self.session = SessionStore(
            self.redis,
            settings.credentials,
            endpoint_url=settings.endpoint_url,
            secret_keys=settings.secret_keys,
            on_login=self.tally.count_call,
        )
        transport = Transport(endpoint_url=settings.endpoint_url, read_timeout_s=destination.salesforce.timeout)
        self.org = Org(
            self.session,
            api_version=destination.salesforce.api_version,
            transport=transport,
            on_usage=self.gate.observe,
            on_call=self.tally.count_call,
            auto_assign=_auto_assign(destination.salesforce.assignment_rules),
            allow_duplicates=destination.salesforce.duplicate_rules == "allow_save",
        )
        self.describes = DescribeCache(self.redis, self.org)
        # A lease outlives the slowest request, so that no other worker takes a key whose write is still under way.
        self._bounds = Bounds(
            linger_s=destination.linger,
            lease_s=self.org.slowest_send_s + _LEASE_MARGIN_S,
            is_traced=destination.trace,
        )
        self._inboxes: dict[str, Inbox] = {}
        self._said: dict[str, str] = {}

    @cached_property
    def clock(self) -> ServerClock:
        """Return the clock by which times are compared."""
        return ServerClock(self.redis)

    def inbox(self, object_name: str) -> Inbox:
        """Return the inboxes of an object."""
        if object_name not in self._inboxes:
            self._inboxes[object_name] = Inbox(self.redis, object_name, self._bounds)
        return self._inboxes[object_name]

    def bulk_jobs(self, object_name: str) -> BulkJobs:
        """Return the bulk jobs of an object."""
        rules = self.settings.destination.salesforce.assignment_rules
        # A job can be told which assignment rule to run, and not to run the active one.
        threshold = 0 if rules is True else self.settings.destination.bulk.threshold
        return BulkJobs(self.redis, self.inbox(object_name), BulkBounds(threshold=threshold))

    def bulk(self) -> Bulk:
        """Return the bulk interface of the org."""
        rules = self.settings.destination.salesforce.assignment_rules
        return Bulk(self.org, assignment_rule=rules if isinstance(rules, str) else None)

    def say_once(self, object_name: str, why: str) -> None:
        """Log why the delivery of an object waits ("": it does not), once in each process until that changes."""
        if why != self._said.get(object_name, ""):
            self._said[object_name] = why
            log.warning("object=%s %s", object_name, f"delivery waits: {why}" if why else "delivery goes on")


def _auto_assign(rules: bool | str) -> str:
    return rules if isinstance(rules, str) else str(rules).upper()


@cache
def runtime() -> Runtime:
    """Return this process's runtime.

    Raises ConfigurationError where the environment is incomplete, or Redis holds the state of a newer version;
    RedisError where that cannot be asked.
    """
    made = Runtime(load_settings(os.environ))
    check_schema(made.redis)
    return made


# Connections must not be shared with the parent.
os.register_at_fork(after_in_child=runtime.cache_clear)
