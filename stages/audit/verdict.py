"""The evaluation in one sentence that can't flatter."""

from collections.abc import Iterator, Mapping
from math import hypot, sqrt
from typing import Any, NamedTuple

import numpy as np

from stages.audit.words import SCORES, Score

Sets = Mapping[str, Mapping[str, Any]]


def verdict(sets: Sets, score: Score = SCORES["accuracy"]) -> dict[str, Any]:
    """Three yes-or-no answers about the generated networks, and the sentence that gives their figures.

    Accurate: the mean score is within one standard deviation of the held-out members'. New: the median distance is at
    least 0.9 of the held-out members' and the mean max IoU no more than 0.05 above theirs. Better than the baselines:
    a higher score, by two standard errors, than any of them at the same distance from the members. Without test data
    only the distance is judged.
    """
    generated, heldout = sets["generated"], sets["held-out"]
    far = generated["distance_in_tau"] >= 0.9 * heldout["distance_in_tau"]
    place = (f"nearest member at {generated['distance_in_tau']:.2f} tau where held-out members are at "
             f"{heldout['distance_in_tau']:.2f}")  # fmt: skip
    if "score" not in generated:
        text = f"How good they are can't be judged without test data. New, by distance alone: {_word(far)} ({place})."
        return {"accurate": None, "new": far, "better_than_baselines": None, "text": text}
    accurate = generated["score"]["mean"] >= heldout["score"]["mean"] - heldout["score"]["std"]
    new = far and generated["max_iou"]["mean"] <= heldout["max_iou"]["mean"] + 0.05
    rival = max(rivals(sets, generated["distance_in_tau"]), key=lambda r: r.score, default=None)
    better = rival is None or generated["score"]["mean"] - rival.score > 2 * hypot(_error(generated), rival.error)
    text = (
        f"As {'accurate' if score.name == 'accuracy' else 'good'} as members: {_word(accurate)} "
        f"({_named(score)}{score.say(generated['score']['mean'])} against {score.say(heldout['score']['mean'])} of held-out "
        f"members). New: {_word(new)} ({place}; max IoU {generated['max_iou']['mean']:.2f} against "
        f"{heldout['max_iou']['mean']:.2f}). Better than noise, interpolation or soup at equal distance: {_word(better)} "
        + (f"({rival.name} keeps {score.say(rival.score)} there)." if rival else "(none of them gets as far).")
    )
    return {"accurate": accurate, "new": new, "better_than_baselines": better, "text": text}


def _named(score: Score) -> str:
    return "" if score.name == "accuracy" else f"{score.name} "


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
    start = (0.0, sets["members"]["score"]["mean"], _error(sets["members"]))
    for family in ("noise", "interpolation"):
        levels = [s for s in sets.values() if s.get("family") == family]
        line = sorted([start, *((s["distance_in_tau"], s["score"]["mean"], _error(s)) for s in levels)])
        if distance <= line[-1][0]:
            at, means, errors = zip(*line, strict=True)
            yield Rival(family, float(np.interp(distance, at, means)), float(np.interp(distance, at, errors)))
    for name, s in sets.items():
        fixed = s["role"] == "baseline" and s.get("family") not in ("noise", "interpolation")
        if fixed and s["distance_in_tau"] >= 0.95 * distance:
            yield Rival(name, s["score"]["mean"], _error(s))


def _error(figures: Mapping[str, Any]) -> float:
    return figures["score"]["std"] / sqrt(figures["networks"])


def _word(answer: bool) -> str:
    return "yes" if answer else "no"
