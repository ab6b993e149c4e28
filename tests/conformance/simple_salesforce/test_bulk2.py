"""Bulk API 2.0 as simple-salesforce drives it: jobs by records and by files, their results, and queries."""

import csv
from pathlib import Path
from typing import Any

import pytest
from simple_salesforce.bulk2 import ColumnDelimiter, LineEnding, Operation
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceOperationError

from pipeline.emulator.testing import Emulator


def leads(count: int) -> list[dict[str, str]]:
    return [{"LastName": f"Lead {n}", "Company": "Engines, Ltd", "Segment_User_Id__c": f"u-{n}"} for n in range(count)]


def rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.exercises("SFBulk2Type.insert", "SFBulk2Type.get_successful_records")
def test_records_are_inserted_in_several_jobs(salesforce: Any) -> None:
    jobs = salesforce.bulk2.Lead.insert(records=leads(450), batch_size=200, concurrency=2, wait=0)
    assert sorted(job["numberRecordsTotal"] for job in jobs) == [50, 200, 200]
    assert sum(job["numberRecordsProcessed"] for job in jobs) == 450
    assert all(job["numberRecordsFailed"] == 0 for job in jobs)
    made = [row for job in jobs for row in rows(salesforce.bulk2.Lead.get_successful_records(job["job_id"]))]
    assert {row["sf__Created"] for row in made} == {"true"}
    assert {row["sf__Id"] for row in made} == {
        record["Id"] for record in salesforce.query_all_iter("SELECT Id FROM Lead")
    }


@pytest.mark.exercises(
    "SFBulk2Type.insert",
    "SFBulk2Type.get_failed_records",
    "SFBulk2Type.get_unprocessed_records",
    "SFBulk2Type.get_all_ingest_records",
)
def test_every_row_is_in_one_of_the_result_files(salesforce: Any, tmp_path: Path) -> None:
    given = [*leads(2), {"LastName": "", "Company": "Nameless", "Segment_User_Id__c": "u-9"}]
    (job,) = salesforce.bulk2.Lead.insert(records=given, wait=0)
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (3, 1)
    (failed,) = rows(salesforce.bulk2.Lead.get_failed_records(job["job_id"]))
    assert failed["sf__Error"].startswith("REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName")
    assert (failed["sf__Id"], failed["Segment_User_Id__c"]) == ("", "u-9")
    assert rows(salesforce.bulk2.Lead.get_unprocessed_records(job["job_id"])) == []
    found = salesforce.bulk2.Lead.get_all_ingest_records(job["job_id"])
    assert {name: len(records) for name, records in found.items()} == {
        "successfulRecords": 2,
        "failedRecords": 1,
        "unprocessedRecords": 0,
    }
    file = tmp_path / "failed.csv"
    assert not salesforce.bulk2.Lead.get_failed_records(job["job_id"], file=str(file))
    assert rows(file.read_text()) == [failed]


@pytest.mark.exercises("SFBulk2Type.insert", "SFBulk2Type.update")
@pytest.mark.parametrize(
    ("delimiter", "character", "ending"),
    [
        (ColumnDelimiter.COMMA, ",", LineEnding.LF),
        (ColumnDelimiter.TAB, "\t", LineEnding.CRLF),
        (ColumnDelimiter.PIPE, "|", LineEnding.LF),
        (ColumnDelimiter.SEMICOLON, ";", LineEnding.CRLF),
        (ColumnDelimiter.CARET, "^", LineEnding.LF),
        (ColumnDelimiter.BACKQUOTE, "`", LineEnding.LF),
    ],
)
def test_a_file_is_uploaded_in_each_form(
    salesforce: Any,
    tmp_path: Path,
    delimiter: ColumnDelimiter,
    character: str,
    ending: LineEnding,
) -> None:
    form = {"column_delimiter": delimiter, "line_ending": ending, "wait": 0}
    file = tmp_path / "leads.csv"
    company = f'Two{character} "quoted" Ünits'
    with file.open("w", newline="") as out:
        writer = csv.writer(out, delimiter=character, lineterminator="\r\n" if ending is LineEnding.CRLF else "\n")
        writer.writerows([["LastName", "Company"], ["Byron", company]])
    (inserted,) = salesforce.bulk2.Lead.insert(csv_file=str(file), **form)
    assert inserted["numberRecordsFailed"] == 0
    (found,) = salesforce.query("SELECT Id, Company FROM Lead")["records"]
    assert found["Company"] == company
    (updated,) = salesforce.bulk2.Lead.update(records=[{"Id": found["Id"], "City": "London"}], **form)
    assert updated["numberRecordsFailed"] == 0
    assert salesforce.Lead.get(found["Id"])["City"] == "London"


@pytest.mark.exercises("SFBulk2Type.upsert", "SFBulk2Type.get_successful_records")
def test_an_upsert_tells_what_it_created(salesforce: Any) -> None:
    salesforce.Lead.create(leads(1)[0])
    (job,) = salesforce.bulk2.Lead.upsert(records=leads(2), external_id_field="Segment_User_Id__c", wait=0)
    made = rows(salesforce.bulk2.Lead.get_successful_records(job["job_id"]))
    assert {row["Segment_User_Id__c"]: row["sf__Created"] for row in made} == {"u-0": "false", "u-1": "true"}


@pytest.mark.exercises("SFBulk2Type.upsert")
def test_an_upsert_by_id_updates(salesforce: Any) -> None:
    made = salesforce.Lead.create(leads(1)[0])
    (job,) = salesforce.bulk2.Lead.upsert(records=[{"Id": made["id"], "City": "London"}], wait=0)
    assert job["numberRecordsFailed"] == 0
    assert salesforce.Lead.get(made["id"])["City"] == "London"


@pytest.mark.exercises("SFBulk2Type.delete", "SFBulk2Type.hard_delete")
def test_deleted_records_go_to_the_recycle_bin_and_hard_deleted_ones_do_not(salesforce: Any) -> None:
    soft, hard = (salesforce.Lead.create(lead)["id"] for lead in leads(2))
    (softly,) = salesforce.bulk2.Lead.delete(records=[{"Id": soft}], wait=0)
    (firmly,) = salesforce.bulk2.Lead.hard_delete(records=[{"Id": hard}], wait=0)
    assert (softly["numberRecordsFailed"], firmly["numberRecordsFailed"]) == (0, 0)
    found = salesforce.query_all("SELECT Id, IsDeleted FROM Lead", include_deleted=True)["records"]
    assert [(record["Id"], record["IsDeleted"]) for record in found] == [(soft, True)]


@pytest.mark.exercises("SFBulk2Type.query", "SFBulk2Type.query_all")
def test_queries_come_in_pages(salesforce: Any) -> None:
    salesforce.bulk2.Lead.insert(records=leads(25), wait=0)
    soql = "SELECT Id, LastName, NumberOfEmployees, IsConverted, CreatedBy.Username FROM Lead"
    pages = list(salesforce.bulk2.Lead.query(soql, max_records=10, wait=0))
    assert [len(rows(page)) for page in pages] == [10, 10, 5]
    first = rows(pages[0])[0]
    assert first.keys() == {"Id", "LastName", "NumberOfEmployees", "IsConverted", "CreatedBy.Username"}
    assert (first["NumberOfEmployees"], first["IsConverted"], first["CreatedBy.Username"]) == (
        "",
        "false",
        "admin@example.com",
    )
    salesforce.Lead.delete(first["Id"])
    assert len(rows("".join(salesforce.bulk2.Lead.query("SELECT Id FROM Lead", wait=0)))) == 24
    assert len(rows("".join(salesforce.bulk2.Lead.query_all("SELECT Id FROM Lead", wait=0)))) == 25


@pytest.mark.exercises("SFBulk2Type.query")
def test_a_query_that_finds_nothing_has_a_header(salesforce: Any) -> None:
    assert list(salesforce.bulk2.Lead.query("SELECT Id, Email FROM Lead", wait=0)) == ['"Id","Email"\n']


@pytest.mark.exercises("SFBulk2Type.download")
def test_a_query_is_downloaded_into_files(salesforce: Any, tmp_path: Path) -> None:
    salesforce.bulk2.Lead.insert(records=leads(5), wait=0)
    parts = salesforce.bulk2.Lead.download("SELECT LastName FROM Lead", str(tmp_path), max_records=3, wait=0)
    assert [part["number_of_records"] for part in parts] == [3, 2]
    names = [row["LastName"] for part in parts for row in rows(Path(part["file"]).read_text())]
    assert sorted(names) == [f"Lead {number}" for number in range(5)]


def test_a_job_that_fails_says_why(salesforce: Any) -> None:
    with pytest.raises(SalesforceOperationError, match="InvalidBatch : Field name not found : Nothing__c"):
        salesforce.bulk2.Lead.insert(records=[{"LastName": "Byron", "Nothing__c": "x"}], wait=0)


def test_a_job_that_is_refused(salesforce: Any) -> None:
    with pytest.raises(SalesforceMalformedRequest, match="External ID"):
        salesforce.bulk2.Lead.upsert(records=leads(1), external_id_field="Company", wait=0)
    with pytest.raises(SalesforceMalformedRequest, match="INVALIDENTITY"):
        salesforce.bulk2.Nothing__c.insert(records=leads(1), wait=0)


@pytest.mark.exercises("SFBulk2Type.get_unprocessed_records")
def test_an_aborted_job_leaves_its_rows_unprocessed(salesforce: Any, salesforce_emulator: Emulator) -> None:
    salesforce_emulator.limits(bulk_delay_s=3_600)
    client = salesforce.bulk2.Lead._client
    job = client.create_job(Operation.insert)
    assert (job["state"], job["contentUrl"]) == ("Open", f"services/data/v59.0/jobs/ingest/{job['id']}/batches")
    client.upload_job_data(job["id"], "LastName,Company\nByron,Engines\n")
    assert client.close_job(job["id"])["state"] == "UploadComplete"
    assert client.abort_job(job["id"], is_query=False)["state"] == "Aborted"
    (left,) = rows(salesforce.bulk2.Lead.get_unprocessed_records(job["id"]))
    assert left == {"LastName": "Byron", "Company": "Engines"}
    assert client.get_job(job["id"], is_query=False)["numberRecordsProcessed"] == 0
