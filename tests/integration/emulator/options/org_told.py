"""What tests of the options share: a lead, a describe by field, and what a refusal says."""

from typing import Any

import requests

from tests.integration.emulator.org_client import OrgClient

LEAD = {"LastName": "Byron", "Company": "Engines"}


def fields(org: OrgClient, name: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in org.get(f"sobjects/{name}/describe").json()["fields"]}


def refused(reply: requests.Response, code: str, *names: str) -> str:
    (error,) = reply.json()
    assert (error["errorCode"], error["fields"]) == (code, list(names)), reply.text
    return str(error["message"])
