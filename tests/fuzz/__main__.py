"""`make fuzz MINUTES=60 SEED=1`: messages of all kinds on the queue of a real worker; exit code 1 for a finding.

A finding is a worker that has stopped, a valid event that was not taken in, an event that has ended nowhere or twice,
or one that came out as another. The messages of a finding are printed in base64.
"""

import argparse
import base64
import json
import random
import sys
import time
from importlib.resources import files

from tests.fuzz.messages import Maker
from tests.fuzz.reader import Reader, reading

BATCH = 80
_WATCHED_EVERY = 4  # batches; to watch which lines run makes a worker four times slower
_REPORT_EVERY_S = 60.0
_MOST_KEPT = 20_000


def main() -> int:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--batches", type=int, default=None, help=f"end after so many of {BATCH} messages")
    parser.add_argument("--seed", type=int, default=None, help="makes a run repeatable")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10_000) if given.seed is None else given.seed
    with reading() as reader:
        found = fuzz(reader, seed, seconds=60 * given.minutes, batches=given.batches)
    return 1 if found else 0


def fuzz(reader: Reader, seed: int, *, seconds: float, batches: int | None) -> list[str]:
    """Fuzz for so many seconds, or batches; returns the findings."""
    lines = files("pipeline.data").joinpath("sdk_events.jsonl").read_text("utf-8").splitlines()
    maker = Maker(seed, [json.loads(line) for line in lines[:200]])
    corpus: list[bytes] = []
    findings: list[str] = []
    begun = told = time.monotonic()
    done = executions = 0
    while done < batches if batches is not None else time.monotonic() - begun < seconds:
        batch = [maker.odd(corpus) if number % 4 else maker.good() for number in range(BATCH)]
        known, reader.is_watched = len(reader.edges), done % _WATCHED_EVERY == 0
        wrong = reader.take(batch)
        done, executions = done + 1, executions + len(batch)
        if len(reader.edges) > known and len(corpus) < _MOST_KEPT:
            corpus += [sent.raw for sent in batch if not sent.is_good]
        for what, raw in wrong:
            findings.append(what)
            say(finding=what, seed=seed, batch=done, message=base64.b64encode(raw).decode())
        if any(what.startswith("stuck") for what, _ in wrong):
            break
        is_over = done == batches if batches is not None else time.monotonic() - begun >= seconds
        if is_over or time.monotonic() - told > _REPORT_EVERY_S:
            told = time.monotonic()
            figures = {"executions": executions, "corpus": len(corpus), "edges": len(reader.edges)}
            say(seconds=round(told - begun), seed=seed, **figures, findings=len(findings), is_over=is_over)
    return findings


def say(**figures: object) -> None:
    """Print figures as a line of JSON."""
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
