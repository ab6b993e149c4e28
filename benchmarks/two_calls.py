"""The plain way to do it: a Celery task that spends two API calls on every identify, by simple-salesforce.

It looks the Lead up by email and creates or updates it, as the classic destination does. It is what the pipeline is
compared with, so it is written as one would: one session for each process, kept open, and no more work than needed.
"""

import os
from functools import cache
from typing import Any

import requests
from celery import Celery
from simple_salesforce.api import Salesforce
from simple_salesforce.format import format_soql

from pipeline.salesforce.transport import Transport

app = Celery("two_calls", broker=os.environ.get("PIPELINE_REDIS_URL"))
app.conf.task_default_queue = "two_calls"
app.conf.task_acks_late = True  # so that the queue is empty when the last write is done, and not when it begins


@app.task(name="two_calls", ignore_result=True)
def two_calls(event: dict[str, Any]) -> None:
    """Look up, then write."""
    traits = event["traits"]
    record = {
        "Email": traits["email"],
        "FirstName": traits["firstName"],
        "LastName": traits["lastName"],
        "Company": traits["company"]["name"],
        "Title": traits["title"],
        "Phone": traits["phone"],
        "Street": traits["street"],
        "City": traits["city"],
        "PostalCode": traits["postalCode"],
        "Country": traits["country"],
    }
    org = _org()
    found = org.query(format_soql("SELECT Id FROM Lead WHERE Email = {} LIMIT 1", record["Email"]))["records"]
    if found:
        org.Lead.update(found[0]["Id"], record)
    else:
        org.Lead.create(record)


@cache
def _org() -> Any:  # its attributes are the org's objects, which no type knows
    url = os.environ["SALESFORCE_ENDPOINT_URL"]
    credentials = (os.environ["SALESFORCE_CONSUMER_KEY"], os.environ["SALESFORCE_CONSUMER_SECRET"])
    answer = requests.post(
        f"{url}/services/oauth2/token", data={"grant_type": "client_credentials"}, auth=credentials, timeout=30
    )
    answer.raise_for_status()
    session = Transport(endpoint_url=url).session()
    token = answer.json()["access_token"]
    return Salesforce(instance="org.my.salesforce.com", session_id=token, session=session, version="66.0")
