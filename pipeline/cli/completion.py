"""`pipeline completion`: the script that makes a shell complete this command line."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_PIPELINE_COMPLETE"  # the one click asks for, by the name of the program


@click.command(
    epilog="\b\nExamples:\n"
    "  pipeline completion bash > ~/.local/share/bash-completion/completions/pipeline\n"
    '  eval "$(pipeline completion zsh)"    # in ~/.zshrc\n'
    "  pipeline completion fish > ~/.config/fish/completions/pipeline.fish"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and file names of `pipeline`."""
    from pipeline.cli import main

    kind = get_completion_class(shell)
    assert kind is not None
    # Not `source_complete`, which asks for the version of a bash that need not be on this machine.
    script = kind(main, {}, "pipeline", _VARIABLE)
    click.echo(script.source_template % script.source_vars())
