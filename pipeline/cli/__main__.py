"""`python -m pipeline.cli`: the command line of a source tree that is not installed."""

from pipeline.cli import main

main(prog_name="pipeline")
