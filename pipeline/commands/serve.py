"""`dwf up`: a local Prefect server with the deployment."""

from typing import Annotated

import typer

from pipeline.commands.options import Store, store_root
from pipeline.commands.terminal import Terminal, command, interruptible


@command
def up(
    terminal: Terminal,
    store: Store = None,
    port: Annotated[int, typer.Option(help="Port of the local server.")] = 4200,
) -> None:
    """Start (or find) a local Prefect server and serve the deployment dwf/full until interrupted."""
    from pipeline.prefect.launch import up as serve

    def ready(text: str) -> None:
        terminal.say(text)
        terminal.give({"ready": text})

    terminal.say("Prefect's server is looked for, or started, which takes some seconds")
    with interruptible():
        serve(store_root(store) / ".prefect", port, ready)
