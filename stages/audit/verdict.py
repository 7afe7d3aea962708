"""The evaluation in one sentence that can't flatter."""

from collections.abc import Iterator, Mapping
from math import hypot, sqrt
from typing import Any, NamedTuple

import numpy as np

Sets = Mapping[str, Mapping[str, Any]]


def verdict(sets: Sets) -> dict[str, Any]:
    """Three yes-or-no answers about the generated networks, and the sentence that gives their figures.

    Accurate: the mean is within one standard deviation of the held-out members'. New: the median distance is at least
    0.9 of the held-out members' and the mean max IoU no more than 0.05 above theirs. Better than the baselines: more
    accurate, by two standard errors, than any of them at the same distance from the members.
    """
    generated, heldout = sets["generated"], sets["held-out"]
    accurate = generated["accuracy"]["mean"] >= heldout["accuracy"]["mean"] - heldout["accuracy"]["std"]
    far = generated["distance_in_tau"] >= 0.9 * heldout["distance_in_tau"]
    new = far and generated["max_iou"]["mean"] <= heldout["max_iou"]["mean"] + 0.05
    rival = max(rivals(sets, generated["distance_in_tau"]), key=lambda r: r.accuracy, default=None)
    better = rival is None or generated["accuracy"]["mean"] - rival.accuracy > 2 * hypot(_error(generated), rival.error)
    text = (
        f"As accurate as members: {_word(accurate)} ({_percent(generated['accuracy']['mean'])} against "
        f"{_percent(heldout['accuracy']['mean'])} of held-out members). New: {_word(new)} (nearest member at "
        f"{generated['distance_in_tau']:.2f} tau where held-out members are at {heldout['distance_in_tau']:.2f}; max IoU "
        f"{generated['max_iou']['mean']:.2f} against {heldout['max_iou']['mean']:.2f}). Better than noise, interpolation "
        f"or soup at equal distance: {_word(better)} "
        + (f"({rival.name} keeps {_percent(rival.accuracy)} there)." if rival else "(none of them gets as far).")
    )
    return {"accurate": accurate, "new": new, "better_than_baselines": better, "text": text}


class Rival(NamedTuple):
    """What a baseline achieves at a given distance, with the standard error of its mean."""

    name: str
    accuracy: float
    error: float


def rivals(sets: Sets, distance: float) -> Iterator[Rival]:
    """Every baseline that gets as far as `distance` (in tau).

    Noise and interpolation can be had at any strength, so their accuracy is read off the line through their levels,
    which starts at the members themselves; the others count where they lie, from 0.95 of the distance on.
    """
    start = (0.0, sets["members"]["accuracy"]["mean"], _error(sets["members"]))
    for family in ("noise", "interpolation"):
        levels = [s for s in sets.values() if s.get("family") == family]
        line = sorted([start, *((s["distance_in_tau"], s["accuracy"]["mean"], _error(s)) for s in levels)])
        if distance <= line[-1][0]:
            at, means, errors = zip(*line, strict=True)
            yield Rival(family, float(np.interp(distance, at, means)), float(np.interp(distance, at, errors)))
    for name, s in sets.items():
        fixed = s["role"] == "baseline" and s.get("family") not in ("noise", "interpolation")
        if fixed and s["distance_in_tau"] >= 0.95 * distance:
            yield Rival(name, s["accuracy"]["mean"], _error(s))


def _error(figures: Mapping[str, Any]) -> float:
    return figures["accuracy"]["std"] / sqrt(figures["networks"])


def _word(answer: bool) -> str:
    return "yes" if answer else "no"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
