"""The frontier: the best trivial baseline at each distance from the members, and the generator's gain over it."""

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import NamedTuple

import numpy as np

from stages.evaluation.figure_parts import Frontier, Gain
from stages.evaluation.figures import SetFigures
from stages.evaluation.metrics.novelty import distance_in_tau
from stages.evaluation.metrics.performance import score

Sets = Mapping[str, SetFigures]
POINTS = 61
"""Distances at which the frontier is given, from 0 on, evenly spaced."""


class Rival(NamedTuple):
    """What a baseline achieves at a given distance: mean score, and its standard error."""

    name: str
    score: float
    error: float


class _Place(NamedTuple):
    distance: float
    score: float
    error: float


def _place(entry: SetFigures) -> _Place:
    """A set's median distance in tau, and its mean score with its standard error."""
    distance, scores = distance_in_tau.of(entry), score.of(entry)
    assert distance is not None
    assert scores is not None, "the frontier needs test data"
    return _Place(distance, scores.mean, scores.std / sqrt(entry.networks))


def rivals(sets: Sets, distance: float) -> Iterator[Rival]:
    """Every baseline that gets as far as `distance` (in tau).

    Those of any strength have the score of the line through their levels, which starts at the members themselves; the
    others count where they lie, from 0.95 of the distance on.
    """
    start = (0.0, *_place(sets["members"])[1:])
    baselines = {name: entry for name, entry in sets.items() if entry.role == "baseline"}
    for family in dict.fromkeys(entry.family for entry in baselines.values() if entry.any_strength):
        levels = [_place(entry) for entry in baselines.values() if entry.family == family]
        line = sorted([start, *levels])
        if distance <= line[-1][0]:
            at, means, errors = zip(*line, strict=True)
            yield Rival(str(family), float(np.interp(distance, at, means)), float(np.interp(distance, at, errors)))
    for name, entry in baselines.items():
        place = _place(entry)
        if not entry.any_strength and place.distance >= 0.95 * distance:
            yield Rival(name, place.score, place.error)


def best_rival(sets: Sets, distance: float) -> Rival | None:
    """The one with the highest score; None where none gets as far."""
    return max(rivals(sets, distance), key=lambda rival: rival.score, default=None)


def frontier(sets: Sets) -> Frontier:
    """The best baseline at each distance in tau, as far as any gets."""
    far = max((_place(entry).distance for entry in sets.values() if entry.role == "baseline"), default=0.0)
    best = [(float(d), rival) for d in np.linspace(0, far, POINTS) if (rival := best_rival(sets, float(d)))]
    return Frontier(
        distance=[d for d, _ in best], score=[rival.score for _, rival in best], name=[rival.name for _, rival in best]
    )


def gain_over_baselines(sets: Sets) -> Gain:
    """The generated networks' mean score less the best baseline's at their own distance in tau."""
    generated = _place(sets["generated"])
    rival = best_rival(sets, generated.distance)
    if rival is None:
        return Gain(at=generated.distance)
    error = float(np.hypot(generated.error, rival.error))
    return Gain(at=generated.distance, gain=generated.score - rival.score, error=error, rival=rival.name)
