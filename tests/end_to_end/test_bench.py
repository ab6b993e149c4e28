"""`pipeline bench` as a user runs it."""

import json
import subprocess
from pathlib import Path
from typing import Any

from pipeline.local import clean_environment, pipeline_command

KEYS = {"events_per_s", "api_calls_per_event", "p50_ms", "p99_ms", "noop_events_per_s", "ratio_to_noop"}
WITHIN_S = 100


def test_a_small_benchmark_ends_with_the_figures_and_leaves_nothing(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    run = subprocess.run(
        pipeline_command("bench", "--events", "300", "--keys", "100", "--probes", "2", "--json"),
        env={**clean_environment(), "TMPDIR": str(temporary)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    assert set(figures) == KEYS
    assert all(value > 0 for value in figures.values())
    assert figures["api_calls_per_event"] <= 0.1
    assert figures["p50_ms"] <= figures["p99_ms"]
    assert list(temporary.iterdir()) == []
