"""The command line: the commands of `pipeline.commands`, and the options that come before them."""

from typing import Annotated

import typer

from pipeline.commands import artifacts, diff, reports, runs, schema, serve, sweep, symmetry
from pipeline.commands.terminal import Debug, Json, Quiet, show_tracebacks

app = typer.Typer(
    name="dwf",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
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
    """Keep what stands before a command for it."""
    del version
    context.obj = {"json": json, "quiet": quiet}
    if debug:
        show_tracebacks()


app.command()(runs.run)
app.command()(runs.stage)
app.command()(sweep.sweep)
app.command()(runs.plan)
app.command()(artifacts.ls)
app.command("open")(reports.open_report)
app.command()(diff.diff)
app.command()(artifacts.show)
app.command()(artifacts.verify)
app.command()(artifacts.export)
app.command()(symmetry.symmetry)
app.command()(schema.schema)
app.command()(serve.up)
