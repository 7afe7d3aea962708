"""Artifacts of sweeps: one table and one page, and the same table on the console."""

import csv
import hashlib
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.configurations import name_of
from pipeline.console import StageLines
from pipeline.dag import STAGES
from pipeline.keys import KEY_FORMAT, sources
from pipeline.runner import versions
from pipeline.sweep.points import Point, points_of
from pipeline.sweep.run import Results, run_points
from pipeline.sweep.spec import Sweep, read_sweep, short_names
from stages.errors import DwfError
from stages.evaluation.figures import Figures, json_of, read_figures
from stages.reporting.sweep_results import PointResults, SweepResults, columns, measured, rows, value_text
from stages.store.artifact import artifact_path, building, find, note_latest, now, publish, read_manifest
from stages.store.files import FORMAT_VERSION, write_json

STAGE = "sweep"


def sweep_results(
    sweep: Sweep, points: Sequence[Point], results: Results, overrides: Sequence[str] = ()
) -> SweepResults:
    """All that a sweep found: every point with its keys and figures, and a row per combination."""
    figures = [_figures(point, results) for point in points]
    entries = [_entry(point, results, own) for point, own in zip(points, figures, strict=True)]
    return SweepResults(
        name=sweep.name,
        about=sweep.about,
        base=name_of(sweep.base),
        settings=[*sweep.shared, *overrides],
        varied=list(sweep.varied),
        names=short_names(sweep.varied),
        score=next((own.score for own in figures if own), None),
        stage_results=len(STAGES) * len(points),
        distinct_results=len({key for entry in entries for key in entry.keys.values()}),
        points=entries,
        rows=rows(sweep.varied, entries),
    )


def _figures(point: Point, results: Results) -> Figures | None:
    """What evaluate measured; None of a point that failed."""
    return None if results.failure(point) else read_figures(results.refs[point.steps["evaluate"].key].path)


def _entry(point: Point, results: Results, figures: Figures | None) -> PointResults:
    """One point: its values, its lineage, and its figures or why there are none."""
    keys = {stage: step.key for stage, step in point.steps.items()}
    numbers = None
    if figures:
        calls = read_manifest(results.refs[keys["sample"]].path).summary.get("velocity_calls")
        numbers = measured(figures, calls)
    return PointResults(values=dict(point.values), keys=keys, failed=results.failure(point), figures=numbers)


def write_sweep(root: Path, sweep: SweepResults) -> Path:
    """Write the artifact of a sweep with at least one finished point, unless it is there. Returns its folder."""
    key = sweep_key(sweep)
    with building(root, STAGE, key) as work:
        if find(root, STAGE, key) is None:
            from stages.reporting.sweep_page import write_page  # draws, which takes a second to load

            work.mkdir(parents=True, exist_ok=True)
            created, used = now(), versions()
            write_json(work / "sweep.json", json_of(sweep))
            _write_table(work / "table.csv", sweep)
            write_page(work / "report.html", sweep, created, used)
            publish(work, artifact_path(root, STAGE, key), _manifest(key, sweep, created, used))
        note_latest(root, STAGE, sweep.name, key)
    return artifact_path(root, STAGE, key)


def sweep_key(sweep: SweepResults) -> str:
    """16 hex digits that depend on the points, which of them failed, and the sources of the page."""
    points = [[point.values, point.keys, point.failed] for point in sweep.points]
    facts = [sweep.name, sweep.about, sweep.base, sweep.settings]
    code = sources("reporting.sweep_page")
    text = json.dumps([KEY_FORMAT, FORMAT_VERSION, sweep.schema_version, facts, points, code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _manifest(key: str, sweep: SweepResults, created: str, used: dict[str, str]) -> dict[str, Any]:
    """Lineage as every artifact has it: the evaluations upstream, and what each point was."""
    finished = [(i, point) for i, point in enumerate(sweep.points) if not point.failed]
    points = [point.model_dump(include={"values", "keys", "failed"}) for point in sweep.points]
    return {
        "format_version": FORMAT_VERSION,
        "key_format": KEY_FORMAT,
        "stage": STAGE,
        "key": key,
        "experiment": sweep.name,
        "params": {"base": sweep.base, "set": sweep.settings, "varied": sweep.varied, "points": points},
        "upstream": {f"point {i}": point.keys["evaluate"] for i, point in finished},
        "code": sources("reporting.sweep_page"),
        "versions": used,
        "created": created,
        "seconds": 0.0,
        "device": platform.processor() or platform.machine(),
        "threads": 1,
        "peak_memory_mb": 0.0,
        "summary": {"points": len(sweep.points), "failed": len(sweep.points) - len(finished)},
    }


def _write_table(path: Path, sweep: SweepResults) -> None:
    """A line per point, in full precision."""
    names = list(dict.fromkeys(name for point in sweep.points for name in point.figures or {}))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*sweep.varied, *names])
        for point in sweep.points:
            values = [value_text(point.values[key]) for key in sweep.varied]
            writer.writerow([*values, *((point.figures or {}).get(name, "") for name in names)])


def sweep_table(sweep: SweepResults) -> Table:
    """A row per combination of values, as much as fits a terminal; what nothing was measured for is left out."""
    kept, (merit, *others) = list(sweep.rows[0].values), [c for c in columns(sweep) if c[1].brief]
    headings = [merit[0], *(heading for heading, _ in others)]
    table = Table(*(sweep.names[key] for key in kept), "runs", *headings, box=None, pad_edge=False)
    for column in table.columns[len(kept) :]:
        column.justify, column.no_wrap = "right", True
    for row in sweep.rows:
        values = [value_text(row.values[key]) for key in kept]
        means = (measure.mean(row.figures) for _, measure in others)
        table.add_row(*values, str(row.runs), merit[1].cell(row.figures), *means)
    return table


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
    swept = sweep_results(described, points, results, overrides)
    failed = [f"{point.label}: {why}" for point in points if (why := results.failure(point))]
    if len(failed) < len(points):
        folder = write_sweep(points[0].experiment.store_root, swept)
        console.print()
        console.print(sweep_table(swept))
        console.print(f"\nReport: {folder / 'report.html'}", soft_wrap=True)
    for line in failed:
        console.print(f"failed  {line}", soft_wrap=True)
    if failed:
        raise DwfError(
            f"{len(failed)} of {len(points)} points failed, the first with {failed[0]}; "
            "the same command tries them again and keeps what is there"
        )
