"""`dwf compare`: several generators beside one zoo, ours among them, on one page; what comes before is made once."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from pipeline.config import Experiment, flat_overrides, load
from pipeline.console import StageLines
from pipeline.sweep.points import Point, steps_of
from pipeline.sweep.report import sweep_results, sweep_table, write_sweep
from pipeline.sweep.run import Results, run_points
from pipeline.sweep.spec import Sweep
from stages.errors import DwfError, UsageError
from stages.evaluation.figures import Figures, read_figures
from stages.reporting.sentences import answer_text

AXIS = "sample.generator"
"""What points differ in, by the name that tables show."""
OURS = "flow"
TAKEN = (OURS, "members", "held-out", "generated", "noise", "interpolation", "soup", "gaussian", "retrieval", "fresh")
"""Names that sets of networks have already."""


def parse_generator(text: str) -> tuple[str, dict[str, Any]]:
    """`NAME=theirs/*.pt`, or with further keys `NAME={files: theirs/*.pt, key: netG}`, as a name and a section.

    Raises UsageError saying what is expected.
    """
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[\w.-]+", name) or name in TAKEN:
        taken = f"; {name} is the name of other networks" if name in TAKEN else ""
        raise UsageError(f"compare {text!r}: expected NAME=FILES, e.g. theirs='theirs/*.pt'{taken}")
    try:
        section = yaml.safe_load(value) if value.startswith("{") else {"files": value}
    except yaml.YAMLError as error:
        raise UsageError(f"compare {text!r}: not readable as YAML, e.g. {name}={{files: a/*.pt, key: netG}}") from error
    if isinstance(section.get("files"), str):
        section["files"] = str(Path(section["files"]).expanduser().absolute())
    return name, {"source": "checkpoints", **section}


def generator_points(
    config: Path,
    generators: Sequence[str],
    overrides: Sequence[str] = (),
    store: Path | None = None,
    data: Path | None = None,
    *,
    ours: bool = True,
) -> list[Point]:
    """A point for the configuration's own networks, if they count, and one for each other generator.

    Raises UsageError with one line for each thing that is wrong, or where there is nothing to compare.
    """
    own = load(config, overrides, store, data)
    sections = [parse_generator(text) for text in generators]
    names = [name for name, _ in sections]
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise UsageError(f"compare: {twice[0]} is named twice; give each generator a name of its own")
    points = [_point(OURS, own)] if ours and own.fits else []
    for name, section in sections:
        others = [text for text in overrides if not text.strip().startswith("sample.")]  # those are the flow's
        chosen = flat_overrides({"sample": section})
        points.append(_point(name, load(config, [*others, *chosen], store, data)))
    if len(points) < 2:
        raise UsageError("compare: expected two generators or more, e.g. dwf compare CONFIG a='a/*.pt' b='b/*.pt'")
    return points


def _point(name: str, experiment: Experiment) -> Point:
    named = experiment.model_copy(update={"name": f"{experiment.name}.{name}" if name != OURS else experiment.name})
    return Point({AXIS: name}, named, steps_of(named))


def figures_of(points: Sequence[Point], results: Results) -> dict[str, tuple[Figures, str]]:
    """By generator, of those that didn't fail: what evaluate measured, and the report's place below the store."""
    return {
        str(point.values[AXIS]): (
            read_figures(results.refs[point.steps["evaluate"].key].path),
            "/".join(results.refs[point.steps["report"].key].path.parts[-2:]) + "/report.html",
        )
        for point in points
        if not results.failure(point)
    }


def compare(
    config: Path, points: Sequence[Point], overrides: Sequence[str], jobs: int | None, console: Console
) -> None:
    """Run every generator, print the results and write their page. Raises DwfError at the end if some failed."""
    with StageLines(console) as lines:
        results = run_points(points, jobs or min(len(points), points[0].experiment.threads), lines.watch)
    console.print(results.count(points))
    name = f"{config.stem}.generators"
    about = "Generators beside the same members, held-out members and baselines, at equal treatment."
    described = Sweep(name, about, config, (), tuple(point.values for point in points))
    found = figures_of(points, results)
    failed = [f"{point.label}: {why}" for point in points if (why := results.failure(point))]
    if found:
        swept = sweep_results(described, points, results, overrides)
        folder = write_sweep(points[0].experiment.store_root, swept, found)
        console.print()
        console.print(sweep_table(swept))
        console.print(verdict_table({name: figures for name, (figures, _) in found.items()}))
        console.print(f"\nReport: {folder / 'report.html'}", soft_wrap=True)
    for line in failed:
        console.print(f"failed  {line}", soft_wrap=True)
    if failed:
        raise DwfError(f"{len(failed)} of {len(points)} generators failed, the first with {failed[0]}")


def verdict_table(figures: Mapping[str, Figures]) -> Table:
    """A generator a line, with its answers."""
    table = Table(
        "generator", "accurate", "new", "better than baselines", "indistinguishable", box=None, pad_edge=False
    )
    for name, own in figures.items():
        table.add_row(name, *map(answer_text, own.verdict.model_dump().values()))
    return table
