"""The partner API over SOAP: records written, read and described."""

from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import pytest
import requests

from tests.integration.emulator.org_client import OrgClient

NAMESPACES = (
    'xmlns:env="http://schemas.xmlsoap.org/soap/envelope/" xmlns:urn="urn:partner.soap.sforce.com"'
    ' xmlns:so="urn:sobject.partner.soap.sforce.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)


class Soap:
    """A client of the partner API."""

    def __init__(self, org: OrgClient) -> None:
        self.org = org
        self.token = org.headers["Authorization"].removeprefix("Bearer ")

    def post(self, body: str, header: str = "", *, token: str | None = None, kind: str = "u") -> requests.Response:
        session = f"<urn:SessionHeader><urn:sessionId>{token or self.token}</urn:sessionId></urn:SessionHeader>"
        envelope = (
            f"<env:Envelope {NAMESPACES}><env:Header>{session}{header}</env:Header><env:Body>{body}</env:Body>"
            "</env:Envelope>"
        )
        url = f"{self.org.url}/services/Soap/{kind}/58.0/00DEm0000000001"
        headers = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""'}
        return self.org.http.post(url, data=envelope.encode(), headers=headers, timeout=10)

    def call(self, name: str, inside: str = "", header: str = "") -> list[ET.Element]:
        """Make a call that must succeed, and return its results."""
        reply = self.post(f"<urn:{name}>{inside}</urn:{name}>", header)
        assert reply.status_code == 200, reply.text
        response = ET.fromstring(reply.text).find("{*}Body")
        assert response is not None
        assert response[0].tag == f"{{urn:partner.soap.sforce.com}}{name}Response"
        return list(response[0])


@pytest.fixture
def soap(org: OrgClient) -> Soap:
    return Soap(org)


def sobject(kind: str = "Lead", **fields: str | None) -> str:
    told = "".join(
        f"<so:fieldsToNull>{name}</so:fieldsToNull>" if value is None else f"<so:{name}>{escape(value)}</so:{name}>"
        for name, value in fields.items()
    )
    return f'<urn:sObjects xsi:type="so:sObject"><so:type>{kind}</so:type>{told}</urn:sObjects>'


def shown(element: ET.Element) -> list[tuple[str, str | None]]:
    return [(one.tag.rpartition("}")[2], one.text) for one in element]


def faulted(reply: requests.Response) -> tuple[str | None, str | None]:
    assert reply.status_code == 500, reply.text
    detail = ET.fromstring(reply.text).find(".//detail")
    assert detail is not None
    return detail[0].findtext("{*}exceptionCode"), detail[0].tag.rpartition("}")[2]


def test_records_are_created_and_each_says_what_became_of_it(soap: Soap) -> None:
    good, bad = soap.call("create", sobject(LastName="Byron", Company="A & B") + sobject(LastName="King"))
    (record,) = soap.org.control("records/Lead")
    assert record["Company"] == "A & B"
    assert shown(good) == [("id", record["Id"]), ("success", "true")]
    assert [one.tag.rpartition("}")[2] for one in bad] == ["errors", "id", "success"]
    assert shown(bad[0]) == [
        ("fields", "Company"),
        ("message", "Required fields are missing: [Company]"),
        ("statusCode", "REQUIRED_FIELD_MISSING"),
    ]


def test_an_update_empties_only_what_it_names(soap: Soap) -> None:
    lead = soap.org.lead(City="London", Phone="1", Title="Countess")
    soap.call("update", sobject(Id=lead, City=None, Phone="", Title="Lady"))
    record = soap.org.read("Lead", lead, "City", "Phone", "Title")
    assert (record["City"], record["Phone"], record["Title"]) == (None, "1", "Lady")


def test_an_upsert_says_what_it_created(soap: Soap) -> None:
    for created in ("true", "false"):
        inside = "<urn:externalIDFieldName>Ext__c</urn:externalIDFieldName>"
        (result,) = soap.call("upsert", inside + sobject(Ext__c="k", LastName="Byron", Company="E"))
        assert [name for name, _ in shown(result)] == ["created", "id", "success"]
        assert result.findtext("{*}created") == created
    assert len(soap.org.control("records/Lead")) == 1


def test_a_parent_may_be_named_by_its_key(soap: Soap) -> None:
    account = soap.org.create("Account", Name="Engines", Key__c="k1")
    parent = "<so:Account><so:type>Account</so:type><so:Key__c>k1</so:Key__c></so:Account>"
    given = sobject("Contact", LastName="B").replace("</urn:sObjects>", f"{parent}</urn:sObjects>")
    soap.call("create", given)
    assert soap.org.control("records/Contact")[0]["AccountId"] == account


def test_all_or_none_and_deletes(soap: Soap) -> None:
    header = "<urn:AllOrNoneHeader><urn:allOrNone>true</urn:allOrNone></urn:AllOrNoneHeader>"
    results = soap.call("create", sobject(LastName="B", Company="E") + sobject(LastName="K"), header)
    assert [one.findtext(".//{*}statusCode") for one in results] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "REQUIRED_FIELD_MISSING",
    ]
    assert soap.org.control("records/Lead") == []
    lead = soap.org.lead()
    gone, unknown = soap.call("delete", f"<urn:ids>{lead}</urn:ids><urn:ids>00QEm000000ZZZZ</urn:ids>")
    assert shown(gone) == [("id", lead), ("success", "true")]
    assert unknown.findtext(".//{*}statusCode") == "INVALID_CROSS_REFERENCE_KEY"


def query(soap: Soap, text: str, header: str = "", name: str = "query") -> ET.Element:
    (result,) = soap.call(name, f"<urn:queryString>{escape(text)}</urn:queryString>", header)
    return result


def test_a_query_answers_with_parents_children_and_counts(soap: Soap) -> None:
    account = soap.org.create("Account", Name="Engines")
    contact = soap.org.create("Contact", LastName="Byron", AccountId=account, DoNotCall=True)
    result = query(soap, "SELECT Id, DoNotCall, CreatedDate, Account.Name FROM Contact")
    assert [name for name, _ in shown(result)] == ["done", "queryLocator", "records", "size"]
    fields = shown(result[2])
    assert [name for name, _ in fields] == ["type", "Id", "Id", "DoNotCall", "CreatedDate", "Account"]
    assert dict(fields)["Id"] == contact
    assert dict(fields)["DoNotCall"] == "true"
    assert str(dict(fields)["CreatedDate"]).endswith(".000Z")
    assert result[2].findtext("{*}Account/{*}Name") == "Engines"
    result = query(soap, "SELECT Name, (SELECT LastName FROM Contacts) FROM Account")
    assert result.findtext("{*}records/{*}Contacts/{*}records/{*}LastName") == "Byron"
    assert result.find("{*}records/{*}Contacts/{*}size") is not None
    counted = query(soap, "SELECT COUNT(Id) FROM Contact")
    assert counted.findtext("{*}records/{*}type") == "AggregateResult"
    assert counted.findtext("{*}records/{*}expr0") == "1"
    assert query(soap, "SELECT COUNT() FROM Contact").findtext("{*}size") == "1"


def test_further_pages_are_asked_for_by_locator(soap: Soap) -> None:
    soap.org.upload([{"LastName": str(number), "Company": "E"} for number in range(200)])
    soap.org.lead()
    header = "<urn:QueryOptions><urn:batchSize>200</urn:batchSize></urn:QueryOptions>"
    first = query(soap, "SELECT Id FROM Lead", header)
    assert (first.findtext("{*}done"), len(first.findall("{*}records"))) == ("false", 200)
    locator = first.findtext("{*}queryLocator")
    (second,) = soap.call("queryMore", f"<urn:queryLocator>{locator}</urn:queryLocator>")
    assert (second.findtext("{*}done"), second.findtext("{*}size")) == ("true", "201")
    assert len(second.findall("{*}records")) == 1


def test_query_all_sees_the_recycle_bin_and_retrieve_reads_by_id(soap: Soap) -> None:
    kept, gone = soap.org.lead(), soap.org.lead()
    soap.org.delete(f"sobjects/Lead/{gone}")
    assert query(soap, "SELECT Id FROM Lead", name="queryAll").findtext("{*}size") == "2"
    inside = "<urn:fieldList>Id,LastName</urn:fieldList><urn:sObjectType>Lead</urn:sObjectType>"
    found, missing = soap.call("retrieve", f"{inside}<urn:ids>{kept}</urn:ids><urn:ids>{gone}</urn:ids>")
    assert found.findtext("{*}Id") == kept
    assert missing.attrib == {"{http://www.w3.org/2001/XMLSchema-instance}nil": "true"}


def test_objects_are_described(soap: Soap) -> None:
    inside = "<urn:sObjectType>lead</urn:sObjectType><urn:sObjectType>Case</urn:sObjectType>"
    lead, case = soap.call("describeSObjects", inside)
    assert (lead.findtext("{*}name"), case.findtext("{*}name")) == ("Lead", "Case")
    fields = {one.findtext("{*}name"): one for one in lead.findall("{*}fields")}
    assert fields["Email"].findtext("{*}idLookup") == "true"
    values = [one.findtext("{*}value") for one in fields["Status"].findall("{*}picklistValues")]
    assert "Open - Not Contacted" in values
    assert fields["OwnerId"].findtext("{*}relationshipName") == "Owner"
    (single,) = soap.call("describeSObject", "<urn:sObjectType>Lead</urn:sObjectType>")
    assert single.findtext("{*}keyPrefix") == "00Q"
    (everything,) = soap.call("describeGlobal")
    assert "Lead" in [one.findtext("{*}name") for one in everything.findall("{*}sobjects")]


def test_records_are_merged(soap: Soap) -> None:
    master, loser = soap.org.lead(), soap.org.lead()
    request = f'<urn:request><urn:masterRecord xsi:type="so:sObject"><so:type>Lead</so:type><so:Id>{master}</so:Id>'
    request += "<so:City>London</so:City></urn:masterRecord>"
    request += f"<urn:recordToMergeIds>{loser}</urn:recordToMergeIds></urn:request>"
    (result,) = soap.call("merge", request)
    assert (result.findtext("{*}mergedRecordIds"), result.findtext("{*}success")) == (loser, "true")
    assert soap.org.read("Lead", master)["City"] == "London"
    assert soap.org.get(f"sobjects/Lead/{loser}").json()[0]["errorCode"] == "ENTITY_IS_DELETED"


@pytest.mark.parametrize(
    ("body", "code", "kind"),
    [
        ("<urn:query><urn:queryString>SELECT</urn:queryString></urn:query>", "MALFORMED_QUERY", "MalformedQueryFault"),
        (
            "<urn:query><urn:queryString>SELECT Nope FROM Lead</urn:queryString></urn:query>",
            "INVALID_FIELD",
            "InvalidFieldFault",
        ),
        (f"<urn:create>{sobject(Nope='1')}</urn:create>", "INVALID_FIELD", "InvalidFieldFault"),
        (f"<urn:create>{sobject('Nope')}</urn:create>", "INVALID_TYPE", "InvalidSObjectFault"),
        ("<urn:queryMore><urn:queryLocator>x</urn:queryLocator></urn:queryMore>", "INVALID_QUERY_LOCATOR", None),
        (f"<urn:create>{sobject(LastName='a') * 201}</urn:create>", "EXCEEDED_ID_LIMIT", "UnexpectedErrorFault"),
        ("<urn:convertLead/>", "NOT_COVERED", "UnexpectedErrorFault"),
        ("<urn:getUpdated/>", "NOT_COVERED", "UnexpectedErrorFault"),
    ],
)
def test_what_is_wrong_is_a_fault(soap: Soap, body: str, code: str, kind: str | None) -> None:
    told, fault = faulted(soap.post(body))
    assert told == code
    assert fault == (kind or "InvalidQueryLocatorFault")
    assert soap.org.control("records/Lead") == []


@pytest.mark.parametrize(
    "header",
    [
        "<urn:EmailHeader><urn:triggerUserEmail>true</urn:triggerUserEmail></urn:EmailHeader>",
        "<urn:CallOptions><urn:defaultNamespace>x</urn:defaultNamespace></urn:CallOptions>",
    ],
)
def test_a_header_that_nobody_reads_is_refused(soap: Soap, header: str) -> None:
    assert faulted(soap.post("<urn:describeGlobal/>", header))[0] == "NOT_COVERED"


def test_sessions_and_limits_hold_and_login_costs_nothing(soap: Soap) -> None:
    before = soap.org.calls()["total"]
    reply = soap.post("<urn:getServerTimestamp/>")
    assert ET.fromstring(reply.text).findtext(".//{*}limitInfo/{*}current") == "1"
    assert soap.org.calls()["total"] == before + 1
    soap.org.soap_login("admin@example.com", "passwordtoken")
    assert soap.org.calls()["total"] == before + 1
    assert faulted(soap.post("<urn:describeGlobal/>", token="00D!no"))[0] == "INVALID_SESSION_ID"
    assert faulted(soap.post("<urn:describeGlobal/>", kind="c"))[0] == "NOT_COVERED"
    soap.org.control("limits", {"daily_limit": 1})
    assert faulted(soap.post("<urn:describeGlobal/>"))[0] == "REQUEST_LIMIT_EXCEEDED"
