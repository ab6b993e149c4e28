"""Settings that are not ours do not win: docs/deployment.md's table, row by row, and the sample with all of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings.variables import FOREIGN, OURS, is_foreign, names_an_org, unknown, without_foreign
from tests.hostile.environment import ROOT, run, table

ROWS = [pytest.param(name, value, said, id=name) for row, said in table() for name, value in row.items()]
READ_BY_OTHERS = ("NETRC", "PYTHONWARNINGS")  # met in another way than by leaving them out


@pytest.mark.parametrize(("name", "value", "said"), ROWS)
def test_a_variable_reaches_our_libraries_only_where_the_table_says_so(name: str, value: str, said: str) -> None:
    is_left_out = said.startswith("not read") and name not in READ_BY_OTHERS
    assert is_foreign(name, value) is is_left_out
    assert (name in without_foreign({name: value})) is not is_left_out
    assert unknown({name: value}) == []
    assert not names_an_org({name: value})


def test_every_variable_that_is_left_out_has_its_place_in_the_table() -> None:
    told = {name for row, _ in table() for name in row}
    assert len(told) > 70
    for name in FOREIGN:
        assert any(one.startswith(name.rstrip("*")) for one in told), name


@pytest.mark.timeout(300)  # two whole systems, one after the other
def test_the_sample_ends_with_all_of_them_as_without(tmp_path: Path) -> None:
    hostile = {name: value for row, _ in table() for name, value in row.items()}
    assert run(hostile, tmp_path / "hostile") == run({}, tmp_path / "without")


PRODUCER = """
import os, sys
before = dict(os.environ)
from pipeline import app, send_event
conf = app.conf
urls = {conf.broker_url, conf.broker_read_url, conf.broker_write_url}
urls |= {one.as_uri() for one in (app.connection(), app.connection_for_read(), app.connection_for_write())}
print(sorted(urls), conf.result_backend, app.backend.__class__.__name__, type(app.loader).__name__)
print(dict(os.environ) == before, "django.conf" in sys.modules)
"""


def test_a_program_that_sends_has_its_own_settings_and_we_have_ours() -> None:
    rows = [row for row, said in table() if said.startswith("not read") and "commands" not in said]
    hostile = {name: value for row in rows for name, value in row.items()}
    env = {**hostile, "PIPELINE_REDIS_URL": "redis://127.0.0.1:1234/5"}
    command = [sys.executable, "-c", PRODUCER]
    ran = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    settings, untouched = ran.stdout.splitlines()
    assert settings == "['redis://127.0.0.1:1234/5', 'redis://:**@127.0.0.1:1234/5'] disabled DisabledBackend AppLoader"
    assert untouched == "True False"


def test_every_variable_of_ours_is_in_the_table_and_is_read_somewhere() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    rows = text.partition("| variable | default | who needs it | says |")[2].partition("\n\n")[0]
    told = re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)
    assert sorted(told) == sorted(OURS)
    sources = [file for file in (ROOT / "pipeline").rglob("*.py") if file.name not in {"variables.py", "opt_in.py"}]
    read = set(
        re.findall(r'"((?:PIPELINE|SALESFORCE)_[A-Z_]+|FLOWER_BASIC_AUTH)"', "".join(map(Path.read_text, sources)))
    )
    assert {name for name in read if not name.endswith("_")} - {"SALESFORCE_PRIVATE_KEY"} == OURS


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "PIPELINE_REDIS_ULR",
            "PIPELINE_REDIS_ULR is no variable of the pipeline and is not read; did you mean PIPELINE_REDIS_URL?",
        ),
        ("PIPELINE_WORKSPACE", "PIPELINE_WORKSPACE is no variable of the pipeline and is not read"),
        ("SALESFORCE_CONSUMER_KEI", "did you mean SALESFORCE_CONSUMER_KEY?"),
        ("SALESFORCE_CONSUMER_SECRET_FILE", ""),
        ("PIPELINE_REDIS_SERVICE_HOST", ""),
        ("SALESFORCE_API_VERSION", ""),
    ],
)
def test_a_name_that_is_nearly_ours_is_told(name: str, said: str) -> None:
    (*told,) = unknown({name: "x", "HOME": "/"})
    assert said in "".join(told)
    assert bool(told) is bool(said)
