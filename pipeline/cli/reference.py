"""`python -m pipeline.cli.reference`: the commands' own help as a page, below the line in docs/commands.md."""

from collections.abc import Iterator
from pathlib import Path

import click

from pipeline.cli import main

HEADING = "## Every command"
_WIDTH = 100


def commands() -> Iterator[click.Context]:
    """Return every command there is, the whole line, groups and what is in them, as contexts to ask for help."""
    yield from _below(click.Context(main, info_name="pipeline", terminal_width=_WIDTH, **main.context_settings))


def markdown() -> str:
    """Return the help of every command, each under its name."""
    parts = [HEADING]
    parts += [f"### {context.command_path}\n\n```text\n{context.get_help()}\n```" for context in commands()]
    return "\n\n".join(parts) + "\n"


def _below(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            yield from _below(click.Context(command, parent=context, info_name=name, terminal_width=_WIDTH))


if __name__ == "__main__":
    page = Path("docs/commands.md")
    head = page.read_text(encoding="utf-8").partition(HEADING)[0]
    page.write_text(head + markdown(), encoding="utf-8")
