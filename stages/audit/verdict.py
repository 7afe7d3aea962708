"""The evaluation in one sentence that can't flatter."""

from collections.abc import Mapping
from typing import Any

Sets = Mapping[str, Mapping[str, Any]]


def verdict(sets: Sets) -> dict[str, Any]:
    """Three yes-or-no answers about the generated networks, and the sentence that gives their figures.

    Accurate: the mean is within one standard deviation of the held-out members'. New: the median distance is at least
    0.9 of the held-out members' and the mean max IoU no more than 0.05 above theirs. Better than the baselines: more
    accurate than every baseline that lies at least as far from the members.
    """
    generated, heldout = sets["generated"], sets["held-out"]
    accurate = generated["accuracy"]["mean"] >= heldout["accuracy"]["mean"] - heldout["accuracy"]["std"]
    far = generated["distance_in_tau"] >= 0.9 * heldout["distance_in_tau"]
    new = far and generated["max_iou"]["mean"] <= heldout["max_iou"]["mean"] + 0.05
    rival, best = _frontier(sets, generated["distance_in_tau"])
    better = generated["accuracy"]["mean"] > best
    text = (
        f"As accurate as members: {_word(accurate)} ({_percent(generated)} against {_percent(heldout)} of held-out "
        f"members). New: {_word(new)} (nearest member at {generated['distance_in_tau']:.2f} tau where held-out members "
        f"are at {heldout['distance_in_tau']:.2f}; max IoU {generated['max_iou']['mean']:.2f} against "
        f"{heldout['max_iou']['mean']:.2f}). Better than noise, interpolation or soup at equal distance: {_word(better)} "
        + (f"({rival} keeps {100 * best:.2f} % at least as far away)." if rival else "(none of them gets as far).")
    )
    return {"accurate": accurate, "new": new, "better_than_baselines": better, "text": text}


def _frontier(sets: Sets, distance: float) -> tuple[str, float]:
    """The most accurate baseline that lies at least as far from the members."""
    rivals = {
        n: s["accuracy"]["mean"]
        for n, s in sets.items()
        if s["role"] == "baseline" and s["distance_in_tau"] >= distance
    }
    name = max(rivals, key=lambda n: rivals[n], default="")
    return name, rivals.get(name, 0.0)


def _word(answer: bool) -> str:
    return "yes" if answer else "no"


def _percent(figures: Mapping[str, Any]) -> str:
    return f"{100 * figures['accuracy']['mean']:.2f} %"
