"""LogScreen: what several services say, in one terminal, each line under the name of who said it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.local import LogReader, Service

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_blue")
_WIDTH = len("emulator")  # the longest name there is


class LogScreen:
    """Prints lines that begin with a service's name, in a colour of its own where the console has colours."""

    def __init__(self, console: "Console") -> None:
        self.console = console
        self._colours: dict[str, str] = {}
        self._readers: list[tuple[str, LogReader]] = []

    def say(self, name: str, words: str, style: str = "bold") -> None:
        """Print a line about a service."""
        from rich.text import Text

        colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
        line = Text.assemble((f"{name:<{_WIDTH}} │ ", colour), (words, style))
        self.console.print(line, soft_wrap=True)

    def follow(self, services: "Iterable[Service]") -> None:
        """Show from now on what services write to their logs."""
        from pipeline.local import LogReader

        self._readers = [(service.name, LogReader(service.log)) for service in services]

    def show_new(self) -> None:
        """Print the lines that were written since the last time."""
        for name, reader in self._readers:
            for line in filter(None, reader.lines()):
                self.say(name, line, "")
