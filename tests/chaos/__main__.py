"""`make chaos SEED=n`: one long run, its figures as JSON on the last line; exit code 1 unless all is well."""

import argparse
import json
import random
import sys

from tests.chaos.run import run


def main() -> int:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="makes a run's events, faults and kills repeatable")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--keys", type=int, default=2_000)
    parser.add_argument("--pace", type=float, default=250.0, help="events sent in a second")
    parser.add_argument("--kill-every", type=float, default=3.0, metavar="SECONDS", help="on average")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10_000) if given.seed is None else given.seed
    result = run(given.events, given.keys, seed, pace=given.pace, kill_every_s=given.kill_every)
    sys.stdout.write(json.dumps(result.as_json()) + "\n")
    return 0 if result.verdict.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
