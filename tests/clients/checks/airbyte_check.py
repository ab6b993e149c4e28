import json
import pathlib
import subprocess
import sys
import tempfile

from check import KEY, REFRESH_TOKEN, SECRET, works

FOLDER = pathlib.Path(tempfile.mkdtemp())
SOURCE = pathlib.Path(sys.executable).parent / "source-salesforce"
NAMES = ("Lead", "Task")
CRITERIA = [{"criteria": "exacts", "value": name} for name in NAMES]


def run(command, **told):
    path = FOLDER / "config.json"
    given = {"client_id": KEY, "client_secret": SECRET, "refresh_token": REFRESH_TOKEN, "is_sandbox": False}
    path.write_text(json.dumps({**given, "start_date": "2020-01-01T00:00:00Z", "streams_criteria": CRITERIA, **told}))
    more = ["--catalog", str(FOLDER / "catalog.json")] if command == "read" else []
    done = subprocess.run(
        [SOURCE, command, "--config", str(path), *more], capture_output=True, text=True, timeout=600, check=False
    )
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        raise RuntimeError(str([one for one in messages if one["type"] == "TRACE"])[-800:] or done.stderr[-500:])
    return messages


def read(name, **told):
    streams = next(one["catalog"]["streams"] for one in run("discover", **told) if one["type"] == "CATALOG")
    (stream,) = [one for one in streams if one["name"] == name]
    chosen = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    (FOLDER / "catalog.json").write_text(json.dumps({"streams": [chosen]}))
    records = [one["record"]["data"] for one in run("read", **told) if one["type"] == "RECORD"]
    assert len(records) == COUNTS[name], f"{len(records)} records"


COUNTS = {"Lead": 3, "Task": 2}
with works("check of the connection"):
    status = [one["connectionStatus"]["status"] for one in run("check") if one["type"] == "CONNECTION_STATUS"]
    assert status == ["SUCCEEDED"]
with works("a REST stream"):
    read("Lead")
with works("a bulk stream"):
    read("Task")
with works("a bulk stream without its addresses"):
    read("Lead", force_use_bulk_api=True)
