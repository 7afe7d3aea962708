"""The best that trivial baselines do at each distance from the members, and where the generator stands against it."""

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

Sets = Mapping[str, Mapping[str, Any]]
POINTS = 61
"""Distances at which the frontier is given, from 0 on, evenly spaced."""


class Rival(NamedTuple):
    """What a baseline achieves at a given distance, with the standard error of its mean."""

    name: str
    score: float
    error: float


def rivals(sets: Sets, distance: float) -> Iterator[Rival]:
    """Every baseline that gets as far as `distance` (in tau).

    Noise and interpolation can be had at any strength, so their score is read off the line through their levels,
    which starts at the members themselves; the others count where they lie, from 0.95 of the distance on.
    """
    start = (0.0, sets["members"]["score"]["mean"], error(sets["members"]))
    for family in ("noise", "interpolation"):
        levels = [s for s in sets.values() if s.get("family") == family]
        line = sorted([start, *((s["distance_in_tau"], s["score"]["mean"], error(s)) for s in levels)])
        if distance <= line[-1][0]:
            at, means, errors = zip(*line, strict=True)
            yield Rival(family, float(np.interp(distance, at, means)), float(np.interp(distance, at, errors)))
    for name, s in sets.items():
        fixed = s["role"] == "baseline" and s.get("family") not in ("noise", "interpolation")
        if fixed and s["distance_in_tau"] >= 0.95 * distance:
            yield Rival(name, s["score"]["mean"], error(s))


def best_rival(sets: Sets, distance: float) -> Rival | None:
    """The one with the highest score; None where none gets as far."""
    return max(rivals(sets, distance), key=_score, default=None)


def frontier(sets: Sets) -> dict[str, list[Any]]:
    """The best baseline at each distance in tau, as far as any gets: `distance`, `score`, `name`."""
    far = max((s["distance_in_tau"] for s in sets.values() if s["role"] == "baseline"), default=0.0)
    found = [(float(d), r) for d in np.linspace(0, far, POINTS) if (r := best_rival(sets, float(d)))]
    return {"distance": [d for d, _ in found], "score": [r.score for _, r in found], "name": [r.name for _, r in found]}


def gain_over_baselines(sets: Sets) -> dict[str, Any]:
    """The generated networks' mean score less the best baseline's `at` their own distance in tau.

    `error` is one standard error of that difference. `gain` and `rival` are None where no baseline gets as far.
    """
    generated, at = sets["generated"], sets["generated"]["distance_in_tau"]
    rival = best_rival(sets, at)
    if rival is None:
        return {"at": at, "gain": None, "error": None, "rival": None}
    both = float(np.hypot(error(generated), rival.error))
    return {"at": at, "gain": generated["score"]["mean"] - rival.score, "error": both, "rival": rival.name}


def error(figures: Mapping[str, Any]) -> float:
    """Standard error of a set's mean score."""
    return figures["score"]["std"] / sqrt(figures["networks"])


def _score(rival: Rival) -> float:
    return rival.score
