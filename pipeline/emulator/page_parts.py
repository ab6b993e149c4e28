"""What the page shows, from plain values: records, fields, results, faults and requests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.emulator.errors import Json
from pipeline.emulator.faults import Rule
from pipeline.emulator.html import Html, join, link, table, tag
from pipeline.emulator.request_log import Seen
from pipeline.emulator.schema import Field, SObject

# A list of records leaves out who owns and changed them, which is the same user nearly always.
_UNLISTED = frozenset({"OwnerId", "CreatedById", "LastModifiedById", "LastModifiedDate", "SystemModstamp"})
# Characters of a query that the list of requests shows; its link has all of them.
_MOST_SHOWN_SOQL = 160
# From this HTTP status on an answer is a refusal.
_FIRST_ERROR = 400


def soql_form(text: str) -> Html:
    """Return the form that asks a query."""
    area = tag("textarea", text, name="q", id="q", rows=3, spellcheck="false", aria_label="SOQL query")
    return tag("form", area, tag("button", "Run query", type="submit"), action="/soql", method="get")


def show_faults(rules: Sequence[Rule]) -> Html:
    """Return the fault rules, each as it was given, with how often it fired."""
    if not rules:
        return tag("p", "None: the org answers as it should.", class_="soft")
    rows = []
    for rule in rules:
        given = {key: value for key, value in rule.given.items() if key != "fault"}
        fired = f"{rule.fired} of {rule.next}" if rule.next is not None else rule.fired
        text = json.dumps(given, ensure_ascii=False) if given else "every request"
        rows.append((tag("span", rule.fault, class_="soft" if rule.spent else "bad"), tag("code", text), fired))
    return table(("Fault", "Hits", "Fired"), rows, numeric=(2,))


def show_requests(requests: Sequence[Seen]) -> Html:
    """Return the requests of the log."""
    if not requests:
        return tag("p", "None yet.", class_="soft")
    rows = []
    for seen in requests:
        good = seen.status is not None and seen.status < _FIRST_ERROR
        shown = seen.soql if len(seen.soql) <= _MOST_SHOWN_SOQL else f"{seen.soql[:_MOST_SHOWN_SOQL]}…"
        query = join(" ", link(shown, "soql", q=seen.soql)) if shown else None
        rows.append(
            (
                datetime.fromtimestamp(seen.at, UTC).strftime("%H:%M:%S"),
                seen.method,
                tag("code", seen.path, query),
                tag("span", "reset" if seen.status is None else seen.status, class_="good" if good else "bad"),
                seen.calls,
                f"{seen.ms:,.1f}",
            )
        )
    return table(("UTC", "Method", "Path", "Status", "Calls", "ms"), rows, numeric=(3, 4, 5))


def list_records(one: SObject, records: Sequence[Json]) -> Html:
    """Return records as a table of the fields that at least one of them fills."""
    filled = {name for record in records for name, value in record.items() if value is not False} - _UNLISTED
    name_field = one.name_field
    first = [name_field] if name_field and name_field.name in filled and name_field.name != "Id" else []
    rest = [known for known in one.fields.values() if known.name in filled and known.createable and known not in first]
    rest += [known for name in ("CreatedDate",) if (known := one.fields.get(name)) and name in filled]
    columns = [*first, *rest]
    rows = [
        (
            show_id(record["Id"]),
            *(show_value(record.get(known.name), known) for known in columns),
        )
        for record in records
    ]
    return tag("div", table(("Id", *(known.name for known in columns)), rows), class_="list")


def list_results(records: Sequence[Json]) -> Html:
    """Return the records of a query as a table; fields of parents are columns, children tables of their own."""
    flat = [flatten(record) for record in records]
    columns = list(dict.fromkeys(name for record in flat for name in record))
    rows = [[show_result(name, record.get(name)) for name in columns] for record in flat]
    return table(columns, rows)


def flatten(record: Json, prefix: str = "") -> Json:
    """Return a record with its parents' fields under dotted names."""
    flat: Json = {}
    for name, value in record.items():
        if isinstance(value, dict) and "attributes" in value:
            flat |= flatten(value, f"{prefix}{name}.")
        elif name != "attributes":
            flat[prefix + name] = value
    return flat


def show_result(name: str, value: Any) -> object:
    """Return a cell of a query's result."""
    if isinstance(value, dict) and "records" in value:
        return list_results(value["records"])
    if name.rpartition(".")[2] == "Id" and isinstance(value, str):
        return show_id(value)
    return show_value(value, None)


def show_id(record_id: str) -> Html:
    """Return an Id as a link to its record."""
    return tag("code", link(record_id, record_id), class_="id")


def show_value(value: Any, known: Field | None) -> object:
    """Return a field's value for a cell: Ids as links, an address in one line."""
    if isinstance(value, dict):
        return ", ".join(str(part) for part in value.values() if part is not None)
    if isinstance(value, bool):
        return "true" if value else "false"
    if known is not None and known.type in {"id", "reference"} and value:
        return show_id(value)
    return value


def length_of(known: Field) -> str:
    """Return a field's length in characters, or its digits before and after the point."""
    if known.precision:
        return f"{known.precision - known.scale}, {known.scale}"
    return str(known.digits or known.length or "")


def flags_of(known: Field) -> list[Html]:
    """Return what the describe says about a field beyond its type, in its words where it has one."""
    flags = {
        "required": known.required,
        "externalId": known.external_id,
        "unique": known.unique,
        "caseSensitive": known.case_sensitive,
        "idLookup": known.id_lookup,
        "autoNumber": known.auto_number,
        "calculated": known.calculated,
        "read-only": not (known.createable or known.updateable),
        "create only": known.createable and not known.updateable,
        "update only": known.updateable and not known.createable,
        "custom": known.custom,
    }
    return [tag("span", name, class_="tag") for name, is_so in flags.items() if is_so]


def choices_of(known: Field) -> Html:
    """Return what a reference refers to, or the values of a picklist."""
    if known.reference_to:
        links = [join(", " if at else None, link(name, "objects", name)) for at, name in enumerate(known.reference_to)]
        return join(links)
    return join(", ".join(known.picklist_values))
