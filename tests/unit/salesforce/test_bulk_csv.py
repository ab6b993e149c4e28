"""The CSV of bulk jobs: whatever a record holds arrives as it is, and comes back as what was sent."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.operation import Json
from pipeline.salesforce.bulk_csv import NULL, Table, cells_of, digest_of, errors_of, read_rows
from pipeline.salesforce.errors import ErrorDetail

_NASTY = st.sampled_from(
    [
        '"',
        '""',
        ",",
        "\n",
        "\r\n",
        "\r",
        "a\rb",
        " lead",
        "trail ",
        "=1+1",
        "+44",
        "@x",
        "-1",
        "'",
        NULL,
        f" {NULL} ",
        "ü€😀",
        "",
    ]
)
_TEXT = st.lists(_NASTY | st.text(max_size=5), max_size=4).map("".join)
_VALUES = _TEXT | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_NAMES = st.sampled_from(["LastName", "Email", "Title", "Phone", "Score__c"])
_RECORDS = st.dictionaries(_NAMES, _VALUES, min_size=1)


def stored(value: Json) -> Json:
    """Return a text as Salesforce stores it from JSON: trimmed, blank as null, lines that end with LF."""
    if not isinstance(value, str):
        return value
    return value.replace("\r\n", "\n").replace("\r", "\n").strip() or None


def read_as_salesforce(cell: str) -> Json:
    return None if cell == NULL else cell.strip()


@given(st.lists(_RECORDS, min_size=1, max_size=8))
def test_a_file_says_what_the_records_say(records: list[dict[str, Json]]) -> None:
    table, sent = Table(), []
    for record in records:
        cells = cells_of(record)
        if cells is not None:
            table.add(cells)
            sent.append((record, cells))
    file = table.to_csv()
    assert b"\r" not in file
    assert len(table) == len(sent)
    if not sent:
        return
    rows = list(csv.DictReader(io.StringIO(file.decode(), newline=""), strict=True))
    for row, (record, cells) in zip(rows, sent, strict=True):
        assert None not in row
        for name, cell in row.items():
            if name not in record:
                assert not cell  # leaves the field as it is
            elif isinstance(record[name], str | None):
                assert read_as_salesforce(cell) == stored(record[name])
            else:
                assert cell == str(record[name]).lower() or float(cell) == record[name]
        assert digest_of({"sf__Id": "", "sf__Error": "X:y:--", **row}) == digest_of(cells)


@given(st.lists(st.dictionaries(_NAMES, st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]))), max_size=5))
def test_a_result_file_is_read_as_it_was_written(rows: list[dict[str, str]]) -> None:
    out = io.StringIO(newline="")
    names = ["sf__Id", "LastName", "Email", "Title", "Phone", "Score__c"]
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    assert list(read_rows(out.getvalue().encode())) == [{name: row.get(name, "") for name in names} for row in rows]


@pytest.mark.parametrize(
    "value", [NULL, f" {NULL}\n", ["a"], {"a": 1}, "\ud800", "a\0b", "x" * 200_000, 1e30, float("nan")]
)
def test_what_csv_cannot_say_is_not_said(value: Json) -> None:
    assert cells_of({"LastName": "x", "Title": value}) is None


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, NULL), ("", NULL), (" \n", NULL), (True, "true"), (False, "false"), (3, "3"), (2.5, "2.5"), ("0", "0")],
)
def test_null_is_written_as_salesforce_reads_it(value: Json, cell: str) -> None:
    assert cells_of({"Title": value}) == {"Title": cell}


def test_rows_are_told_apart_by_what_they_hold_and_not_by_the_order_of_columns() -> None:
    assert digest_of({"A": "1", "B": " x\r\n"}) == digest_of({"B": "x", "A": "1", "C": ""})
    assert digest_of({"A": "1", "B": "2"}) != digest_of({"A": "2", "B": "1"})
    assert digest_of({"A": "1,B"}) != digest_of({"A": "1", "B": ""})


@pytest.mark.parametrize("file", [b'"a","b"\n"1', b"a,b\n1,2,3\n", b"\xff\n"])
def test_a_file_that_is_no_csv_is_not_read(file: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (some are Python's own)
        list(read_rows(file))


_MISSING, _LOCKED = "Required fields are missing: [LastName, Company]", "unable to obtain exclusive access"


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        (
            f"REQUIRED_FIELD_MISSING:{_MISSING}:LastName, Company --",
            [ErrorDetail("REQUIRED_FIELD_MISSING", _MISSING, ("LastName", "Company"))],
        ),
        (f"UNABLE_TO_LOCK_ROW:{_LOCKED}:--", [ErrorDetail("UNABLE_TO_LOCK_ROW", _LOCKED)]),
        (
            "A_CODE:one -- two: three:Title --;B_CODE:four:--",
            [ErrorDetail("A_CODE", "one -- two: three", ("Title",)), ErrorDetail("B_CODE", "four")],
        ),
        ("INVALID_FIELD:a\nb:--", [ErrorDetail("INVALID_FIELD", "a\nb")]),
        ("something else", [ErrorDetail("UNKNOWN", "something else")]),
        ("", []),
    ],
)
def test_what_was_refused_is_read_with_its_code_and_fields(text: str, errors: list[ErrorDetail]) -> None:
    assert list(errors_of(text)) == errors
