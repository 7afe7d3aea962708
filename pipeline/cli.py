"""The command line: the commands of `pipeline.commands`, and the options that come before them."""

from typing import Annotated

import typer

from pipeline.commands import artifacts, audit, diff, gc, init, repair, reports, runs, schema, serve, sweep, symmetry
from pipeline.commands.terminal import Debug, Json, Quiet, show_tracebacks
from stages.errors import UsageError

app = typer.Typer(
    name="dwf",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Generate complete neural networks by flow matching over trained weights.",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"dwf {version('dwf')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep what stands before a command for it; help if there is none."""
    del version
    if context.invoked_subcommand is None and json:
        raise UsageError("no command is given (`dwf --help`)")
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    context.obj = {"json": json, "quiet": quiet}
    if debug:
        show_tracebacks()


RUN, RESULTS, TOOLS = "Run", "Results", "Tools"
"""Headings of `dwf --help`."""
for function in (init.init, runs.run, runs.stage, sweep.sweep, runs.plan, audit.audit, audit.compare, serve.up):
    app.command(rich_help_panel=RUN)(function)
app.command("open", rich_help_panel=RESULTS)(reports.open_report)
for function in (artifacts.ls, diff.diff, artifacts.show, artifacts.verify, artifacts.export):
    app.command(rich_help_panel=RESULTS)(function)
for function in (repair.repair, gc.gc, symmetry.symmetry, schema.schema):
    app.command(rich_help_panel=TOOLS)(function)
