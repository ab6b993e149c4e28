"""For any event and any describe: what is shaped, an org takes. The emulated org judges; it shares no code with us."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.delivery.shape import createable, shape, updateable
from pipeline.destination import Destination, Group, Identify
from pipeline.emulator.describe import describe_field
from pipeline.emulator.drafts import DraftReader
from pipeline.emulator.schema import SObject, standard_objects
from pipeline.events.schemas import Event
from pipeline.mapping.plan import compile_plan
from pipeline.operation import Operation
from pipeline.salesforce.describe import ObjectDescribe

TEXTS = ["string", "textarea", "phone", "url", "email", "combobox", "encryptedstring"]
TYPES = [
    *TEXTS,
    *("picklist", "multipicklist", "boolean", "int", "double", "currency", "percent", "date", "datetime", "reference"),
]
ORG = {one.name: one for one in standard_objects()}


def described(one: SObject) -> ObjectDescribe:
    fields = [describe_field(field) for field in one.fields.values()]
    return ObjectDescribe.read({"name": one.name, "keyPrefix": one.key_prefix, "fields": fields})


DESCRIBES = {name: described(one) for name, one in ORG.items()}

texts = st.text(st.characters(), max_size=60) | st.sampled_from(
    [
        *("ada@example.com", "a@b", "0", "1,234.5", "-7", "1e3", "yes", "false", "Hot", "hot", "a;b;;c", " ", "n/a"),
        *("2026-11-23", "2026-11-23T10:00:00.123456+02:00", "1795000000", "0001-01-01T00:00:00+14:00", "9999-12-31"),
        *(
            "001D000000IqhSL",
            "001D000000IqhSLIAZ",
            "001D000000IqhSLIAA",
            "10:30",
            "\ud83d",
            "e\u0301" * 300,
            "😀" * 200,
        ),
        *(
            "x" * 300,
            "x" * 40_000,
            "line\r\nbreak",
            "\x00\x1f",
            'O\'Hara \\ "q"',
            "\uff11\uff12",
            "\u0663",
            "\u2028",
            "\ufeff",
        ),
    ]
)
numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, 1, -1, 10**8, 2**31, 10**18, 10**400, 1_795_000_000_000, 0.1, 1e308])
)
scalars = st.none() | st.booleans() | numbers | texts
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(texts, scalars, max_size=2)


@st.composite
def custom_fields(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Draw the definition of one field: any type, any length, writable or not."""
    kind = draw(st.sampled_from(TYPES))
    defined: dict[str, Any] = {"name": name, "type": kind, "custom": True}
    if kind in TEXTS or kind in {"picklist", "multipicklist"}:
        defined["length"] = draw(st.sampled_from([1, 2, 10, 40, 80, 255, 256, 32_000]))
    if "picklist" in kind:
        defined["picklistValues"] = draw(st.lists(st.sampled_from(["a", "b", "Hot", "Warm"]), unique=True, min_size=1))
        fits = min(map(len, defined["picklistValues"])) <= defined["length"]
        defined["restrictedPicklist"] = fits and draw(st.booleans())
        defined["length"] = 40 if defined["restrictedPicklist"] else defined["length"]
    if kind in {"double", "currency", "percent"}:
        defined["precision"] = draw(st.integers(1, 18))
        defined["scale"] = draw(st.integers(0, min(17, defined["precision"] - 1)))
    if kind == "int":
        defined["digits"] = draw(st.integers(0, 9))
    if kind == "reference":
        defined["referenceTo"] = draw(st.sampled_from([["Account"], ["User", "Group"], ["Invoice__c"]]))
    defined["nillable"] = kind != "boolean" and draw(st.booleans())
    defined["createable"], defined["updateable"] = draw(st.booleans()), draw(st.booleans())
    return defined


@st.composite
def orgs(draw: st.DrawFn) -> SObject:
    """Draw an object with a handful of custom fields."""
    names = [f"F{position}__c" for position in range(draw(st.integers(1, 6)))]
    return SObject(
        {
            "name": "Thing__c",
            "label": "Thing",
            "labelPlural": "Things",
            "keyPrefix": "a00",
            "fields": [draw(custom_fields(name)) for name in names],
        }
    )


def judge(one: SObject, record: dict[str, Any], *, creating: bool) -> None:
    """Send a record to the emulated org's reader: it raises, or notes problems, for whatever Salesforce refuses."""
    for name, value in record.items():
        assert name in one.fields
        if isinstance(value, str) and one.fields[name].length:
            assert len(value.encode("utf-16-le")) // 2 <= one.fields[name].length
            value.encode("utf-8")
    draft = DraftReader().read(one, record, creating=creating)
    assert draft.problems == []


def check(operation: Operation, one: SObject, describe: ObjectDescribe) -> None:
    shaped = shape(operation, describe)
    if shaped.refusal is not None:
        assert shaped.fields == {}
        return
    judge(one, createable({**shaped.on_create, **shaped.fields}, describe), creating=True)
    judge(one, updateable(shaped.fields, describe), creating=False)
    for value in shaped.match.values():
        assert value is not None


@settings(max_examples=300)
@given(orgs(), st.dictionaries(st.sampled_from(["F0", "f1", "F2__c", "f_3", "F4__C", "other"]), values), st.booleans())
def test_what_is_shaped_for_any_describe_is_taken(one: SObject, traits: dict[str, Any], clears: bool) -> None:
    options: dict[str, Any] = {"clear_nulls": True} if clears else {}
    operation = Operation(
        id="m1#actions[0]",
        object="Thing__c",
        verb="upsert",
        event_time_ms=0,
        match={name: value for name, value in traits.items() if name.lower().endswith("__c")},
        fields={f"F{position}__c": value for position, value in enumerate(traits.values())},
        traits=traits,
        on_create=traits,
        options=options | ({"join": "or"} if clears else {}),
    )

    check(operation, one, described(one))


standard_traits = st.sampled_from(
    [
        *("name", "firstName", "lastName", "company", "title", "phone", "website", "rating", "description", "industry"),
        *("salutation", "fax", "leadSource", "mobilePhone", "annualRevenue", "employees", "street", "city", "address"),
        *("Status", "Latitude", "OwnerId", "IsConverted", "Id", "GeocodeAccuracy", "EmailBouncedDate", "CleanStatus"),
        *("HasOptedOutOfEmail", "Jigsaw", "birthday", "type", "site", "ParentId", "CreatedDate", "AccountSource"),
    ]
)


@settings(max_examples=300)
@given(
    st.sampled_from(["Lead", "Contact", "Account"]),
    st.dictionaries(standard_traits, values | st.fixed_dictionaries({"street": values, "name": values})),
    texts,
    st.booleans(),
)
def test_what_the_default_mapping_makes_of_any_traits_is_taken(
    name: Any, traits: dict[str, Any], key: str, clears: bool
) -> None:
    identify = Identify(object="Contact" if name == "Contact" else "Lead", clear_nulls=clears)
    planner = compile_plan(Destination(identify=identify, group=Group(clear_nulls=clears, address="both")))
    body: dict[str, Any] = {"traits": {**traits, "email": "ada@example.com"}, "groupId": key}
    event = Event(type="group" if name == "Account" else "identify", message_id="m1", time_ms=0, body=body)

    for operation in planner.plan(event):
        assert operation.object == name
        check(operation, ORG[name], DESCRIBES[name])
