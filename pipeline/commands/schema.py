"""`dwf schema`: the JSON schemas of what goes in and of what comes out."""

import json
from typing import Annotated

import typer

from pipeline.commands.terminal import Terminal, command
from stages.errors import UsageError


@command
def schema(
    terminal: Terminal,
    kind: Annotated[
        str, typer.Argument(metavar="[config|figures]", help="Of a configuration, or of figures.json.")
    ] = "config",
) -> None:
    """Print the JSON schema of the configuration, or of figures.json."""
    del terminal  # it is JSON whatever is asked for
    if kind == "config":
        from pipeline.config import Experiment

        document = Experiment.model_json_schema()
    elif kind == "figures":
        from stages.evaluation.metrics import figures_schema

        document = figures_schema()
    else:
        raise UsageError(f"schema {kind!r}: expected config or figures")
    typer.echo(json.dumps(document, indent=2))
