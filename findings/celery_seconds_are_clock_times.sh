#!/bin/sh
# Celery: `expires=900` and `countdown=2` are seconds in the call and clock times in the message.
#
# Package: celery 5.7.0 (with kombu), from the package index. Broker: kombu's own filesystem transport, no server.
# Input: one task, sent with expires=900, and one with countdown=2, from a machine whose clock is an hour behind that of
# the worker's machine. Both options are documented as a number of seconds.
# Seen: the first is revoked as it arrives ("Discarding revoked task"), and never runs. The second runs at once. With the
# clocks the other way round, the first would live for 75 minutes, and the second run after an hour.
# Consequence: such options need clocks that agree. A periodic task with `expires` is lost for good on a worker whose
# clock is ahead of beat's.
#
# Ends with 0 while that is so, with 1 when it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check celery==5.7.0 setuptools
cd "$folder"
mkdir queue processed control sender
cat > tasks.py <<'PYTHON'
import os, time
from celery import Celery
app = Celery("tasks", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": "queue", "data_folder_out": "queue", "processed_folder": "processed",
        "control_folder": "control",
    },
    task_ignore_result=True,
)

@app.task
def note(name):
    with open("ran", "a") as file:
        file.write(f"{name} {time.monotonic()}\n")
PYTHON
cat > sender/sitecustomize.py <<'PYTHON'
import datetime, time
former, Datetime = time.time, datetime.datetime
time.time = lambda: former() - 3600
class Shifted(Datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
datetime.datetime = Shifted
PYTHON
cat > send.py <<'PYTHON'
from tasks import note
note.apply_async(("expires=900",), expires=900)
note.apply_async(("countdown=2",), countdown=2)
note.apply_async(("plain",))
PYTHON
PYTHONPATH=sender "$folder/venv/bin/python" send.py
"$folder/venv/bin/celery" --app tasks worker --pool solo --loglevel info --without-gossip --without-mingle > worker.log 2>&1 &
worker=$!
tries=0
until grep -q plain ran 2>/dev/null && grep -q countdown ran 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || break
    sleep 0.5
done
kill "$worker"
wait "$worker" || true
echo "celery $("$folder/venv/bin/python" -c 'import celery; print(celery.__version__)')"
cat ran
grep -i "revoked" worker.log || true
if grep -q "expires=900" ran || ! grep -q "countdown=2" ran || ! grep -qi "revoked" worker.log; then
    echo "this has changed" >&2
    exit 1
fi
