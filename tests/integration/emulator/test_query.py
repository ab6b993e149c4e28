"""Queries over REST: SOQL as it filters, sorts, groups and pages, and searches."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.emulator.org_client import LEAD, OrgClient, without_attributes


def fill(org: OrgClient, *leads: dict[str, Any]) -> None:
    assert all(entry["success"] for entry in org.upload([{**LEAD, **lead} for lead in leads]).json())


def names(org: OrgClient, condition: str) -> list[str]:
    """Return the last names of the leads that a condition finds, sorted by creation."""
    found: list[str] = org.column(f"SELECT LastName FROM Lead WHERE {condition}")
    return found


def error(org: OrgClient, text: str) -> tuple[str, str]:
    reply = org.soql(text)
    assert reply.status_code == 400, reply.text
    (found,) = reply.json()
    return found["errorCode"], found["message"]


# Strings.


def quoted(text: str) -> str:
    """Write a string literal with the escapes that SOQL demands."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        (r"it\'s", "it's"),
        (r"a\\b", "a\\b"),
        (r"a\"b", 'a"b'),
        (r"a\nb", "a\nb"),
        (r"a\Nb", "a\nb"),
        (r"a\rb", "a\rb"),
        (r"a\tb", "a\tb"),
        (r"a\bb", "a\bb"),
        (r"a\fb", "a\fb"),
        (r"caf\u00e9", "café"),
        (r"caf\u00E9", "CAFÉ"),
        ("it “is”", "it “is”"),
        ('say "hi"', 'say "hi"'),
    ],
)
def test_every_escape_of_a_string_is_read(org: OrgClient, literal: str, text: str) -> None:
    fill(org, {"LastName": "found", "Title": text}, {"LastName": "other", "Title": "x"})
    assert names(org, f"Title = '{literal}'") == ["found"]
    assert names(org, f"Title IN ('nothing', '{literal}')") == ["found"]


@pytest.mark.parametrize("literal", [r"a\qb", r"a\u12", r"a\x41", r"\ "])
def test_an_unknown_escape_is_malformed(org: OrgClient, literal: str) -> None:
    code, message = error(org, f"SELECT Id FROM Lead WHERE Title = '{literal}'")
    assert code == "MALFORMED_QUERY"
    assert "Illegal character sequence" in message


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), min_size=1, max_size=5))
def test_any_text_survives_quoting(org: OrgClient, texts: list[str]) -> None:
    org.control("reset", {})
    kept = [text for text in texts if text.strip()]
    fill(org, *({"LastName": text} for text in kept or ["x"]))
    for text in kept:
        assert text.strip() in names(org, f"LastName = {quoted(text.strip())}")
    both = ", ".join(quoted(text.strip()) for text in kept or ["x"])
    assert len(names(org, f"LastName IN ({both})")) == len(kept or ["x"])


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("Ng%", ["Ng", "ngo"]),
        ("%g", ["Ng"]),
        ("n_", ["Ng"]),
        ("%100\\%%", ["is 100% x"]),
        ("a\\_b", ["a_b"]),
        ("a_b", ["a_b", "aXb"]),
        ("c\\\\d", ["c\\d"]),
        ("", []),
        ("%", ["Ng", "ngo", "is 100% x", "is 1000 x", "a_b", "aXb", "c\\d"]),
    ],
)
def test_like_knows_its_two_wildcards_and_no_case(org: OrgClient, pattern: str, found: list[str]) -> None:
    fill(org, *({"LastName": name} for name in ("Ng", "ngo", "is 100% x", "is 1000 x", "a_b", "aXb", "c\\d")))
    assert names(org, f"LastName LIKE '{pattern}'") == found


# Comparisons.


PEOPLE: list[dict[str, Any]] = [
    {"LastName": "a", "Title": "Cook", "NumberOfEmployees": 5, "IsUnreadByOwner": True, "Born__c": "2026-01-01"},
    {"LastName": "b", "Title": "cook", "NumberOfEmployees": 10, "IsUnreadByOwner": False, "Born__c": "2026-06-01"},
    {"LastName": "c", "NumberOfEmployees": 10, "Topics__c": "Tea;Rice", "IsUnreadByOwner": False},
    {"LastName": "d", "Title": "Waiter", "Topics__c": "Tea", "Seen__c": "2026-11-23T10:00:00Z"},
]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("Title = 'COOK'", "ab"),
        ("Title != 'cook'", "cd"),
        ("Title <> 'cook'", "cd"),
        ("Title = null", "c"),
        ("Title != NULL", "abd"),
        ("Title = ''", "c"),
        ("Title IN ('cook', null)", "abc"),
        ("Title IN ('Waiter')", "d"),
        ("Title NOT IN ('cook')", "cd"),
        ("Title NOT IN ('cook', null)", "d"),
        ("Title > 'cook'", "d"),
        ("NOT Title = 'cook'", "cd"),
        ("NOT (Title = 'cook' OR Title = null)", "d"),
        ("NOT Title LIKE 'c%'", "cd"),
        ("NumberOfEmployees > 5", "bc"),
        ("NumberOfEmployees >= 5.0", "abc"),
        ("NumberOfEmployees < 1e1", "a"),
        ("NumberOfEmployees = -1", ""),
        ("NumberOfEmployees IN (5, 10)", "abc"),
        ("IsUnreadByOwner = TRUE", "a"),
        ("IsUnreadByOwner != true", "bcd"),
        ("IsUnreadByOwner = null", "bcd"),
        ("Born__c = 2026-01-01", "a"),
        ("Born__c > 2026-01-01", "b"),
        ("Born__c = null", "cd"),
        ("Seen__c = 2026-11-23T11:00:00+01:00", "d"),
        ("Seen__c < 2026-11-23T10:00:01Z", "d"),
        ("CreatedDate = TODAY", "abcd"),
        ("CreatedDate >= LAST_N_DAYS:1", "abcd"),
        ("CreatedDate < yesterday", ""),
        ("CreatedDate > TOMORROW", ""),
        ("Born__c = LAST_N_YEARS:200", ""),
        ("Topics__c INCLUDES ('Tea')", "cd"),
        ("Topics__c INCLUDES ('tea;rice')", "c"),
        ("Topics__c EXCLUDES ('Rice')", "abd"),
        ("Title = 'cook' AND NumberOfEmployees = 5", "a"),
        ("(Title = 'cook' AND NumberOfEmployees = 5) OR LastName = 'd'", "ad"),
        ("Owner.Username = 'ADMIN@example.com' AND LastName = 'a'", "a"),
        ("Id IN (SELECT Lead__c FROM Visit__c)", "b"),
        ("Id NOT IN (SELECT Lead__c FROM Visit__c)", "acd"),
    ],
)
def test_conditions_find_what_salesforce_finds(org: OrgClient, condition: str, found: str) -> None:
    fill(org, *PEOPLE)
    (visited,) = org.column("SELECT Id FROM Lead WHERE LastName = 'b'")
    org.create("Visit__c", Lead__c=visited)
    assert names(org, condition) == list(found)


def test_many_keys_go_into_one_list(org: OrgClient) -> None:
    fill(org, *({"Email": f"p{number}@example.com"} for number in range(150)))
    wanted = ",".join(f"'P{number}@Example.com'" for number in range(500))
    assert len(org.records(f"SELECT Id FROM Lead WHERE Email IN ({wanted})")) == 150


# What is selected.


def test_relationships_are_objects_within_the_record(org: OrgClient) -> None:
    parent = org.create("Account", Name="Ng Ltd")
    child = org.create("Account", Name="Ng Shop", ParentId=parent)
    org.create("Contact", LastName="Ng", AccountId=child)
    org.create("Contact", LastName="Li")
    reply = org.soql(
        "SELECT c.LastName, c.Account.Name, Contact.Account.Parent.Name, Account.Owner.Username FROM Contact c"
        " WHERE Account.Parent.Name = 'ng ltd' OR Account.Name = null ORDER BY LastName"
    )
    li, ng = reply.json()["records"]
    assert without_attributes(li) == {"LastName": "Li", "Account": None}
    assert ng["Account"]["attributes"] == {"type": "Account", "url": f"/services/data/v66.0/sobjects/Account/{child}"}
    assert without_attributes(ng)["Account"] == {
        "Name": "Ng Shop",
        "Parent": {"Name": "Ng Ltd"},
        "Owner": {"Username": "admin@example.com"},
    }


def test_children_are_lists_within_the_record(org: OrgClient) -> None:
    lead = org.lead()
    for place in ("x", "y", "z"):
        org.create("Visit__c", Lead__c=lead, Place__c=place)
    other = org.lead()
    text = "SELECT Id, (SELECT Place__c FROM Visits__r WHERE Place__c != 'y' ORDER BY Place__c DESC LIMIT 1) FROM Lead"
    visits = {"totalSize": 1, "done": True, "records": [{"Place__c": "z"}]}
    assert org.records(text) == [{"Id": lead, "Visits__r": visits}, {"Id": other, "Visits__r": None}]


def test_a_polymorphic_relationship_tells_its_type(org: OrgClient) -> None:
    lead = org.lead(FirstName="Li", LastName="Ng")
    org.create("Task", WhoId=lead, Subject="Call")
    assert org.records("SELECT Who.Type, Who.Name FROM Task") == [{"Who": {"Type": "Lead", "Name": "Li Ng"}}]
    assert org.column("SELECT Subject FROM Task WHERE Who.Type = 'Lead'") == ["Call"]


def test_fields_come_in_the_order_they_are_asked_for(org: OrgClient) -> None:
    org.lead(Title="x")
    (record,) = org.soql("SELECT Title, Id, LastName FROM Lead").json()["records"]
    assert list(record) == ["attributes", "Title", "Id", "LastName"]


def test_fields_selects_all_of_a_kind(org: OrgClient) -> None:
    org.lead(Ext__c="k")
    (custom,) = org.records("SELECT FIELDS(CUSTOM) FROM Lead LIMIT 200")
    assert custom["Ext__c"] == "k"
    assert "LastName" not in custom
    (standard,) = org.records("SELECT FIELDS(STANDARD) FROM Lead")
    assert "Ext__c" not in standard
    assert {*custom, *standard} == set(org.records("SELECT FIELDS(ALL) FROM Lead LIMIT 1")[0])
    for text in ("SELECT FIELDS(ALL) FROM Lead", "SELECT FIELDS(CUSTOM) FROM Lead LIMIT 201"):
        assert error(org, text)[0] == "MALFORMED_QUERY"


# Order, pages of the statement, groups.


@pytest.mark.parametrize(
    ("tail", "found"),
    [
        ("ORDER BY Title, LastName", "dacb"),
        ("ORDER BY Title ASC NULLS LAST, LastName", "acbd"),
        ("ORDER BY Title DESC NULLS LAST, LastName DESC", "bcad"),
        ("ORDER BY Title DESC, LastName", "dbac"),
        ("ORDER BY LastName LIMIT 2", "ab"),
        ("ORDER BY LastName LIMIT 2 OFFSET 1", "bc"),
        ("ORDER BY LastName OFFSET 3", "d"),
        ("LIMIT 0", ""),
        ("ORDER BY Owner.Username, LastName DESC", "dcba"),
    ],
)
def test_records_are_sorted_and_cut(org: OrgClient, tail: str, found: str) -> None:
    fill(
        org,
        {"LastName": "a", "Title": "cook"},
        {"LastName": "b", "Title": "Waiter"},
        {"LastName": "c", "Title": "Cook"},
        {"LastName": "d"},
    )
    assert org.column(f"SELECT LastName FROM Lead {tail}") == list(found)


def test_counts_and_groups(org: OrgClient) -> None:
    fill(org, *PEOPLE)
    assert org.soql("SELECT COUNT() FROM Lead WHERE Title = 'cook'").json() == {
        "totalSize": 2,
        "done": True,
        "records": [],
    }
    assert org.soql("SELECT COUNT() FROM Lead LIMIT 3").json()["totalSize"] == 3
    reply = org.soql("SELECT COUNT(Id), SUM(NumberOfEmployees) total, MIN(LastName), MAX(Born__c) FROM Lead").json()
    assert reply["records"] == [
        {
            "attributes": {"type": "AggregateResult"},
            "expr0": 4,
            "total": 25,
            "expr1": "a",
            "expr2": "2026-06-01",
        }
    ]
    grouped = "SELECT Title, COUNT(Id) n, AVG(NumberOfEmployees) FROM Lead GROUP BY Title"
    assert sorted((one["Title"] or "").lower() for one in org.records(grouped)) == ["", "cook", "waiter"]
    assert [one["n"] for one in org.records(f"{grouped} HAVING COUNT(Id) > 1")] == [2]
    assert org.records(f"{grouped} ORDER BY COUNT(Id) DESC LIMIT 1")[0]["n"] == 2
    assert org.column("SELECT COUNT_DISTINCT(Title) FROM Lead") == [2]
    by_month = (
        "SELECT CALENDAR_MONTH(Born__c) m, COUNT(Id) n FROM Lead WHERE Born__c != null GROUP BY CALENDAR_MONTH(Born__c)"
    )
    assert sorted(one["m"] for one in org.records(by_month)) == [1, 6]


# Pages.


def test_a_long_answer_comes_in_pages(org: OrgClient) -> None:
    for _ in range(3):
        fill(org, *[{}] * 200)
    first = org.soql("SELECT Id, LastName FROM Lead", headers={"Sforce-Query-Options": "batchSize=250"}).json()
    assert (first["totalSize"], first["done"], len(first["records"])) == (600, False, 250)
    assert first["nextRecordsUrl"].startswith("/services/data/v66.0/query/0r8")
    before = org.calls()["total"]
    second = org.get(first["nextRecordsUrl"]).json()
    third = org.get(second["nextRecordsUrl"]).json()
    assert [len(page["records"]) for page in (second, third)] == [250, 100]
    assert (third["done"], "nextRecordsUrl" in third) == (True, False)
    found = [record["Id"] for page in (first, second, third) for record in page["records"]]
    assert len(set(found)) == 600
    assert org.calls()["total"] == before + 2
    assert len(org.records("SELECT Id FROM Lead")) == 600


def test_an_answer_with_an_offset_has_one_page(org: OrgClient) -> None:
    for _ in range(2):
        fill(org, *[{}] * 150)
    page = org.soql("SELECT Id FROM Lead OFFSET 10", headers={"Sforce-Query-Options": "batchSize=200"}).json()
    assert (page["totalSize"], page["done"], "nextRecordsUrl" in page) == (200, True, False)


def test_the_smallest_page_has_200_records(org: OrgClient) -> None:
    fill(org, *[{}] * 200)
    org.lead()
    page = org.soql("SELECT Id FROM Lead", headers={"Sforce-Query-Options": "batchSize=1"}).json()
    assert len(page["records"]) == 200


def test_the_recycle_bin_is_seen_by_query_all_alone(org: OrgClient) -> None:
    kept, gone = org.lead(LastName="kept"), org.lead(LastName="gone")
    org.delete(f"sobjects/Lead/{gone}")
    text = "SELECT Id, IsDeleted FROM Lead ORDER BY LastName"
    assert org.records(text) == [{"Id": kept, "IsDeleted": False}]
    found = without_attributes(org.soql(text, resource="queryAll").json()["records"])
    assert found == [{"Id": gone, "IsDeleted": True}, {"Id": kept, "IsDeleted": False}]
    assert error(org, f"{text} ALL ROWS")[0] == "MALFORMED_QUERY"


# Search.


def test_a_parameterized_search_looks_into_a_group_of_fields(org: OrgClient) -> None:
    lead = org.lead(Email="li.ng@example.com", LastName="Ng")
    org.lead(LastName="li.ng@example.com")
    body = {
        "q": "li.ng@EXAMPLE.com",
        "in": "EMAIL",
        "sobjects": [{"name": "Lead", "fields": ["Id", "Email"], "limit": 10}, {"name": "Contact"}],
    }
    for reply in (
        org.post("parameterizedSearch", body),
        org.get("parameterizedSearch", params={"q": "ng@", "in": "EMAIL", "sobject": "Lead", "fields": "Id,Email"}),
    ):
        assert without_attributes(reply.json()["searchRecords"]) == [{"Id": lead, "Email": "li.ng@example.com"}]
    body["sobjects"] = [{"name": "Lead", "fields": ["Id"], "where": "LastName = 'nobody'"}]
    assert org.post("parameterizedSearch", body).json() == {"searchRecords": []}
    assert org.post("parameterizedSearch", {"q": ""}).json()[0]["errorCode"] == "MALFORMED_SEARCH"
    assert org.post("parameterizedSearch", {"q": "x", "in": "TOES"}).status_code == 400


def test_a_search_takes_find(org: OrgClient) -> None:
    lead = org.lead(Email="li@example.com", Phone="555 1234")
    find = "FIND {li@example.com} IN EMAIL FIELDS RETURNING Lead(Id, Phone WHERE LastName = 'Ng'), Contact LIMIT 5"
    assert without_attributes(org.get("search", params={"q": find}).json()["searchRecords"]) == [
        {"Id": lead, "Phone": "555 1234"}
    ]
    found = org.get("search", params={"q": "FIND {it\\'s 100%} RETURNING Lead"}).json()
    assert found == {"searchRecords": []}
    assert org.get("search", params={"q": "FOUND {x}"}).json()[0]["errorCode"] == "MALFORMED_SEARCH"
