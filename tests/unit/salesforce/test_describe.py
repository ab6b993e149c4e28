"""A describe becomes values, and is asked for once by however many workers."""

import json
from collections.abc import Sequence
from typing import Any

import fakeredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.salesforce.client import Subrequest, Subresponse
from pipeline.salesforce.describe import UNKNOWN_FOR_S, DescribeCache, Field, ObjectDescribe
from pipeline.salesforce.errors import Refused, Unavailable, UnknownObject

EMAIL = {
    "name": "Email", "label": "Email", "type": "email", "length": 80, "nillable": True, "createable": True,
    "updateable": True, "defaultedOnCreate": False, "idLookup": True, "filterable": True, "picklistValues": [],
    "referenceTo": [], "externalId": False,
}  # fmt: skip
RATING = {
    "name": "Rating", "type": "picklist", "restrictedPicklist": True, "precision": None,
    "picklistValues": [{"value": "Hot", "active": True}, {"value": "Old", "active": False}, {"value": "Cold"}],
}  # fmt: skip
OWNER = {"name": "OwnerId", "type": "reference", "referenceTo": ["Group", "User"], "createable": True}
NOT_FOUND = [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]


def lead(**changes: Any) -> dict[str, Any]:
    return {"name": "Lead", "label": "Lead", "keyPrefix": "00Q", "fields": [EMAIL, RATING, OWNER], **changes}


class Org:
    """Knows some objects, and counts what it is asked."""

    def __init__(self, *names: str) -> None:
        self.known = {name: lead(name=name) for name in names}
        self.asked: list[list[str]] = []
        self.refuse_together = False
        self.down = False
        self.statuses: dict[str, int] = {}

    def send(self, subrequests: Sequence[Subrequest]) -> list[Subresponse]:
        names = [one.path.split("/")[1] for one in subrequests]
        self.asked.append(names)
        if self.down:
            raise Unavailable(503)
        if self.refuse_together and len(names) > 1:
            raise Refused(400)
        return [self.answer(name) for name in names]

    def answer(self, name: str) -> Subresponse:
        if name in self.statuses:
            return Subresponse(self.statuses[name], [{"errorCode": "INSUFFICIENT_ACCESS"}])
        return Subresponse(200, self.known[name]) if name in self.known else Subresponse(404, NOT_FOUND)


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


def test_a_field_is_read_as_salesforce_describes_it() -> None:
    described = ObjectDescribe.read(lead())
    email = described.fields["Email"]
    assert (email.type, email.length, email.id_lookup, email.external_id) == ("email", 80, True, False)
    assert described.fields["Rating"].picklist_values == {"Hot", "Cold"}
    assert described.fields["Rating"].precision == 0
    assert described.fields["OwnerId"].reference_to == ("Group", "User")
    assert described.key_prefix == "00Q"


def test_fields_are_found_without_case() -> None:
    described = ObjectDescribe.read(lead())
    assert described.find("eMAIL") is described.fields["Email"]
    assert described.find("Fax") is None


def test_a_field_is_required_when_salesforce_has_no_value_for_it() -> None:
    assert Field(name="LastName", type="string", createable=True).required_on_create
    assert not Field(name="Name", type="string").required_on_create
    assert not Field(name="Status", type="picklist", createable=True, defaulted_on_create=True).required_on_create
    assert not Field(name="City", type="string", createable=True, nillable=True).required_on_create


fields = st.builds(
    Field,
    name=st.from_regex(r"[A-Z][a-z]{0,8}(__c)?", fullmatch=True),
    type=st.sampled_from(["string", "int", "picklist"]),
    label=st.text(max_size=5),
    length=st.integers(0, 300),
    nillable=st.booleans(),
    unique=st.booleans(),
    picklist_values=st.frozensets(st.text(max_size=3), max_size=3),
    reference_to=st.lists(st.sampled_from(["Lead", "User"]), max_size=2).map(tuple),
)


@given(st.lists(fields, max_size=5))
def test_a_describe_survives_the_cache(some: list[Field]) -> None:
    described = ObjectDescribe(name="X__c", fields={one.name: one for one in some})
    assert ObjectDescribe.from_condensed(json.loads(json.dumps(described.condensed()))) == described


def test_an_object_is_asked_for_once_by_all_workers(client: fakeredis.FakeRedis) -> None:
    org = Org("Lead")
    one, other = DescribeCache(client, org), DescribeCache(client, org)
    assert one.get("Lead") == other.get("Lead")
    assert one.get("Lead") is one.get("Lead")
    assert org.asked == [["Lead"]]


def test_a_refresh_is_one_call_and_reaches_every_worker(client: fakeredis.FakeRedis) -> None:
    org = Org("Lead", "Account", "Contact")
    one, other = DescribeCache(client, org), DescribeCache(client, org)
    one.get("Lead")
    org.known["Lead"]["fields"] = [EMAIL]
    other.refresh(["Lead", "Account", "Contact", "Lead"])
    assert org.asked[1:] == [["Lead", "Account", "Contact"]]
    assert set(one.get("Lead").fields) == {"Email"}


def test_more_objects_than_a_composite_holds_take_another_call(client: fakeredis.FakeRedis) -> None:
    names = [f"Thing{number}__c" for number in range(30)]
    org = Org(*names)
    DescribeCache(client, org).refresh(names)
    assert [len(asked) for asked in org.asked] == [25, 5]


def test_an_org_that_refuses_to_describe_many_at_once_is_asked_one_by_one(client: fakeredis.FakeRedis) -> None:
    org = Org("Lead", "Account")
    org.refuse_together = True
    cache = DescribeCache(client, org)
    cache.refresh(["Lead", "Account"])
    assert org.asked == [["Lead", "Account"], ["Lead"], ["Account"]]
    assert cache.get("Account").name == "Account"


def test_an_unknown_object_is_remembered_for_minutes_and_disturbs_no_other(client: fakeredis.FakeRedis) -> None:
    org = Org("Lead")
    cache = DescribeCache(client, org)
    cache.refresh(["Gadget__c", "Lead"])
    for _ in range(3):
        with pytest.raises(UnknownObject, match="Gadget__c"):
            cache.get("Gadget__c")
    assert cache.get("Lead").name == "Lead"
    assert org.asked == [["Gadget__c", "Lead"]]
    assert 0 < client.ttl("pipeline:describe:Gadget__c") <= UNKNOWN_FOR_S
    org.known["Gadget__c"] = lead(name="Gadget__c")
    cache.refresh(["Gadget__c"])
    assert cache.get("Gadget__c").name == "Gadget__c"
    assert client.ttl("pipeline:describe:Gadget__c") == -1


def test_a_name_that_cannot_be_one_costs_no_call(client: fakeredis.FakeRedis) -> None:
    org = Org()
    with pytest.raises(UnknownObject):
        DescribeCache(client, org).get("Lead/../../limits")
    assert org.asked == []


def test_another_refusal_is_told_after_the_others_are_stored(client: fakeredis.FakeRedis) -> None:
    org = Org("Lead", "Account")
    org.statuses["Lead"] = 403
    cache = DescribeCache(client, org)
    with pytest.raises(Refused, match="INSUFFICIENT_ACCESS"):
        cache.refresh(["Lead", "Account"])
    assert cache.get("Account").name == "Account"


def test_an_org_that_is_down_leaves_the_cache_as_it_was(client: fakeredis.FakeRedis) -> None:
    org = Org("Lead")
    cache = DescribeCache(client, org)
    before = cache.get("Lead")
    org.down = True
    with pytest.raises(Unavailable):
        cache.refresh(["Lead"])
    assert cache.get("Lead") is before


@pytest.mark.parametrize("stored", ["not json", "[]", "{}", '{"v": 99, "fields": []}', '{"v": 1}'])
def test_what_another_version_stored_is_fetched_again(client: fakeredis.FakeRedis, stored: str) -> None:
    org = Org("Lead")
    client.hset("pipeline:describe:Lead", mapping={"digest": "abc", "describe": stored})
    assert DescribeCache(client, org).get("Lead").name == "Lead"
    assert org.asked == [["Lead"]]


def test_an_answer_that_is_no_describe_is_told(client: fakeredis.FakeRedis) -> None:
    org = Org("Lead")
    org.known["Lead"] = {"name": "Lead"}
    with pytest.raises(Refused, match="describe of Lead"):
        DescribeCache(client, org).get("Lead")
