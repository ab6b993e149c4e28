"""The Salesforce CLI, run as its users run it; it needs Node.js 22, which comes with it."""

import csv
import json
import os
import pathlib
import subprocess
import tempfile

from check import TOKEN, URL, works

FOLDER = pathlib.Path(tempfile.mkdtemp())
MODULES = pathlib.Path(os.environ["CLIENT_FOLDER"]) / "node_modules"
COMMAND = [str(MODULES / ".bin" / "node"), str(MODULES / "@salesforce" / "cli" / "bin" / "run.js")]
QUIET = {"SF_DISABLE_TELEMETRY": "true", "SF_AUTOUPDATE_DISABLE": "true", "SF_USE_GENERIC_UNIX_KEYCHAIN": "true"}
ENVIRONMENT = {**os.environ, **QUIET, "HOME": str(FOLDER), "SF_ACCESS_TOKEN": TOKEN, "NODE_NO_WARNINGS": "1"}


def sf(*arguments, shows_json=True):
    command = [*COMMAND, *arguments, *(["--json"] if shows_json else [])]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=ENVIRONMENT, cwd=FOLDER
    )
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-600:])
    return json.loads(done.stdout)["result"] if shows_json else done.stdout


with works("login by access token"):
    told = sf("org", "login", "access-token", "--instance-url", URL, "--no-prompt", "--set-default", "--alias", "org")
    assert told["username"] == "admin@example.com"
with works("rows"):
    sf("data", "create", "record", "-o", "org", "-s", "Campaign", "-v", "Name=Spring")
    sf("data", "update", "record", "-o", "org", "-s", "Campaign", "-w", "Name=Spring", "-v", "Status=Aborted")
with works("query as a table and as CSV"):
    assert "Spring" in sf("data", "query", "-o", "org", "-q", "SELECT Name, Owner.Name FROM Campaign", shows_json=False)
    text = sf(
        "data",
        "query",
        "-o",
        "org",
        "-q",
        "SELECT COUNT(Id), Name FROM Campaign GROUP BY Name",
        "-r",
        "csv",
        shows_json=False,
    )
    assert text.splitlines()[1:] == ["1,Spring"], repr(text)
with works("query of the Tooling API"):
    assert sf("data", "query", "-o", "org", "-t", "-q", "SELECT Id, Name FROM ApexClass")["totalSize"] == 0
with works("import and export in bulk"):
    (FOLDER / "in.csv").write_text("Name\n" + "".join(f"c{number}\n" for number in range(30)))
    sf("data", "import", "bulk", "-o", "org", "-s", "Campaign", "-f", "in.csv", "--wait", "5")
    query = "SELECT Id, Name FROM Campaign WHERE Name LIKE 'c%'"
    sf("data", "export", "bulk", "-o", "org", "-q", query, "--output-file", "out.csv", "--wait", "5")
    with (FOLDER / "out.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 30
with works("describes and limits"):
    assert sf("sobject", "describe", "-o", "org", "-s", "Lead")["keyPrefix"] == "00Q"
    assert "Lead" in sf("sobject", "list", "-o", "org")
    assert sf("limits", "api", "display", "-o", "org")
