"""Which version of the pipeline this is."""

from importlib.metadata import PackageNotFoundError, version

_PACKAGE = "event-pipeline-salesforce"


def installed_version() -> str | None:
    """Return the installed version, None for a source tree that is not installed."""
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return None
