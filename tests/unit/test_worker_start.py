"""What a worker does before its pool forks: the processes share what it imported, for good."""

import json
import subprocess
import sys
from pathlib import Path

import pipeline

STARTED = """
import ast, gc, json, sys
from pathlib import Path
from celery.signals import worker_init
from pipeline.app import app

def at_runtime(node):
    for one in ast.iter_child_nodes(node):
        if not (isinstance(one, ast.If) and ast.unparse(one.test) == "TYPE_CHECKING"):
            yield one
            yield from at_runtime(one)

def imported_by(file):
    for one in at_runtime(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(one, ast.Import):
            yield from (alias.name for alias in one.names)
        elif isinstance(one, ast.ImportFrom):
            yield one.module

assert app.Worker
app.loader.import_default_modules()
worker_init.send(sender=None)
looked_at, kept_out = len(gc.get_objects()), gc.get_freeze_count()
loaded = {name: module.__file__ for name, module in sys.modules.items() if name.startswith("pipeline.")}
wanted = {name for file in loaded.values() for name in imported_by(Path(file)) if name.startswith("pipeline.")}
wanted -= {"pipeline.signing"}  # imported where there is a key, with the configuration
print(json.dumps({"later": sorted(wanted - loaded.keys()), "looked_at": looked_at, "kept_out": kept_out}))
"""


def test_a_process_of_the_pool_imports_nothing_at_its_first_message_and_collects_no_garbage_among_imports() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTED],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(pipeline.__file__).parents[1],
        env={},
    )
    told = json.loads(done.stdout)
    assert told["later"] == []
    assert told["looked_at"] < told["kept_out"] / 100
