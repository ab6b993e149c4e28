"""The emulator for other projects' tests: a Salesforce org over HTTP in a thread, with or without pytest.

With pytest, the fixtures are there when the package is installed:

    def test_a_lead_is_created(salesforce, salesforce_emulator):
        salesforce.Lead.create({"LastName": "Byron", "Company": "Analytical Engines"})
        assert salesforce_emulator.stats()["records"]["Lead"] == 1

``salesforce`` is a connected simple-salesforce client, ``salesforce_emulator`` the Emulator behind it, empty for every
test; override the session fixture ``salesforce_emulator_options`` for an org file or a limit. Without pytest:

    with running_emulator() as emulator:
        emulator.faults({"fault": "unavailable", "next": 1})
        client = emulator.connect()

The extra ``local`` installs what the server needs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from pipeline.emulator.limits import DEFAULT_DAILY_LIMIT

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce

# For projects that load this module as a plugin. The fixtures stand apart so that it needs no pytest.
pytest_plugins = ["pipeline.emulator.fixtures"]

_TIMEOUT_S = 30.0


class Rerouting(HTTPAdapter):
    """Sends https requests, whatever their host, to one http address, and leaves the host in the Host header.

    simple-salesforce builds every address as ``https://<host>``, and logs in at ``login.salesforce.com``. Mount it on
    ``https://`` of the session that a client is given: nothing then leaves for the host it names.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request to the emulator."""
        named = urlsplit(str(request.url))
        request.headers.setdefault("Host", named.netloc)
        request.url = self._url + named._replace(scheme="", netloc="").geturl()
        return super().send(request, *args, **kwargs)


class Emulator:
    """A running emulator as a test uses it; ``url`` is its address.

    It takes the user ``admin@example.com`` (password ``password``, security token ``token``) and the connected app
    ``key`` (secret ``secret``); an org file adds others.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def session(self) -> requests.Session:
        """Return a session whose https requests all reach this emulator, for clients that log in by themselves.

        ``Salesforce(username=..., password=..., security_token=..., session=emulator.session())``
        """
        session = requests.Session()
        # A proxy of the environment could not reach this machine's loopback.
        session.trust_env = False
        session.mount("https://", Rerouting(self.url))
        return session

    def connect(self, *, client_id: str = "key", client_secret: str = "secret", **arguments: Any) -> Salesforce:  # noqa: S107 - the emulator's own
        """Log in by client credentials and return a simple-salesforce client; ``arguments`` go to its constructor."""
        from simple_salesforce.api import Salesforce

        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        token = self._call("POST", "/services/oauth2/token", data=form)["access_token"]
        session = arguments.pop("session", None) or self.session()
        return Salesforce(session_id=token, instance_url=self.url, session=session, **arguments)

    def stats(self) -> dict[str, Any]:
        """Say how many API calls were made, by resource, and how many records there are, by object."""
        counted: dict[str, Any] = self._call("GET", "/_emulator/stats")
        return counted

    def records(self, name: str, *, deleted: bool = False) -> list[dict[str, Any]]:
        """Return an object's records with their non-null fields; ``deleted`` adds the recycle bin."""
        found: list[dict[str, Any]] = self._call("GET", f"/_emulator/records/{name}", params={"deleted": int(deleted)})
        return found

    def faults(self, *rules: Mapping[str, Any]) -> None:
        """Add faults, such as ``{"fault": "row_lock", "next": 2}``; with none given, drop all."""
        self._call("POST", "/_emulator/faults", json=list(rules) if rules else {"clear": True})

    def limits(self, **limits: float) -> None:
        """Change daily_limit, window_s, concurrent_limit, long_request_s, bulk_delay_s; ``use`` spends calls."""
        self._call("POST", "/_emulator/limits", json=limits)

    def sessions(self, **change: Any) -> None:
        """End all sessions with ``kill=True``, or set how many seconds an idle one lives with ``lifetime_s``."""
        self._call("POST", "/_emulator/sessions", json=change)

    def reset(self) -> None:
        """Return the org to the state it started in; sessions stay good."""
        self._call("POST", "/_emulator/reset", json={})

    def _call(self, method: str, path: str, **request: Any) -> Any:
        with self.session() as session:
            reply = session.request(method, self.url + path, timeout=_TIMEOUT_S, **request)
        reply.raise_for_status()
        return reply.json()


@contextlib.contextmanager
def running_emulator(
    *,
    org: str | PathLike[str] | None = None,
    port: int = 0,
    latency_ms: float = 0.0,
    daily_limit: int = DEFAULT_DAILY_LIMIT,
) -> Iterator[Emulator]:
    """Run an emulator in a thread of this process, on a free port unless one is named, until the block ends.

    ``org`` names an org file. Raises InvalidSeed for one that cannot be read, OSError for a port that is taken.
    """
    from pipeline.emulator.server import Running, build

    application = build(latency_ms=latency_ms, daily_limit=daily_limit, org_path=None if org is None else str(org))
    # The org is closed here too, for a port that is taken is found out before there is anything to stop.
    with contextlib.closing(application.org), Running(application, port=port) as running:
        yield Emulator(running.url)
