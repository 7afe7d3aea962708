"""The command `dwf sweep`: from a file and axes to a table, a page, and a list of failures."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipeline.console import StageLines
from pipeline.sweep.points import points_of
from pipeline.sweep.report import sweep_results, sweep_table, write_sweep
from pipeline.sweep.run import run_points
from pipeline.sweep.spec import read_sweep
from stages.errors import DwfError


def sweep(
    file: Path,
    axes: Sequence[str],
    overrides: Sequence[str],
    store: Path | None,
    data: Path | None,
    jobs: int | None,
    console: Console,
) -> None:
    """Check every point, run them all, print the results and write their page.

    Raises UsageError before anything runs, DwfError at the end if points failed; the others are done by then.
    """
    described = read_sweep(file, axes)
    points = points_of(described, overrides, store, data)
    with StageLines(console) as lines:
        results = run_points(points, jobs or min(len(points), points[0].experiment.threads), lines.watch)
    console.print(results.count(points))
    found = sweep_results(described, points, results, overrides)
    failed = [f"{point.label}: {why}" for point in points if (why := results.failure(point))]
    if len(failed) < len(points):
        folder = write_sweep(points[0].experiment.store_root, found)
        console.print()
        console.print(sweep_table(found))
        console.print(f"\nReport: {folder / 'report.html'}", soft_wrap=True)
    for line in failed:
        console.print(f"failed  {line}", soft_wrap=True)
    if failed:
        raise DwfError(
            f"{len(failed)} of {len(points)} points failed, the first with {failed[0]}; "
            "the same command tries them again and keeps what is there"
        )
