#!/bin/sh
# celery[redis]==5.4.0, installed today, cannot connect to Redis: it brings kombu 5.7, whose Redis transport needs the
# module `packaging` and redis-py 6.1 or newer. Both are in kombu's own extra `redis`, which that Celery does not ask
# for: it asks for redis-py below 6. So who wants Celery 5.4 with Redis installs celery and kombu[redis].
# Seen with celery 5.4.0, kombu 5.7.0, redis-py 5.3.1: "No module named 'packaging'", and then a VersionMismatch.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'celery[redis]==5.4.0' 'kombu==5.7.0'
"$folder/venv/bin/python" -m pip list --disable-pip-version-check | grep -E '^(celery|kombu|redis|packaging) ' || true
connect='from kombu import Connection
try:
    Connection("redis://127.0.0.1:6379/0").default_channel
except BaseException as error:
    print(type(error).__name__, error)'
first=$("$folder/venv/bin/python" -c "$connect")
echo "as installed: $first"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check packaging
second=$("$folder/venv/bin/python" -c "$connect")
echo "with packaging: $second"
case "$first" in *"No module named 'packaging'"*) ;; *) echo "changed"; exit 1 ;; esac
case "$second" in *VersionMismatch*) ;; *) echo "changed"; exit 1 ;; esac
