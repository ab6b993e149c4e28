"""How Celery runs the pipeline. Every setting that matters gives its reason."""

import os
from typing import Any

from kombu import Queue

from pipeline import settings
from pipeline.settings.secrets import accepts_unsigned, message_keys

# A producer needs only this. Kombu itself would not check the certificate of a rediss:// address.
_broker = settings.broker(os.environ)
broker_url, broker_use_ssl = _broker.url, _broker.use_ssl

# JSON only: a message can carry data, never code. With a key, signed JSON only.
task_serializer = "json"
accept_content = ["json"]
event_serializer = "json"
if _message_keys := message_keys(os.environ):
    from pipeline.signing import SERIALIZER, register_signing

    register_signing(_message_keys)
    task_serializer = SERIALIZER
    accept_content = [SERIALIZER, "json"] if accepts_unsigned(os.environ) else [SERIALIZER]

# What is no message for this version is set aside, neither dropped nor quoted in a log.
worker_consumer = "pipeline.consumer:Consumer"

# Nobody reads results through Redis; what a delivery did travels in its event, to Flower. So there is nothing to clean
# up: with another value beat would send `celery.backend_cleanup` every night.
result_expires = None
task_ignore_result = True
task_store_errors_even_if_ignored = False

# Ingest may be repeated (messages are known by their ids), so a message is acknowledged after it was carried out, and
# one whose worker died comes back.
task_acks_late = True
task_reject_on_worker_lost = True

# RabbitMQ: quorum queues, which survive the loss of a node. From version 4 on they drop what was redelivered 20 times,
# and a message of ours comes back each second while Redis is down, so the bound is put out of reach.
_is_rabbitmq = settings.is_rabbitmq(broker_url)
_ingest_arguments = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000} if _is_rabbitmq else None

task_default_queue = "ingest"
task_queues = [Queue("ingest", queue_arguments=_ingest_arguments), Queue("upkeep")]
task_create_missing_queues = True  # salesforce.<Object>, one per object
task_create_missing_queue_type = "quorum" if _is_rabbitmq else "classic"
task_routes: dict[str, dict[str, str]] = {
    "pipeline.send_event": {"queue": "ingest"},
    "pipeline.send_events": {"queue": "ingest"},
    "pipeline.renew_session": {"queue": "upkeep"},
    "pipeline.refresh_describe": {"queue": "upkeep"},
    "pipeline.sync_quota": {"queue": "upkeep"},
}

# The message of a killed worker comes back after this, not after the transport's default hour. Nothing that is
# acknowledged late runs half as long.
_visibility_timeout_s = 40

broker_transport_options: dict[str, Any] = (
    {
        "visibility_timeout": _visibility_timeout_s,
        # With the defaults (10 and 10) an unacknowledged message was looked for every 100 seconds only.
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        # A worker killed while it looks for such messages keeps the others from looking for this long (300 by default).
        "unacked_mutex_expire": 10,
        # None by default: a frozen server would hold a worker for ever. Longer than the transport's blocking read.
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "retry_on_timeout": True,
    }
    if broker_url.startswith(("redis", "sentinel://"))
    # RabbitMQ: `delay` returns when the broker has the message, and not before.
    else {"confirm_publish": True, "confirm_timeout": 5}
    if _is_rabbitmq
    else {}
)
# What the address says comes before what stands above.
broker_transport_options |= _broker.transport_options

broker_connection_retry_on_startup = True  # a worker may be started before its Redis
broker_connection_max_retries = None  # and waits for it as long as it takes
broker_pool_limit = 10
broker_connection_timeout = 5
# RabbitMQ takes back what a frozen worker holds after two silent beats; with the default that were four minutes.
broker_heartbeat = 10

# Few messages wait in a worker: what it holds unacknowledged longer than the visibility timeout is delivered again.
# More would not make its groups (tasks/grouping.py) larger: at full speed a dozen messages come in a group's pause.
worker_prefetch_multiplier = 8
task_time_limit = 30  # ingest takes milliseconds; well below the visibility timeout. deliver sets its own
task_soft_time_limit = 20

# No task has a rate limit, and asking for one costs every message a look at its bucket.
worker_disable_rate_limits = True

# Flower shows what runs, each event's task too; arguments are hidden by the tasks' base class.
worker_send_task_events = True
task_send_sent_event = False
worker_hijack_root_logger = True
worker_redirect_stdouts = False

# Several beats are safe: RedBeat keeps the schedule and a lock in Redis.
beat_scheduler = "pipeline.beat:Scheduler"
# Shown by Flower; RedBeat itself is given a client that is connected as all others are (pipeline/beat.py).
redbeat_redis_url, redbeat_redis_options = settings.redis_address(os.environ).shown, dict[str, Any]()
redbeat_key_prefix = "pipeline:redbeat:"
# A killed beat holds its lock for this long (25 minutes by default); tighter values make beats crash in turn.
redbeat_lock_timeout = 30
beat_max_loop_interval = 5
# None of these messages expires: Celery compares that with the worker's clock, by the clock of beat.
beat_schedule: dict[str, dict[str, Any]] = {
    "renew the session": {"task": "pipeline.renew_session", "schedule": 1800.0},
    "refresh the describe cache": {"task": "pipeline.refresh_describe", "schedule": 1800.0},
    "look at the quota while it is used up": {"task": "pipeline.sync_quota", "schedule": 60.0},
}
