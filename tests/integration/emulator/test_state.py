"""The org as a whole: its file, its memory, and reads beside slow writes."""

import select
import socket
import threading
from pathlib import Path

import requests

from pipeline.emulator import ids
from pipeline.emulator.server import Running, build, listen
from pipeline.local.service import wait_until
from tests.integration.emulator.org_client import LEAD, OrgClient

ORG_FILE = """\
objects:
  - name: Shop__c
    label: Shop
    plural: Shops
    fields:
      - {name: Key__c, type: string, length: 20, external_id: true, unique: true}
      - {name: Open__c, type: boolean, default: true}
      - {name: Since__c, type: date}
users:
  - {username: cook@example.com, password: pw, security_token: tok}
duplicate_rules:
  - {object: Lead, fields: [Email]}
records:
  Account: [{Name: Ng Ltd, Phone: "1"}]
  Contact: [{LastName: Ng, Email: ng@example.com, CreatedDate: 2020-01-01T00:00:00Z}]
  Shop__c:
    - {Name: First, Key__c: s1, Since__c: 2020-05-01, Owner: {attributes: {type: User}, Username: cook@example.com}}
"""


def open_org(running: Running, http: requests.Session) -> OrgClient:
    return OrgClient(running.url, http)


def test_an_org_file_adds_objects_users_rules_and_records(tmp_path: Path) -> None:
    path = tmp_path / "org.yaml"
    path.write_text(ORG_FILE, encoding="utf-8")
    with Running(build(org_path=str(path))) as running, requests.Session() as http:
        org = open_org(running, http)
        for _ in range(2):
            (shop,) = org.records("SELECT Id, Name, Key__c, Open__c, Since__c, Owner.Username FROM Shop__c")
            assert shop.pop("Id").startswith("a00")
            assert shop == {
                "Name": "First",
                "Key__c": "s1",
                "Open__c": True,
                "Since__c": "2020-05-01",
                "Owner": {"Username": "cook@example.com"},
            }
            assert org.get("sobjects/Shop__c/describe").json()["labelPlural"] == "Shops"
            assert org.soap_login("cook@example.com", "pwtok").status_code == 200
            org.lead(Email="a@b.co")
            assert org.post("sobjects/Lead", {**LEAD, "Email": "a@b.co"}).status_code == 400
            org.control("reset", {})
        assert [len(org.control(f"records/{name}")) for name in ("Account", "Contact", "Lead")] == [1, 1, 0]


def test_an_org_kept_in_a_file_is_the_same_after_a_restart(tmp_path: Path) -> None:
    org_path, path = tmp_path / "org.yaml", str(tmp_path / "org.db")
    org_path.write_text(ORG_FILE, encoding="utf-8")
    with Running(build(org_path=str(org_path), path=path)) as running, requests.Session() as http:
        org = open_org(running, http)
        first = org.lead(Email="a@b.co")
        org.delete(f"sobjects/Lead/{org.lead()}")
        case = org.create("Case", Subject="x")
        token = org.headers["Authorization"]
    with Running(build(org_path=str(org_path), path=path)) as running, requests.Session() as http:
        org = open_org(running, http)
        assert org.get("limits", headers={"Authorization": token}).status_code == 401
        assert org.column("SELECT Id FROM Lead") == [first]
        assert len(org.soql("SELECT Id FROM Lead", resource="queryAll").json()["records"]) == 2
        assert org.column("SELECT COUNT(Id) FROM Shop__c") == [1]
        assert org.soap_login("cook@example.com", "pwtok").status_code == 200
        second = org.lead()
        assert second > first
        assert org.column("SELECT CaseNumber FROM Case") == ["00001000"]
        assert org.read("Case", org.create("Case"), "CaseNumber")["CaseNumber"] == "00001001"
        assert org.read("Case", case)["Subject"] == "x"


def test_reads_and_other_writes_do_not_wait_for_a_slow_write(org: OrgClient) -> None:
    org.control("faults", {"fault": "slow", "ms": 3_000, "method": "POST", "path": "/sobjects/Account$"})
    with org.started("POST", "sobjects/Account", {"Name": "x"}) as connection:
        wait_until(lambda: org.control("faults")[0]["fired"], what="the slow write to arrive", within_s=10)
        lead = org.lead()
        assert org.column("SELECT Id FROM Lead") == [lead]
        answered, _, _ = select.select([connection], [], [], 0)
        assert not answered
    assert org.control("records/Account") == []


def test_writes_at_once_are_done_one_after_the_other(org: OrgClient) -> None:
    """Eight clients create leads with one unique key: exactly one of them succeeds, each time."""
    statuses: list[int] = []

    def race(key: str) -> None:
        with requests.Session() as http:
            url = f"{org.url}/services/data/v66.0/sobjects/Lead"
            reply = http.post(url, json={**LEAD, "Ext__c": key}, headers=org.headers, timeout=10)
            statuses.append(reply.status_code)

    for key in ("a", "b", "c"):
        threads = [threading.Thread(target=race, args=(key,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [201] * 3 + [400] * 21
    assert sorted(org.column("SELECT Ext__c FROM Lead")) == ["a", "b", "c"]


def test_ids_grow_and_are_never_given_twice(org: OrgClient) -> None:
    found = [entry["id"] for _ in range(2) for entry in org.upload([LEAD] * 200).json()]
    assert len(set(found)) == 400
    assert found == sorted(found)


def test_every_id_of_the_org_fits_its_own_suffix(org: OrgClient) -> None:
    org.create("Task", WhoId=org.lead(), WhatId=None)
    for name in org.control("stats")["records"]:
        for record in org.control(f"records/{name}"):
            pointers = [value for field, value in record.items() if field == "Id" or field.endswith("Id")]
            assert [ids.canonical(value) for value in pointers] == pointers, name


def test_the_control_api_shows_records_with_their_fields(org: OrgClient) -> None:
    lead = org.lead(Title="Cook")
    (record,) = org.control("records/lead")
    assert (record["Id"], record["Title"], record["IsConverted"]) == (lead, "Cook", False)
    assert "Phone" not in record
    org.delete(f"sobjects/Lead/{lead}")
    assert org.control("records/Lead") == []
    assert org.control("records/Lead?deleted=1")[0]["Id"] == lead
    assert org.http.get(f"{org.url}/_emulator/records/Nope", timeout=10).status_code == 404
    assert org.control("stats")["records"]["Lead"] == 0


def test_replies_are_not_held_back_to_fill_a_packet() -> None:
    """The server's event loop sets TCP_NODELAY on the connections of a listener that names its protocol."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
