"""What is compared between the points of a sweep, and their runs of several seeds as one row."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from stages.reporting.wording import score_of


@dataclass(frozen=True)
class Measure:
    """A figure of one point: where an evaluation has it, what it is called and means, and how it is printed."""

    name: str
    heading: str
    meaning: str
    path: tuple[str, ...]
    form: str = "{:.2f}"
    """Of a hundred times the value if it is a share."""
    share: bool = False
    brief: bool = True
    """Whether a table has it that must fit a terminal."""

    def cell(self, figures: Mapping[str, Any]) -> str:
        """Mean and, where there is one, standard deviation; empty where it wasn't measured."""
        found = figures.get(self.name)
        if found is None:
            return ""
        return " ± ".join(self._printed(value) for value in found.values() if value is not None)

    def mean(self, figures: Mapping[str, Any]) -> str:
        """The mean alone."""
        found = figures.get(self.name)
        return "" if found is None else self._printed(found["mean"])

    def _printed(self, value: float) -> str:
        return self.form.format(100 * value if self.share else value)


GENERATED = ("sets", "generated")
MEASURES = (
    Measure(
        "score",
        "",
        "of generated networks on the test data, mean ± standard deviation",
        (*GENERATED, "score", "mean"),
        share=True,
    ),
    Measure(
        "lowest", "lowest", "of the worst generated network", (*GENERATED, "score", "min"), share=True, brief=False
    ),
    Measure("heldout", "held-out", "of held-out members", ("sets", "held-out", "score", "mean"), share=True),
    Measure(
        "members",
        "members",
        "of the members that the flow learned from",
        ("sets", "members", "score", "mean"),
        share=True,
        brief=False,
    ),
    Measure(
        "max_iou",
        "max IoU",
        "largest overlap of a network's mistakes with those of one member, mean; 1 is a copy",
        (*GENERATED, "max_iou", "mean"),
    ),
    Measure(
        "distance",
        "distance, τ",
        "to the nearest member, median; 1 τ is what it is for a member itself",
        (*GENERATED, "distance_in_tau"),
    ),
    Measure(
        "novel",
        "N&P@1",
        "share above the members' bar and farther than 1 τ from every member",
        (*GENERATED, "novel_and_performant", "1.0"),
    ),
    Measure(
        "gain",
        "gain",
        "of the mean score over the best baseline's at equal distance",
        ("gain_over_baselines", "gain"),
        "{:+.2f}",
        share=True,
    ),
    Measure(
        "auc",
        "AUC",
        "of telling generated networks' outputs from held-out members'; 0.5 is the ideal",
        (*GENERATED, "two_sample", "outputs", "auc"),
    ),
    Measure(
        "dispersion",
        "dispersion",
        "spread of generated codes over that of real ones",
        (*GENERATED, "dispersion"),
        brief=False,
    ),
    Measure(
        "ensemble",
        "ensemble",
        "of the generated networks' averaged predictions",
        (*GENERATED, "ensemble_score"),
        share=True,
        brief=False,
    ),
    Measure("calls", "calls", "of the velocity network per generated network", ("velocity_calls",), "{:.0f}"),
)
SPREAD = (*GENERATED, "score", "std")
"""How a single run's score varies between its networks."""


def measured(figures: Mapping[str, Any]) -> dict[str, float]:
    """What an evaluation says of every measure that it has, and `spread` of the score."""
    paths = {measure.name: measure.path for measure in MEASURES} | {"spread": SPREAD}
    found = {name: _at(figures, path) for name, path in paths.items()}
    return {name: float(value) for name, value in found.items() if value is not None}


def _at(source: Any, path: Sequence[str]) -> Any:
    for key in path:
        source = source.get(key) if isinstance(source, Mapping) else None
    return source


def replicated(varied: Sequence[str]) -> list[str]:
    """The keys whose values are repetitions of the same: seeds, where anything else varies."""
    seeds = [key for key in varied if key.split(".")[-1] == "seed"]
    return seeds if len(seeds) < len(varied) else []


def rows(varied: Sequence[str], points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Finished points that differ in seeds alone as one row: each figure's mean, and its standard deviation over them.

    A single run's score has that over its networks; its other figures have none.
    """
    kept = [key for key in varied if key not in replicated(varied)]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for point in points:
        if point["figures"] is not None:
            groups.setdefault(json.dumps([point["values"][key] for key in kept]), []).append(point)
    return [
        {"values": {key: group[0]["values"][key] for key in kept}, "runs": len(group), "figures": _spread(group)}
        for group in groups.values()
    ]


def _spread(group: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for measure in MEASURES:
        values = [figures[measure.name] for point in group if measure.name in (figures := point["figures"])]
        if values:
            found[measure.name] = {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else None}
    if len(group) == 1 and "score" in found:
        found["score"]["std"] = group[0]["figures"].get("spread")
    return found


def columns(sweep: Mapping[str, Any]) -> list[tuple[str, Measure]]:
    """Headings of those measures that some row has."""
    score = score_of(sweep).heading
    return [(m.heading or score, m) for m in MEASURES if any(m.name in row["figures"] for row in sweep["rows"])]


def said(value: Any) -> str:
    """A swept value as people write it; a section by its kind and what it sets."""
    if not isinstance(value, Mapping):
        return value if isinstance(value, str) else json.dumps(value)
    return " ".join(said(part) if name == "kind" else f"{name} {said(part)}" for name, part in value.items())
