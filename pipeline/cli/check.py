"""`pipeline check`: destination.yaml held against the org, before any event is."""

import json
import os
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.review.check import Finding
    from pipeline.settings import Settings
    from pipeline.tasks.runtime import Runtime

_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_COLOURS = {"ok": "green", "warning": "yellow", "error": "bold red"}


@click.command(epilog="\b\nExamples:\n  pipeline check\n  pipeline check --json | tail -1 | jq '.findings[] | .found'")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def check(*, is_json: bool) -> None:
    """Hold destination.yaml against the org: objects and fields, what this user may do with them, types.

    Describes the configured objects afresh, which costs one API call and brings the cache that workers use up to date.
    Nothing is written to the org. Exit code 1 if something is wrong, warnings aside.
    """
    from pipeline.cli.org import describes
    from pipeline.review.check import check as held_against
    from pipeline.settings import load_settings
    from pipeline.tasks.runtime import Runtime

    runtime = Runtime(load_settings(os.environ))
    destination = runtime.settings.destination
    described = describes(runtime, destination.objects, is_fresh=True)
    findings = [*held_against(destination, described), *_budget(runtime), *protection(runtime.settings)]
    counted = Counter(finding.verdict for finding in findings)
    if is_json:
        shown = {"ok": not counted["error"], "errors": counted["error"], "warnings": counted["warning"]}
        click.echo(json.dumps({**shown, "findings": [asdict(finding) for finding in findings]}))
    else:
        _show(findings)
        click.echo(f"{counted['ok']} ok, {counted['warning']} warnings, {counted['error']} errors")
    if counted["error"]:
        raise SystemExit(1)


def _budget(runtime: "Runtime") -> "list[Finding]":
    """Tell whether the quota leaves anything to spend; the org has told its limit with the answer to the describe."""
    from pipeline.review.check import Finding

    status = runtime.gate.status()
    if status.limit is None:
        return []
    if status.closed:
        return [Finding("warning", "quota", "", "", status.closed, "events wait until calls are there again")]
    budget = f"{status.budget_left:,} of the org's {status.limit:,} calls in 24 hours are left to the pipeline"
    return [Finding("ok", "quota", "", "", budget)]


def protection(settings: "Settings") -> "list[Finding]":
    """Tell what lies in Redis, or travels to it, in the clear; on this machine alone that is nobody's business."""
    from pipeline.review.check import Finding
    from pipeline.settings.address import Server

    redis = settings.redis
    if isinstance(redis, Server) and (redis.socket or redis.host in _HERE):
        return []
    findings = []
    if not settings.secret_keys:
        clear = "the session lies in Redis in the clear: whoever reads it there can act as the API user"
        findings.append(Finding("warning", "PIPELINE_SECRET_KEY", "", "", clear, "set it: docs/security.md"))
    if redis.tls is None:
        clear = "events and the session travel to Redis in the clear"
        findings.append(Finding("warning", "PIPELINE_REDIS_URL", "", "", clear, "rediss://, or a network of its own"))
    return findings


def _show(findings: "list[Finding]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("", "destination.yaml", "in the org", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for one in findings:
        name = f"{one.object}.{one.field}" if one.field else one.object
        verdict = Text(one.verdict, style=_COLOURS[one.verdict])
        table.add_row(verdict, Text(one.where), Text(name), Text(one.found), Text(one.advice))
    Console().print(table)
