import json

import pytest
from click.testing import CliRunner

import pipeline.cli.demo
from pipeline.cli import main
from pipeline.cli.demo import Result
from pipeline.cli.demo_expectation import Verdict


def result(*, duplicates: int = 0, lost: int = 0, unexpected: int = 0, lost_events: int = 0) -> Result:
    return Result(
        outcomes={"accepted": 6, "skipped": 3, "rejected": 1},
        verdict=Verdict({"Lead": 4, "Account": 1}, duplicates, lost, unexpected),
        writes=6,
        dead=2,
        refused=0,
        lost_events=lost_events,
        api_calls=3,
        seconds=1.234,
    )


def run(shown: Result, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(pipeline.cli.demo, "_run", lambda *_: shown)
    ran = CliRunner().invoke(main, ["demo", *arguments])
    return ran.exit_code, ran.output


def test_the_json_has_the_names_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    exit_code, output = run(result(), monkeypatch, "--json")
    assert exit_code == 0
    assert json.loads(output.splitlines()[-1]) == {
        "events": 10,
        "accepted": 6,
        "skipped": 3,
        "rejected": 1,
        "records": {"Lead": 4, "Account": 1},
        "duplicates": 0,
        "api_calls": 3,
        "api_calls_per_event": 0.3,
        "seconds": 1.23,
    }


def test_the_table_sets_the_calls_beside_two_for_every_write(monkeypatch: pytest.MonkeyPatch) -> None:
    exit_code, output = run(result(), monkeypatch)
    assert exit_code == 0
    for words in (
        "4 │ Lead records",
        "0 │ duplicates",
        "3 │ API calls used",
        "12 │ API calls at two",
        "1 │ refused by",
    ):
        assert words in output, output


@pytest.mark.parametrize("flaw", ["duplicates", "lost", "unexpected", "lost_events"])
def test_whatever_was_lost_or_duplicated_is_a_failure(flaw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in ([], ["--json"]):
        exit_code, output = run(result(**{flaw: 1}), monkeypatch, *arguments)
        assert exit_code == 1
        assert "Error: " in output


def test_a_missing_events_file_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["demo", "--events", "no-such-file"]).exit_code == 2
