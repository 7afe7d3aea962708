"""`dwf compare`: several generators beside one zoo, ours among them, on one page; what comes before is made once."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from pipeline.config import Experiment, flat_overrides, load
from pipeline.runner import Runner
from pipeline.strict_yaml import parse_yaml
from pipeline.sweep.points import Point
from pipeline.sweep.run import Results
from pipeline.sweep.spec import Sweep
from stages.errors import UsageError, shown
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
        section = parse_yaml(value) if value.startswith("{") else {"files": value}
    except UsageError as error:
        expected = f"e.g. {name}={{files: a/*.pt, key: netG}}"
        raise UsageError(f"compare {shown(text)}: {error}; expected {expected}") from error
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
    return Point({AXIS: name}, named, Runner(named).steps())


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


def comparison(config: Path, points: Sequence[Point]) -> Sweep:
    """The points as a sweep over generators."""
    about = "Generators beside the same members, held-out members and baselines, at equal treatment."
    return Sweep(f"{config.stem}.generators", about, config, (), tuple(point.values for point in points))


def of_generators(points: Sequence[Point]) -> bool:
    """Whether points differ in their generators."""
    return all(AXIS in point.values for point in points)


def verdict_table(figures: Mapping[str, tuple[Figures, str]]) -> Table:
    """A generator a line, with its answers."""
    table = Table(
        "generator", "accurate", "new", "better than baselines", "indistinguishable", box=None, pad_edge=False
    )
    for name, (own, _) in figures.items():
        table.add_row(name, *map(answer_text, own.verdict.model_dump().values()))
    return table
