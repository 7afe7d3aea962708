"""Results of a sweep, as sweep.json holds them: every point with its figures, and a row per combination of values."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from stages.columns import COUNT, SCORE, Unit
from stages.evaluation.figures import Figures
from stages.evaluation.metric import Metric
from stages.evaluation.metrics import COLUMNS, METRICS
from stages.evaluation.metrics.performance import score
from stages.reporting.tables import heading
from stages.reporting.wording import SCORE_TEXTS, ScoreText

SCHEMA = 2
Values = Mapping[str, Any]
SPREAD = "score_std"
"""A point's figure that no table shows: how a single run's score varies between its networks."""


class Part(BaseModel):
    """A part of a sweep's results; an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)


class PointResults(Part):
    """One point: its values by dotted key, the keys of its artifacts by stage, and its figures or why it has none."""

    values: dict[str, JsonValue]
    keys: dict[str, str]
    failed: str | None = None
    figures: dict[str, float] | None = None


class OverRuns(Part):
    """A figure over runs that differ in their seeds."""

    mean: float
    std: float | None = None
    """Standard deviation over runs; of a single run's score, over its networks."""


class SweepRow(Part):
    """Points that differ in seeds alone."""

    values: dict[str, JsonValue]
    runs: int
    figures: dict[str, OverRuns]


class SweepResults(Part):
    """All that a sweep found."""

    schema_version: Annotated[Literal[2], Field(alias="schema")] = SCHEMA
    name: str
    about: str
    base: str
    settings: Annotated[list[str], Field(alias="set")]
    """Overrides that all points share."""
    varied: list[str]
    names: dict[str, str]
    """Dotted key -> as few of its last parts as distinguish it."""
    score: Literal["accuracy", "spearman"] | None
    stage_results: int
    """Of all points together."""
    distinct_results: int
    """How many of them are different: the others are shared."""
    points: list[PointResults]
    rows: list[SweepRow]

    @property
    def stages(self) -> list[str]:
        """The stages of which some point has a result; networks of another generator have no fit."""
        return max((list(point.keys) for point in self.points), key=len)

    @property
    def words(self) -> ScoreText:
        """How scores are worded."""
        return SCORE_TEXTS[self.score or "accuracy"]


@dataclass(frozen=True)
class Measure:
    """A figure of one point: what it is called and means, how it is printed, and how it is read."""

    name: str
    heading: Callable[[ScoreText], str]
    meaning: str
    unit: Unit
    brief: bool
    """Whether a table has it that must fit a terminal."""
    read: Callable[[Figures], float | None]
    signed: bool = False

    def cell(self, figures: Mapping[str, OverRuns]) -> str:
        """Mean and, where there is one, standard deviation; empty where it wasn't measured."""
        figure = figures.get(self.name)
        if figure is None:
            return ""
        return " ± ".join(self._text(value) for value in (figure.mean, figure.std) if value is not None)

    def mean(self, figures: Mapping[str, OverRuns]) -> str:
        """The mean alone."""
        return self._text(figures[self.name].mean) if self.name in figures else ""

    def _text(self, value: float) -> str:
        return f"{'+' if self.signed and value >= 0 else ''}{self.unit.text(value)}"


def _of_generated(metric: Metric[Any]) -> Measure:
    """A metric of the generated networks; every metric that has a column is compared."""
    column = metric.column
    assert column is not None

    def read(figures: Figures) -> float | None:
        entry = figures.sets.get("generated")
        return metric.number(entry) if entry else None

    return Measure(metric.name, lambda words: heading(metric, words), metric.meaning, column.unit, column.brief, read)


def _of_members(name: str, meaning: str, brief: bool) -> Measure:
    def read(figures: Figures) -> float | None:
        entry = figures.sets.get(name)
        return score.number(entry) if entry else None

    return Measure(f"{name} score", lambda words: name, meaning, SCORE, brief, read)


def _gain(figures: Figures) -> float | None:
    return figures.gain_over_baselines.gain if figures.gain_over_baselines else None


SHOWN = tuple(m for m in COLUMNS if m.column and m.is_number and (m.column.table == "main" or m.column.brief))
CALLS = Measure(
    "velocity_calls",
    lambda words: "calls",
    "of the velocity network per generated network",
    COUNT,
    True,
    lambda _: None,
)
"""Sample's, not evaluate's: `measured` is told it."""
MEASURES = (
    _of_generated(score),
    _of_members("held-out", "score of held-out members", brief=True),
    _of_members("members", "score of the members that the flow learned from", brief=False),
    *(_of_generated(metric) for metric in SHOWN if metric is not score),
    Measure(
        "gain",
        lambda words: "gain",
        "of the mean score over the best baseline's at equal distance",
        SCORE,
        True,
        _gain,
        signed=True,
    ),
    CALLS,
)


def measured(figures: Figures, velocity_calls: float | None) -> dict[str, float]:
    """Every measure that an evaluation has, all other metrics of its generated networks that are one number, and the
    verdict's answers, 1 for yes and 0 for no.
    """
    generated = figures.sets.get("generated")
    values = {name: metric.number(generated) for name, metric in METRICS.items() if generated and metric.is_number}
    values |= {measure.name: measure.read(figures) for measure in MEASURES} | {CALLS.name: velocity_calls}
    scores = score.of(generated)
    values[SPREAD] = scores.std if scores else None
    values |= figures.verdict.model_dump()
    return {name: float(value) for name, value in values.items() if value is not None}


def replicated(varied: Sequence[str]) -> list[str]:
    """The keys whose values are repetitions of the same: seeds, where anything else varies."""
    seeds = [key for key in varied if key.split(".")[-1] == "seed"]
    return seeds if len(seeds) < len(varied) else []


def rows(varied: Sequence[str], points: Sequence[PointResults]) -> list[SweepRow]:
    """Finished points that differ in seeds alone as one row: each figure's mean, and its standard deviation over them.

    A single run's score has that over its networks; its other figures have none.
    """
    kept = [key for key in varied if key not in replicated(varied)]
    groups: dict[str, list[PointResults]] = {}
    for point in points:
        if point.figures is not None:
            groups.setdefault(json.dumps([point.values[key] for key in kept]), []).append(point)
    return [
        SweepRow(values={key: group[0].values[key] for key in kept}, runs=len(group), figures=_over_runs(group))
        for group in groups.values()
    ]


def _over_runs(group: Sequence[PointResults]) -> dict[str, OverRuns]:
    figures = [point.figures or {} for point in group]
    combined: dict[str, OverRuns] = {}
    for name in dict.fromkeys(name for by_name in figures for name in by_name if name != SPREAD):
        values = [by_name[name] for by_name in figures if name in by_name]
        combined[name] = OverRuns(mean=fmean(values), std=stdev(values) if len(values) > 1 else None)
    if len(group) == 1 and score.name in combined:
        combined[score.name] = OverRuns(mean=combined[score.name].mean, std=figures[0].get(SPREAD))
    return combined


def columns(sweep: SweepResults) -> list[tuple[str, Measure]]:
    """Headings of those measures that some row has."""
    return [(m.heading(sweep.words), m) for m in MEASURES if any(m.name in row.figures for row in sweep.rows)]


def value_text(value: Any) -> str:
    """A swept value as people write it; a section by its kind and what it sets."""
    if not isinstance(value, Mapping):
        return value if isinstance(value, str) else json.dumps(value)
    return " ".join(value_text(v) if name == "kind" else f"{name} {value_text(v)}" for name, v in value.items())
