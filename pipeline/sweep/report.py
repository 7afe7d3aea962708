"""Artifacts of sweeps: one table and one page, and the same table for the terminal."""

import csv
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.table import Table

from pipeline.configurations import name_of
from pipeline.console import GAP, fitting
from pipeline.keys import KEY_FORMAT, sources
from pipeline.listener import Silent
from pipeline.loggers.run_log import logged
from pipeline.provenance import versions
from pipeline.sweep.points import Point
from pipeline.sweep.run import Results
from pipeline.sweep.spec import Sweep, short_names
from stages.evaluation.figures import Figures, json_of, read_figures
from stages.reporting.sweep_results import PointResults, SweepResults, columns, measured, rows, value_text
from stages.store.artifact import artifact_path, building, find, note_latest, now, publish
from stages.store.files import FORMAT_VERSION, write_json
from stages.store.manifest import read_manifest

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
        stage_results=sum(len(point.steps) for point in points),
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


def write_sweep(root: Path, sweep: SweepResults, generators: Mapping[str, tuple[Figures, str]] | None = None) -> Path:
    """Write the artifact of a sweep with at least one finished point, unless it is there. Returns its folder.

    Of a sweep over `generators`, their figures and where their reports lie below `root`, by name, make the page.
    """
    module = "reporting.generators_page" if generators else "reporting.sweep_page"
    key = sweep_key(sweep, module)
    with building(root, STAGE, key) as work:
        if find(root, STAGE, key) is None:
            from stages.reporting import generators_page, sweep_page  # draw, which takes a second to load

            work.mkdir(parents=True, exist_ok=True)
            created, used = now(), versions()
            write_json(work / "sweep.json", json_of(sweep))
            _write_table(work / "table.csv", sweep)
            if generators:
                figures = {name: own for name, (own, _) in generators.items()}
                reports = {name: f"../../{place}" for name, (_, place) in generators.items()}
                together = generators_page.Generators(figures, reports)
                generators_page.write_page(work / "report.html", sweep, together, created, used)
            else:
                sweep_page.write_page(work / "report.html", sweep, created, used)
            publish(work, artifact_path(root, STAGE, key), _manifest(key, module, sweep, created, used))
        note_latest(root, STAGE, sweep.name, key)
    return artifact_path(root, STAGE, key)


def sweep_key(sweep: SweepResults, module: str = "reporting.sweep_page") -> str:
    """16 hex digits that depend on the points, which of them failed, and the sources of the page, a module."""
    points = [[point.values, point.keys, point.failed] for point in sweep.points]
    facts = [sweep.name, sweep.about, sweep.base, sweep.settings]
    code = sources(module)
    text = json.dumps([KEY_FORMAT, FORMAT_VERSION, sweep.schema_version, facts, points, code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _manifest(key: str, module: str, sweep: SweepResults, created: str, used: dict[str, str]) -> dict[str, Any]:
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
        "code": sources(module),
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


def sweep_table(sweep: SweepResults, width: int | None = None) -> Table:
    """A row per combination of values, with as many figures as fit the width; the page has all."""
    varied, (merit, *others) = list(sweep.rows[0].values), [c for c in columns(sweep) if c[1].brief]
    names = [*(sweep.names[key] for key in varied), "runs"]
    values = [[*(value_text(row.values[key]) for key in varied), str(row.runs)] for row in sweep.rows]
    headings = [merit[0], *(heading for heading, _ in others)]
    figures = [
        [merit[1].cell(row.figures), *(measure.mean(row.figures) for _, measure in others)] for row in sweep.rows
    ]
    taken = sum(GAP + max(map(cell_len, column)) for column in zip(names, *values, strict=True))
    kept = fitting(headings, figures, None if width is None else width - taken)
    table = Table(box=None, padding=(0, GAP // 2), pad_edge=False)
    for i, heading in enumerate([*names, *(headings[i] for i in kept)]):
        table.add_column(heading, justify="right" if i >= len(varied) else "left", no_wrap=True)
    for row, cells in zip(values, figures, strict=True):
        table.add_row(*row, *(cells[i] for i in kept))
    return table


def tell_loggers(points: Sequence[Point], results: Results) -> None:
    """Tell each finished point's tracker what its stages found, as if they had just been done."""
    for point in points:
        if point.experiment.logger == "none" or results.failure(point):
            continue
        named = point.experiment.model_copy(update={"name": f"{point.experiment.name}: {point.label}"})
        with logged(named, Silent()) as log:
            for step in point.steps.values():
                log.done(step.stage, results.refs[step.key], True)
