"""A short run of the fuzzer with a seed that stays, so that what it once found is looked for each time."""

import json
import os
import subprocess
import sys


def test_messages_of_all_kinds_end_in_one_place_each() -> None:
    fuzz = [sys.executable, "-m", "tests.fuzz", "--seed", "14", "--batches", "10"]
    done = subprocess.run(fuzz, env=os.environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["executions"], told["findings"], told["is_over"]) == (800, 0, True)
