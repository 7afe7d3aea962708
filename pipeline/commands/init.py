"""`dwf init`: a built-in configuration as a file of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.terminal import Terminal, command
from pipeline.configurations import names


def complete_name(incomplete: str) -> list[str]:
    """Names of built-in configurations."""
    return [name for name in names() if name.startswith(incomplete)]


@command
def init(
    terminal: Terminal,
    name: Annotated[
        str | None,
        typer.Argument(help="A built-in configuration; all are listed without it.", autocompletion=complete_name),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
) -> None:
    """Copy a built-in configuration, comments and all, into the current folder, to be edited and run."""
    from pipeline.init import about, copy, listing

    if name is None:
        terminal.say(listing())
        terminal.give({name: about(name) for name in names()}, names())
        return
    file, then = copy(name, Path(), replace=force)
    terminal.say(f"{file}: yours to edit; then: {then}")
    terminal.give({"file": file.absolute(), "then": then}, [file])
