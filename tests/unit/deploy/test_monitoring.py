"""The alerts and the dashboard, held against the figures that are served and the runbook that they lead to."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipeline.metrics.families import Figures, about, families
from pipeline.metrics.snapshot import Snapshot
from pipeline.salesforce.quota import QuotaStatus

ROOT = Path(__file__).resolve().parents[3]
PROMETHEUS = ROOT / "deploy" / "prometheus"
NO_METRICS_OF_OURS = {"up"}
PROMTOOL = shutil.which("promtool")


def served() -> set[str]:
    """Return every name that can stand in a query: families with the endings of their kind."""
    empty = Snapshot(
        at_s=100.0,
        events={},
        objects={},
        left_out={},
        rejected=0,
        totals={},
        session_issued_s=1.0,
        beat_s=1.0,
        workers={},
    )
    figures = Figures(snapshot=empty, quota=QuotaStatus(1, 0, 1, 1, 0, ""))
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"], "gauge": [""]}
    found = [*about(is_redis_there=True), *families(figures)]
    return {family.name + ending for family in found for ending in endings[family.type]}


def names_in(query: str) -> set[str]:
    """Return what a query asks for, as its functions and labels do not begin like a figure of ours."""
    return set(re.findall(r"\bpipeline_\w+|\bup\b", re.sub(r'"[^"]*"', "", query)))


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries_of_the_dashboard() -> Iterator[str]:
    board = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_alerts_ask_only_for_figures_that_are_served() -> None:
    for rule in rules():
        asked = names_in(rule["expr"])
        assert asked, rule
        assert asked <= served() | NO_METRICS_OF_OURS, rule


def test_the_dashboard_asks_only_for_figures_that_are_served() -> None:
    queries = list(queries_of_the_dashboard())
    assert len(queries) > 20
    for query in queries:
        assert names_in(query), query
        assert names_in(query) <= served(), query


def test_every_alert_has_a_runbook_and_every_figure_is_documented() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in re.findall(r"^### (.*)$", text, re.MULTILINE)
    }
    anchors = [rule["annotations"]["runbook"].removeprefix("docs/operations.md#") for rule in rules()]
    assert sorted(anchors) == sorted(headings)
    assert all(f"`{rule['alert']}`" in text for rule in rules())
    table = text.partition("| metric |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`(pipeline_\w+)`", table))
    told |= {f"pipeline_quota{ending}" for ending in re.findall(r"`(_\w+_calls)`", table)}
    known = {re.sub(r"_(bucket|sum|count)$", "", name) for name in served()}
    assert told == known


def test_every_alert_is_tested_for_its_silence_and_for_its_noise() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    names = sorted(rule["alert"] for rule in rules())
    for case in tests[:2]:
        assert sorted(one["alertname"] for one in case["alert_rule_test"]) == names
    asked = [names_in(series["series"]) for case in tests for series in case["input_series"]]
    assert set().union(*asked) <= served() | NO_METRICS_OF_OURS


def test_the_alerts_fire_when_they_should() -> None:
    if PROMTOOL is None:  # what needs no promtool is held by the tests above
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
        assert config["rule_files"] == ["alerts.yml"]
        return
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        ran = subprocess.run([PROMTOOL, *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
