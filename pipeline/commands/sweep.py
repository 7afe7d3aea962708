"""`dwf sweep`: many configurations through the dag, what they share made once."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.options import (
    Data,
    Device,
    DryRun,
    Force,
    Set,
    Store,
    Threads,
    complete_configuration,
    trusts,
    with_hardware,
)
from pipeline.commands.runs import check_needs
from pipeline.commands.terminal import Terminal, command, interruptible
from pipeline.dag import STAGES
from stages.errors import DwfError, UsageError

if TYPE_CHECKING:
    from pipeline.sweep.points import Point
    from pipeline.sweep.spec import Sweep


@command
@trusts
def sweep(
    terminal: Terminal,
    config_and_axes: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG [KEY=V1,V2...]",
            help="A configuration or a sweep, e.g. conf/sweeps/mnist_pca.yaml, and further axes.",
            autocompletion=complete_configuration,
        ),
    ],
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="KEY=V1,V2", help="An axis; more may follow it, or further --grid."),
    ] = None,
    overrides: Set = None,
    store: Store = None,
    data_root: Data = None,
    device: Device = None,
    threads: Threads = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Stage results made at a time; one per thread by default.")
    ] = None,
    force: Force = False,
    dry_run: DryRun = False,
    direct: Annotated[bool, typer.Option("--direct", hidden=True)] = False,
) -> None:
    """Run the dag for every combination of values, making what they share once; ends with one table and one page."""
    if direct:
        warnings.warn(
            "sweep --direct has no effect and will be removed: no sweep uses Prefect", FutureWarning, stacklevel=2
        )
    axes = [text for text in config_and_axes if "=" in text]
    files = [Path(text) for text in config_and_axes if "=" not in text]
    if len(files) != 1:
        given = " ".join(config_and_axes)
        raise UsageError(f"expected one configuration and axes such as fit.seed=0,1, found {given!r}")
    overrides = with_hardware(overrides, device, threads)
    with terminal.busy(f"reading {files[0]} and computing the keys of every point"):
        from pipeline.sweep.points import points_of
        from pipeline.sweep.spec import read_sweep

        described = read_sweep(files[0], [*(grid or []), *axes])
        points = points_of(described, overrides, store, data_root)
    if dry_run:
        _list(terminal, points)
    else:
        from pipeline.sweep.points import needs_of

        check_needs(terminal, needs_of(points), points[0].experiment.store_root, force=force)
        with interruptible():
            run_all(terminal, described, points, overrides, jobs)


def run_all(
    terminal: Terminal, described: "Sweep", points: "Sequence[Point]", overrides: list[str], jobs: int | None
) -> None:
    """Run all points, say what came of them and write their page.

    Raises DwfError at the end if points failed; the others are done by then.
    """
    from pipeline.stage_progress import State
    from pipeline.sweep.generators import figures_of, of_generators, verdict_table
    from pipeline.sweep.report import sweep_results, sweep_table, tell_loggers, write_sweep
    from pipeline.sweep.run import run_points

    terminal.say(f"{described.name}: {len(points)} points, below {points[0].experiment.store_root}")
    with terminal.lines() as lines:
        begun: set[str] = set()

        def watch(stage: str, share: float, note: str) -> None:
            if share == 1:
                lines.end(stage, note, State.DONE if stage in begun else State.REUSED)
            else:
                begun.add(stage)
                lines.watch(stage, share, note)

        results = run_points(points, jobs or min(len(points), points[0].experiment.threads), watch)
    terminal.say(results.count(points))
    tell_loggers(points, results)
    swept = sweep_results(described, points, results, overrides)
    failed = [f"{point.label}: {why}" for point in points if (why := results.failure(point))]
    page = None
    if len(failed) < len(points):
        generators = figures_of(points, results) if of_generators(points) else None
        with terminal.busy("drawing the page of all points"):
            page = write_sweep(points[0].experiment.store_root, swept, generators) / "report.html"
        verdicts = ["", verdict_table(generators)] if generators else []
        terminal.say("", sweep_table(swept, terminal.console.width), *verdicts, "", f"Report: {page}")
    terminal.say(*(f"failed  {line}" for line in failed))
    if terminal.json:
        terminal.give({"report": page, "sweep": swept})
        raise typer.Exit(1 if failed else 0)
    terminal.give({}, [page] if page else [])
    if failed:
        raise DwfError(
            f"{len(failed)} of {len(points)} points failed, the first with {failed[0]}; "
            "the same command tries them again and keeps what is there"
        )


def _list(terminal: Terminal, points: "Sequence[Point]") -> None:
    """How many results of each stage there are, and how many would be made."""
    from rich.table import Table

    from stages.store.artifact import find

    there: dict[str, dict[str, bool]] = {stage: {} for stage in STAGES}
    for point in points:
        for stage, step in point.steps.items():
            if step.key not in there[stage]:
                there[stage][step.key] = find(point.experiment.store_root, stage, step.key) is not None
    table = Table("stage", "results", "reuse", "run", box=None, pad_edge=False)
    for stage, found in there.items():
        reused = sum(found.values())
        table.add_row(stage, str(len(found)), str(reused), str(len(found) - reused))
    terminal.say(f"{len(points)} points", table)
    document: list[dict[str, Any]] = [
        {
            "values": dict(point.values),
            "stages": {stage: {"key": s.key, "reuse": there[stage][s.key]} for stage, s in point.steps.items()},
        }
        for point in points
    ]
    terminal.give({"points": document}, [point.label for point in points])
