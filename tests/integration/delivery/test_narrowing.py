"""What one record does to the others of its batch: it comes to stand alone, whatever it is that it spoils."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from redis import Redis

from pipeline.delivery.outcome import Paused
from pipeline.operation import Operation
from pipeline.salesforce.client import Org, Subrequest, Subresponse
from pipeline.salesforce.errors import ErrorDetail, Refused
from tests.integration.delivery.delivery import Delivery, lead


class Spoiled:
    """The emulated org, but for what `spoil` does to a request: raise, or return answers of its own."""

    def __init__(self, org: Org, spoil: Callable[[Sequence[Subrequest]], list[Subresponse] | None]) -> None:
        self._org, self._spoil = org, spoil
        self.calls = 0

    def send(self, subrequests: Sequence[Subrequest], *, by: float | None = None) -> list[Subresponse]:
        self.calls += 1
        spoiled = self._spoil(subrequests)
        return self._org.send(subrequests, by=by) if spoiled is None else spoiled

    def query_rest(self, next_records_url: str) -> Subresponse:
        return self._org.query_rest(next_records_url)


def spoil(delivery: Delivery, how: Callable[[Sequence[Subrequest]], list[Subresponse] | None]) -> Spoiled:
    """Put an org between the deliverer and the emulated one."""
    delivery.describes.get(delivery.inbox.object)
    spoiled = Spoiled(delivery.org, how)
    delivery.org = spoiled  # type: ignore[assignment]  # what delivery needs of one
    return spoiled


@pytest.fixture
def delivery(redis_client: Redis, emulator_url: str) -> Delivery:
    return Delivery(redis_client, emulator_url)


def contact(email: str, account: str, *, is_matched_by_it: bool = False) -> Operation:
    lookup: Any = {"object": "Account", "match": {"AccountNumber": account}}
    return Operation(
        id=email,
        object="Contact",
        verb="upsert",
        match={"Email": email} | ({"AccountId": lookup} if is_matched_by_it else {}),
        fields={"Email": email, "LastName": "x"},
        options={} if is_matched_by_it else {"lookups": {"AccountId": lookup}},
        event_time_ms=1,
    )


@pytest.mark.parametrize("account", ["x" * 5000, "\ud83dx"])
def test_a_value_that_no_record_can_be_looked_up_by_leaves_one_field_out_and_holds_nobody_up(
    redis_client: Redis, emulator_url: str, account: str
) -> None:
    contacts = Delivery(redis_client, emulator_url, "Contact")
    contacts.create("Account", Name="Acme", AccountNumber="813")
    contacts.inbox.append([contact("a@example.com", "813"), contact("b@example.com", account)])
    report = contacts.deliver()
    assert (report.created, report.dead, report.retried) == (2, 0, 0)
    assert [bool(record.get("AccountId")) for record in contacts.records("Contact")] == [True, False]
    (told,) = contacts.inbox.left_out()
    assert told.startswith("`AccountId`: the value to match AccountNumber by does not fit")


def test_what_is_matched_by_a_record_that_cannot_be_looked_up_is_buried_alone(
    redis_client: Redis, emulator_url: str
) -> None:
    contacts = Delivery(redis_client, emulator_url, "Contact")
    contacts.create("Account", Name="Acme", AccountNumber="813")
    people = [contact("a@example.com", "813"), contact("b@example.com", "x" * 5000, is_matched_by_it=True)]
    contacts.inbox.append(people)
    report = contacts.deliver()
    assert (report.created, report.dead, report.retried) == (1, 1, 0)
    assert contacts.dead()[0].startswith("the value to match AccountNumber by does not fit")


def test_a_mistake_of_the_pipelines_own_buries_the_operation_it_is_about_and_nothing_else(delivery: Delivery) -> None:
    def mistake(subrequests: Sequence[Subrequest]) -> None:
        if any("p17%40example.com" in one.path for one in subrequests):
            raise LookupError("of p17@example.com")

    spoil(delivery, mistake)
    delivery.inbox.append([lead(f"p{number}@example.com") for number in range(40)])
    attempts = 0
    while delivery.inbox.waiting().backlog:
        attempts += 1
        assert attempts <= 12
        with pytest.raises(LookupError):
            delivery.deliver()
        delivery.due_now()
    assert len(delivery.records()) == 39
    assert delivery.dead() == ["gave up after 12 attempts; the last: the pipeline failed on it: LookupError"]


def test_a_request_refused_as_a_whole_is_narrowed_down_to_the_record_that_spoils_it(delivery: Delivery) -> None:
    def refuse(subrequests: Sequence[Subrequest]) -> list[Subresponse] | None:
        if not any("spoilt" in str(one.body) for one in subrequests):
            return None
        if len(subrequests) > 1:
            raise Refused(400, (ErrorDetail("JSON_PARSER_ERROR", "no"),), resource="composite")
        return [Subresponse(400, [{"errorCode": "JSON_PARSER_ERROR", "message": "no"}])]

    org = spoil(delivery, refuse)
    delivery.inbox.append([lead(f"p{n}@example.com", Title="spoilt" if n == 3 else "fine") for n in range(8)])
    report = delivery.deliver()
    assert (report.created, report.dead, report.retried) == (7, 1, 0)
    assert delivery.dead() == ["JSON_PARSER_ERROR: no"]
    assert org.calls <= 12


def test_what_is_refused_whoever_it_is_about_ends_and_costs_few_calls(delivery: Delivery) -> None:
    def refuse(subrequests: Sequence[Subrequest]) -> list[Subresponse] | None:
        raise Refused(403, (ErrorDetail("JSON_PARSER_ERROR", "no"),), resource="query")

    org = spoil(delivery, refuse)
    delivery.inbox.append([lead(f"p{n}@example.com") for n in range(16)])
    assert delivery.deliver().dead == 16
    assert org.calls <= 32


def test_a_query_that_is_too_much_for_one_reference_does_not_go_round_for_ever(
    redis_client: Redis, emulator_url: str
) -> None:
    contacts = Delivery(redis_client, emulator_url, "Contact")
    contacts.describes.get("Account")

    def refuse(subrequests: Sequence[Subrequest]) -> list[Subresponse] | None:
        if not any("bad" in one.path for one in subrequests):
            return None
        nothing = Subresponse(200, {"records": [], "done": True})
        error = Subresponse(400, [{"errorCode": "QUERY_TOO_COMPLICATED", "message": "no"}])
        return [error if "bad" in one.path else nothing for one in subrequests]

    org = spoil(contacts, refuse)
    contacts.inbox.append([contact(f"p{n}@example.com", "bad" if n < 3 else f"good{n}") for n in range(12)])
    report = contacts.deliver()
    assert (report.created, report.dead, report.retried) == (9, 3, 0)
    assert org.calls <= 12


def test_a_converted_lead_whose_contact_may_not_be_seen_is_buried_alone(
    redis_client: Redis, start_emulator: Callable[..., str]
) -> None:
    writable = "{name: ConvertedContactId, type: reference, to: Contact, createable: true}"
    leads = Delivery(redis_client, start_emulator(f"objects: [{{name: Lead, fields: [{writable}]}}]"))
    ada = {"LastName": "x", "Company": "c", "Email": "a@example.com"}
    leads.create("Lead", **ada, IsConverted=True, ConvertedContactId=leads.create("Contact", LastName="x"))
    leads.describes._store("Contact", None)
    leads.inbox.append([lead(f"{name}@example.com") for name in "abc"])
    report = leads.deliver()
    assert (report.created, report.dead, report.retried) == (2, 1, 0)
    assert "the org has no object Contact" in leads.dead()[0]
    assert report.calls <= 3


def test_what_was_written_beside_a_record_that_makes_delivery_pause_is_not_written_again(
    redis_client: Redis, emulator_url: str
) -> None:
    cases = Delivery(redis_client, emulator_url, "Case")
    full = {"fault": "refuse", "object": "Case", "code": "STORAGE_LIMIT_EXCEEDED", "message": "storage limit exceeded"}
    cases.fault(**full, match={"Subject": "s1"})
    cases.inbox.append(
        [
            Operation(id=f"c{n}", object="Case", verb="create", fields={"Subject": f"s{n}"}, event_time_ms=n)
            for n in range(300)
        ]
    )
    cases.deliver()
    assert isinstance(cases.paused, Paused)
    assert (len(cases.records("Case")), cases.inbox.waiting().backlog) == (299, 1)
    cases.fault(clear=True)
    cases.deliver()
    assert sorted(record["Subject"] for record in cases.records("Case")) == sorted(f"s{n}" for n in range(300))


def test_collections_beside_one_that_makes_delivery_pause_are_not_written_again(
    redis_client: Redis, emulator_url: str
) -> None:
    cases = Delivery(redis_client, emulator_url, "Case")
    cases.describes.get("Case")

    def refuse_the_first(subrequests: Sequence[Subrequest]) -> list[Subresponse]:
        full = [{"errorCode": "STORAGE_LIMIT_EXCEEDED", "message": "storage limit exceeded"}]
        return [Subresponse(400, full), *emulated.send(subrequests[1:])]

    emulated = cases.org
    spoil(cases, refuse_the_first)
    cases.inbox.append(
        [
            Operation(id=f"c{n}", object="Case", verb="create", fields={"Subject": f"s{n}"}, event_time_ms=n)
            for n in range(300)
        ]
    )
    report = cases.deliver()
    assert isinstance(cases.paused, Paused)
    assert (report.created, cases.inbox.waiting().backlog) == (100, 200)
