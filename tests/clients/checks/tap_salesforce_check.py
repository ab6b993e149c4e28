import json
import pathlib
import subprocess
import sys
import tempfile

from check import KEY, REFRESH_TOKEN, SECRET, works

FOLDER = pathlib.Path(tempfile.mkdtemp())
TAP = pathlib.Path(sys.executable).parent / "tap-salesforce"


def config(api):
    path = FOLDER / f"{api}.json"
    told = {"refresh_token": REFRESH_TOKEN, "client_id": KEY, "client_secret": SECRET, "api_type": api}
    told |= {"start_date": "2020-01-01T00:00:00Z", "select_fields_by_default": "true"}
    path.write_text(json.dumps(told))
    return str(path)


def run(*arguments):
    done = subprocess.run([TAP, *arguments], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    return done.stdout


def sync(api, name):
    catalog = json.loads(run("--config", config(api), "--discover"))
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] == []:
                entry["metadata"]["selected"] = stream["tap_stream_id"] == name
    path = FOLDER / "catalog.json"
    path.write_text(json.dumps(catalog))
    out = run("--config", config(api), "--properties", str(path))
    records = [json.loads(line) for line in out.splitlines() if '"RECORD"' in line]
    assert records, out
    assert {one["stream"] for one in records} == {name}


with works("discovery"):
    assert '"Lead"' in run("--config", config("REST"), "--discover")
with works("sync by REST"):
    sync("REST", "Lead")
with works("sync by Bulk API 1.0"):
    sync("BULK", "Lead")
