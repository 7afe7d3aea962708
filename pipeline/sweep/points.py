"""The points of a sweep: a checked configuration each, with the keys of all its stages' results."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Experiment, flat_overrides, load
from pipeline.dag import STAGES
from pipeline.estimates.check import Estimate, estimates
from pipeline.runner import Runner, Step
from pipeline.sweep.spec import Sweep, Values, short_names
from stages.errors import UsageError


@dataclass(frozen=True)
class Point:
    """One configuration of a sweep."""

    values: Values
    """Overrides of the base configuration."""
    experiment: Experiment
    steps: Mapping[str, Step]

    @property
    def keys(self) -> dict[str, str]:
        """The key of each stage's result."""
        return {stage: step.key for stage, step in self.steps.items()}

    @property
    def label(self) -> str:
        """Its values by their short names."""
        return ", ".join(f"{short} {self.values[key]}" for key, short in short_names(tuple(self.values)).items())

    def named(self, stage: str, threads: int) -> Experiment:
        """The experiment, called by those values that a stage's result depends on: others share the result."""
        first = {key: short for key, short in short_names(tuple(self.values)).items() if _depends(stage, key)}
        parts = [self.experiment.name, *(f"{short}-{self.values[key]}" for key, short in first.items())]
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", ".".join(parts))
        return self.experiment.model_copy(update={"name": name, "threads": threads})


def _depends(stage: str, key: str) -> bool:
    return STAGES.index(key.split(".")[0]) <= STAGES.index(stage)


def points_of(
    sweep: Sweep, overrides: Sequence[str] = (), store: Path | None = None, data: Path | None = None
) -> list[Point]:
    """Every point, checked before anything runs; `overrides` apply to all.

    Raises UsageError with one line for each thing that is wrong, or naming two points that are the same experiment.
    """
    points, wrong = [], {}
    for values in sweep.points:
        try:
            experiment = load(sweep.base, [*sweep.shared, *overrides, *flat_overrides(values)], store, data)
            points.append(Point(values, experiment, Runner(experiment).steps()))
        except UsageError as error:
            wrong |= dict.fromkeys(str(error).splitlines())  # most are wrong in all points
    if wrong:
        raise UsageError("\n".join(wrong))
    last: dict[str, Point] = {}
    for point in points:
        if (same := last.setdefault(point.steps[STAGES[-1]].key, point)) is not point:
            raise UsageError(f"{sweep.base}: {same.label} and {point.label} are the same experiment; leave one out")
    return points


def needs_of(points: Sequence[Point]) -> list[Estimate]:
    """What the results that aren't there need, each once."""
    needs: dict[str, Estimate] = {}
    for point in points:
        planned = Runner(point.experiment).plan()
        keys = {step.stage: step.key for step in planned}
        needs |= {keys[estimate.stage]: estimate for estimate in estimates(point.experiment, planned)}
    return list(needs.values())
