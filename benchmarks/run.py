"""Run every scenario and write docs/benchmarks.md with its plots: `python benchmarks/run.py`, or `make bench`.

`--full` takes most of an hour and works off a million events; without it everything is smaller. `--runs N` measures the
targets N times more, for their noise. `--only NAME` runs the scenarios whose name contains it and prints the page
without writing it.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this file is run by its path

from benchmarks.report import document, plots  # noqa: E402  (after the path)
from benchmarks.scenarios import FULL, QUICK, REPEATED, TARGETED, run_all  # noqa: E402
from pipeline.bench.measure import machine  # noqa: E402


def main() -> None:
    """Measure, and write or print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="everything in full size")
    parser.add_argument("--runs", type=int, default=0, metavar="N", help="measure the targets N times more")
    parser.add_argument("--only", default="", help="a part of a scenario's name")
    arguments = parser.parse_args()

    def say(name: str) -> None:
        print(f"{name} ...", file=sys.stderr)

    size = FULL if arguments.full else QUICK
    results = run_all(size, say, arguments.only)
    again = replace(REPEATED, large=size.large)
    repeats = [run_all(again, say, arguments.only, TARGETED) for _ in range(arguments.runs)]
    command = "make bench" + (" FULL=1" if arguments.full else "")
    command += f" RUNS={arguments.runs}" if arguments.runs else ""
    page = document(results, repeats, machine=machine(), command=command)
    if arguments.only:
        print(page)
        return
    docs = ROOT / "docs"
    (docs / "images").mkdir(exist_ok=True)
    for name, _, picture in plots(results):
        (docs / "images" / f"{name}.svg").write_text(picture, encoding="utf-8")
    (docs / "benchmarks.md").write_text(page.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
