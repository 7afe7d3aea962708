"""The command line, a function per command."""

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.config import STORE, Experiment, load
from pipeline.configurations import DEFAULT
from pipeline.console import StageLines, human_size, plan_table, show_results
from pipeline.dag import STAGES
from pipeline.runner import Runner, run_directly
from stages.errors import DwfError, Interrupted, UsageError, did_you_mean
from stages.store.artifact import FOLDERS, artifact_path, read_latest

app = typer.Typer(
    name="dwf",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Generate complete neural networks by flow matching over trained weights.",
)

File = Annotated[Path, typer.Argument(metavar="CONFIG", help="Configuration: a path, or a name such as iris_mlp.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override, e.g. fit.steps=500.")]
Store = Annotated[Path | None, typer.Option("--store", help="Root of all artifacts (store_root in the file).")]
Data = Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets (or DWF_DATA_ROOT).")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


@app.callback()
def _main(debug: Debug = False) -> None:
    if debug:
        os.environ["DWF_DEBUG"] = "1"


@app.command()
def run(
    config: File = Path(DEFAULT),
    overrides: Set = None,
    store: Store = None,
    data_root: Data = None,
    direct: Annotated[bool, typer.Option("--direct", help="Without Prefect.")] = False,
    debug: Debug = False,
) -> None:
    """Run the whole dag, from the zoo to the report; stages whose artifacts are there are reused."""
    _main(debug)
    experiment = load(config, overrides or (), store, data_root)
    console = _console()
    planned = Runner(experiment).plan()
    with _interruptible(), StageLines(console) as lines:
        if all(step.ref for step in planned):  # nothing to do: no server, no torch
            for step in planned:
                assert step.ref
                lines.done(step.stage, step.ref, reused=True)
        elif direct:
            run_directly(Runner(experiment, lines.watch), lines.done)
        else:
            from pipeline.prefect.launch import run_with_prefect

            console.print("Prefect starts, which takes some seconds; --direct does without it")
            run_with_prefect(config, overrides or [], store, data_root, experiment, lines)
    console.print()
    show_results(console, planned[-1].path)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(metavar="STAGE", help=" | ".join(STAGES))],
    config: File,
    overrides: Set = None,
    store: Store = None,
    data_root: Data = None,
    only: Annotated[bool, typer.Option("--only", help="Fail if an earlier stage is missing.")] = False,
    debug: Debug = False,
) -> None:
    """Run one stage, and the missing ones before it, without a server."""
    _main(debug)
    if name not in STAGES:
        raise UsageError(f"{name!r} is no stage{did_you_mean(name, STAGES)}; expected one of {', '.join(STAGES)}")
    runner = Runner(load(config, overrides or (), store, data_root))
    before = [step for step in runner.plan()[: STAGES.index(name)] if step.ref is None]
    if only and before:
        raise DwfError(f"{name} needs {before[0].stage}, which isn't there ({before[0].why}); run it, or drop --only")
    with _interruptible(), StageLines(_console()) as lines:
        runner.watch = lines.watch
        run_directly(runner, lines.done, name)


@app.command()
def sweep(
    config_and_axes: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG [KEY=V1,V2...]",
            help="A configuration or a sweep, e.g. conf/sweeps/mnist_pca.yaml, and further axes.",
        ),
    ],
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="KEY=V1,V2", help="An axis; more may follow it, or further --grid."),
    ] = None,
    overrides: Set = None,
    store: Store = None,
    data_root: Data = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Stage results made at a time; one per thread by default.")
    ] = None,
    direct: Annotated[bool, typer.Option("--direct", hidden=True)] = False,
    debug: Debug = False,
) -> None:
    """Run the dag for every combination of values, making what they share once; ends with one table and one page."""
    _main(debug)
    from pipeline.sweep.report import sweep as run_sweep

    if direct:
        warnings.warn(
            "sweep --direct has no effect and will be removed: no sweep uses Prefect", FutureWarning, stacklevel=2
        )
    axes = [text for text in config_and_axes if "=" in text]
    files = [Path(text) for text in config_and_axes if "=" not in text]
    if len(files) != 1:
        given = " ".join(config_and_axes)
        raise UsageError(f"expected one configuration and axes such as fit.seed=0,1, found {given!r}")
    with _interruptible():
        run_sweep(files[0], [*(grid or []), *axes], overrides or [], store, data_root, jobs, _console())


@app.command()
def plan(config: File = Path(DEFAULT), overrides: Set = None, store: Store = None, data_root: Data = None) -> None:
    """List the stages: which would be reused, which would run, and why."""
    _console().print(plan_table(Runner(load(config, overrides or (), store, data_root)).plan()))


@app.command()
def init(
    name: Annotated[str | None, typer.Argument(help="A built-in configuration; all are listed without it.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
) -> None:
    """Copy a built-in configuration, comments and all, into the current folder, to be edited and run."""
    from pipeline.init import copy, listing

    if name is None:
        _console().print(listing())
        return
    file, command = copy(name, Path(), replace=force)
    typer.echo(f"{file}: yours to edit; then: {command}")


@app.command()
def show(
    artifact: Annotated[str, typer.Argument(help="A stage (its latest artifact) or a path.")], store: Store = None
) -> None:
    """Print an artifact: lineage, parameters, the tree of arrays with chunks, codecs and statistics."""
    from stages.store.inspect import describe

    for line in describe(_artifact(artifact, store)):
        typer.echo(line)


@app.command()
def verify(
    artifact: Annotated[str, typer.Argument(help="A stage (its latest artifact) or a path.")], store: Store = None
) -> None:
    """Recompute every digest of an artifact; name the files that are changed, truncated, missing or swapped."""
    from stages.store.verify import require_sound

    manifest = require_sound(_artifact(artifact, store))
    size = human_size(sum(facts.size for facts in manifest.files.values()))
    typer.echo(f"{manifest.stage} {manifest.key}: {len(manifest.files)} files, {size}, sound; digest {manifest.digest}")


@app.command()
def export(
    artifact: Annotated[str, typer.Argument(help="A sampled artifact, or `sample` for the latest.")],
    folder: Annotated[Path, typer.Argument(help="Where the .safetensors files go.")],
    store: Store = None,
) -> None:
    """Write each generated network as a .safetensors file that plain torch loads."""
    from stages.artifacts.export import export_networks

    count = export_networks(_artifact(artifact, store), folder)
    typer.echo(f"{count} networks written to {folder}")


@app.command()
def symmetry(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NETWORK...",
            help="Configurations, or models such as timm:vit_tiny_patch16_224, torchvision:resnet50 or "
            "package.module:factory.",
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
    from pipeline.survey import survey_lines
    from pipeline.symmetries import symmetry_table

    console = _console()
    if survey:
        for line in survey_lines(survey, table):
            console.print(line, soft_wrap=True)
        return
    if not networks:
        raise UsageError("symmetry: no network given; name a configuration or a model, or a list with --survey")
    for table_or_note in symmetry_table(networks, shape, groups):
        console.print(table_or_note)


@app.command()
def schema(
    kind: Annotated[
        str, typer.Argument(metavar="[config|figures]", help="Of a configuration, or of figures.json.")
    ] = "config",
) -> None:
    """Print the JSON schema of the configuration, or of figures.json."""
    if kind == "config":
        document = Experiment.model_json_schema()
    elif kind == "figures":
        from stages.evaluation.metrics import figures_schema

        document = figures_schema()
    else:
        raise UsageError(f"schema {kind!r}: expected config or figures")
    typer.echo(json.dumps(document, indent=2))


@app.command()
def up(store: Store = None, port: Annotated[int, typer.Option(help="Port of the local server.")] = 4200) -> None:
    """Start (or find) a local Prefect server and serve the deployment dwf/full until interrupted."""
    from pipeline.prefect.launch import up as serve

    with _interruptible():
        serve(_root(store) / ".prefect", port, typer.echo)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends in one line that says what to do next."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted("stopped; finished work is kept, run the same command to go on") from error


def _root(store: Path | None) -> Path:
    return (store or STORE).absolute()


def _artifact(name: str, store: Path | None) -> Path:
    """The artifact at a path, or the latest of a stage."""
    if name not in FOLDERS:
        path = Path(name)
        if not path.exists():
            names = ", ".join(FOLDERS)
            raise UsageError(f"{name}: neither a path nor one of the stages {names}{did_you_mean(name, FOLDERS)}")
        return path.absolute()
    entries = read_latest(_root(store), name)
    if not entries:
        raise DwfError(f"{name}: no artifact below {_root(store)}; run `dwf stage {name} CONFIG` first")
    return artifact_path(_root(store), name, entries[-1][2])


def _console() -> Console:
    width = None if os.isatty(1) else max(120, shutil.get_terminal_size().columns)
    return Console(width=width, highlight=False)
