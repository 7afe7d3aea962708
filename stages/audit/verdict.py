"""The evaluation in one sentence that can't flatter."""

from collections.abc import Mapping
from math import hypot, sqrt
from typing import Any

Sets = Mapping[str, Mapping[str, Any]]


def verdict(sets: Sets) -> dict[str, Any]:
    """Three yes-or-no answers about the generated networks, and the sentence that gives their figures.

    Accurate: the mean is within one standard deviation of the held-out members'. New: the median distance is at least
    0.9 of the held-out members' and the mean max IoU no more than 0.05 above theirs. Better than the baselines: more
    accurate, by two standard errors, than every baseline that lies about as far from the members, or farther.
    """
    generated, heldout = sets["generated"], sets["held-out"]
    accurate = generated["accuracy"]["mean"] >= heldout["accuracy"]["mean"] - heldout["accuracy"]["std"]
    far = generated["distance_in_tau"] >= 0.9 * heldout["distance_in_tau"]
    new = far and generated["max_iou"]["mean"] <= heldout["max_iou"]["mean"] + 0.05
    rival = _rival(sets, generated)
    better = rival is None or _beats(generated, sets[rival])
    text = (
        f"As accurate as members: {_word(accurate)} ({_percent(generated)} against {_percent(heldout)} of held-out "
        f"members). New: {_word(new)} (nearest member at {generated['distance_in_tau']:.2f} tau where held-out members "
        f"are at {heldout['distance_in_tau']:.2f}; max IoU {generated['max_iou']['mean']:.2f} against "
        f"{heldout['max_iou']['mean']:.2f}). Better than noise, interpolation or soup at equal distance: {_word(better)} "
        + (f"({rival} keeps {_percent(sets[rival])} about as far away)." if rival else "(none of them gets as far).")
    )
    return {"accurate": accurate, "new": new, "better_than_baselines": better, "text": text}


def _rival(sets: Sets, generated: Mapping[str, Any]) -> str | None:
    """The most accurate baseline that lies at least 0.95 times as far from the members as the generated networks."""
    far = {
        name: s["accuracy"]["mean"]
        for name, s in sets.items()
        if s["role"] == "baseline" and s["distance_in_tau"] >= 0.95 * generated["distance_in_tau"]
    }
    return max(far, key=far.__getitem__, default=None)


def _beats(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a mean accuracy is higher by more than two standard errors of the difference."""
    errors = [s["accuracy"]["std"] / sqrt(s["networks"]) for s in (one, other)]
    return one["accuracy"]["mean"] - other["accuracy"]["mean"] > 2 * hypot(*errors)


def _word(answer: bool) -> str:
    return "yes" if answer else "no"


def _percent(figures: Mapping[str, Any]) -> str:
    return f"{100 * figures['accuracy']['mean']:.2f} %"
