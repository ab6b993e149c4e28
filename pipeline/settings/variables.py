"""The environment: which variables are ours, and which of others must not reach the libraries that we stand on.

Both lists are tables of docs/deployment.md; a test compares them.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Final

OURS: Final = frozenset(
    {
        "FLOWER_BASIC_AUTH",
        "PIPELINE_ACCEPT_UNSIGNED",
        "PIPELINE_BROKER_URL",
        "PIPELINE_CONSOLE_PASSWORD",
        "PIPELINE_DESTINATION",
        "PIPELINE_LOG_FORMAT",
        "PIPELINE_MESSAGE_KEY",
        "PIPELINE_REDIS_MASTER",
        "PIPELINE_REDIS_PASSWORD",
        "PIPELINE_REDIS_URL",
        "PIPELINE_SECRET_KEY",
        "PIPELINE_SEND_TIMEOUT",
        "PIPELINE_SENTINEL_PASSWORD",
        "PIPELINE_SENTINEL_USERNAME",
        "SALESFORCE_CONSUMER_KEY",
        "SALESFORCE_CONSUMER_SECRET",
        "SALESFORCE_DOMAIN",
        "SALESFORCE_ENDPOINT_URL",
        "SALESFORCE_PASSWORD",
        "SALESFORCE_PRIVATE_KEY_FILE",
        "SALESFORCE_SECURITY_TOKEN",
        "SALESFORCE_USERNAME",
    }
)

# What Kubernetes and Docker's links set for a service: redis → REDIS_PORT=tcp://…, REDIS_SERVICE_HOST, ….
_OF_A_SERVICE: Final = re.compile(
    r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)
# Flower's options that `pipeline flower` gives it; its others are the operator's to set.
_FLOWER_GIVEN: Final = frozenset(
    f"FLOWER_{name}" for name in ("ADDRESS", "PORT", "PERSISTENT", "DB", "STATE_SAVE_INTERVAL", "TASKS_COLUMNS", "CONF")
)

# name → who would take it. A name that ends with `*` stands for all that begin so.
FOREIGN: Final[Mapping[str, str]] = {
    "CELERY_*": "Celery",
    **dict.fromkeys(("APP", "BROKER_URL", "CONFIG_MODULE", "LOADER", "RESULT_BACKEND", "SKIP_CHECKS"), "Celery"),
    **dict.fromkeys(("DJANGO_PROJECT_DIR", "DJANGO_SETTINGS_MODULE"), "Celery"),
    **dict.fromkeys(("C_BENCH", "C_BENCH_EVERY", "C_FAKEFORK", "C_REMDEBUG", "C_WNOCONF"), "Celery"),
    **dict.fromkeys(("AUTOSCALE_KEEPALIVE", "EVENTLET_NOBLOCK", "MP_LOG", "NOSETPS", "TIMER_DEBUG"), "Celery"),
    **dict.fromkeys(("FORKED_BY_MULTIPROCESSING", "MP_MAIN_FILE", "_MP_FORK_*", "REMAP_SIGTERM"), "billiard"),
    **dict.fromkeys(("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"), "prometheus_client"),
    **dict.fromkeys(("PROMETHEUS_DISABLE_CREATED_SERIES", "PROMETHEUS_LEGACY_NAME_VALIDATION"), "prometheus_client"),
    **dict.fromkeys(("FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY"), "uvicorn"),
}


def is_foreign(name: str, value: str) -> bool:
    """Tell whether a variable of the environment is nothing that a command of ours may go by."""
    if name in OURS or name.removesuffix("_FILE") in OURS:
        return False
    if name in _FLOWER_GIVEN or is_of_a_service(name, value):
        return True
    return name in FOREIGN or any(name.startswith(one[:-1]) for one in FOREIGN if one.endswith("*"))


def is_of_a_service(name: str, value: str) -> bool:
    """Tell whether a variable says where a service of Kubernetes or a linked container is."""
    found = _OF_A_SERVICE.search(name)
    return found is not None and (found[0] != "_PORT" or "://" in value)


def without_foreign(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what others' programs have set for themselves and our libraries would take."""
    return {name: value for name, value in environ.items() if not is_foreign(name, value)}


def names_an_org(environ: Mapping[str, str]) -> bool:
    """Tell whether a variable of ours says which org to use."""
    ours = {name for name in OURS if name.startswith("SALESFORCE_")}
    return any(environ.get(name, "").strip() for one in ours for name in (one, f"{one}_FILE"))


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Say of each variable that looks like ours and is none: it is not read; which one may be meant.

    Other programs have SALESFORCE_ variables too, so of these only near misses are told.
    """
    said = []
    for name, value in sorted(environ.items()):
        if {name, name.removesuffix("_FILE")} & OURS or is_of_a_service(name, value):
            continue
        close = difflib.get_close_matches(name, OURS, n=1, cutoff=0.85)
        if name.startswith("PIPELINE_") or (name.startswith("SALESFORCE_") and close):
            meant = f"; did you mean {close[0]}?" if close else ""
            said.append(f"{name} is no variable of the pipeline and is not read{meant}")
    return said
