"""`dwf symmetry`: which units of a network can be relabelled."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import complete_configuration, trusts
from pipeline.commands.terminal import Terminal, command
from stages.errors import UsageError


@command
@trusts
def symmetry(
    terminal: Terminal,
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NETWORK...",
            help="Configurations, or models such as timm:vit_tiny_patch16_224, torchvision:resnet50 or "
            "package.module:factory.",
            autocompletion=complete_configuration,
        ),
    ] = None,
    shape: Annotated[str, typer.Option("--input", help="Shape of a model's input, without the batch.")] = "3,224,224",
    groups: Annotated[bool, typer.Option("--groups", help="List every group.")] = False,
    survey: Annotated[
        Path | None, typer.Option("--survey", help="A list of networks, each `model` and `input`, checked anew.")
    ] = None,
    table: Annotated[Path | None, typer.Option("--csv", help="Where the survey's rows go, one by one.")] = None,
) -> None:
    """Derive and check the permutation symmetry of networks: which units can be relabelled, and which can't and why."""
    if not (networks or survey):
        raise UsageError("symmetry: no network given; name a configuration or a model, or a list with --survey")
    with terminal.busy("loading torch"):
        from pipeline.survey import COLUMNS, enough, surveyed_networks
        from pipeline.symmetries import coverages, symmetry_tables
    if survey:
        touched, rows = [], []
        for surveyed in surveyed_networks(survey, table):
            touched.append(surveyed.touched)
            rows.append(dict(zip(COLUMNS, surveyed.row(), strict=True)))
            terminal.say("  ".join(surveyed.row()))
        terminal.say(enough(touched))
        terminal.give(rows, [row[COLUMNS[0]] for row in rows])
        return
    with terminal.busy("deriving and checking symmetries"):
        found = coverages(networks or [], shape)
    terminal.say(*symmetry_tables(found, groups))
    terminal.give([coverage.facts(name) for name, coverage in found.items()], list(found))
