"""The evaluation in one sentence that can't flatter."""

from collections.abc import Mapping
from typing import Any

from stages.evaluation.frontier import Rival, Sets, best_rival, gain_over_baselines
from stages.reporting.wording import SCORES, Score

FAR, ALIKE, COPIED = 0.9, 0.05, 0.1
"""New: from this share of the held-out members' distance on, with mistakes overlapping by no more than this above theirs.
Copies: nearer than this share."""


def verdict(sets: Sets, score: Score = SCORES["accuracy"]) -> dict[str, Any]:
    """Yes-or-no answers about the generated networks, and the sentences that give their figures.

    Accurate: the mean score is within one standard deviation of the held-out members'. New: the median distance is at
    least 0.9 of the held-out members' and the mean max IoU no more than 0.05 above theirs. Better than the baselines:
    a higher score, by two standard errors, than any of them at the same distance from the members. Indistinguishable:
    no interval of the classifiers' AUC against held-out members lies above 0.5; None where there are too few to say.
    Without test data only the weights are judged.
    """
    generated, heldout = sets["generated"], sets["held-out"]
    far = generated["distance_in_tau"] >= FAR * heldout["distance_in_tau"]
    alike = indistinguishable(generated)
    if "score" not in generated:
        text = f"How good they are can't be judged without test data. New, by distance alone: {_new(far, sets)}."
        answers = {"accurate": None, "new": far, "better_than_baselines": None}
        return answers | {"indistinguishable": alike, "text": text + _apart(generated, alike)}
    accurate = generated["score"]["mean"] >= heldout["score"]["mean"] - heldout["score"]["std"]
    new = far and generated["max_iou"]["mean"] <= heldout["max_iou"]["mean"] + ALIKE
    rival, gain = best_rival(sets, generated["distance_in_tau"]), gain_over_baselines(sets)
    better = rival is None or gain["gain"] > 2 * gain["error"]
    text = _accurate(accurate, sets, score) + f" New: {_new(new, sets)}." + _better(better, rival, score)
    answers = {"accurate": accurate, "new": new, "better_than_baselines": better}
    return answers | {"indistinguishable": alike, "text": text + _apart(generated, alike)}


def indistinguishable(generated: Mapping[str, Any]) -> bool | None:
    """Whether no classifier tells them from held-out members beyond chance."""
    tests = _tests(generated)
    return all(test["low"] <= 0.5 for test in tests.values()) if tests else None


def _tests(generated: Mapping[str, Any]) -> dict[str, Any]:
    found = generated.get("two_sample") or {}
    return {name: found[name] for name in ("weights", "outputs") if found.get(name)}


def _accurate(answer: bool, sets: Sets, score: Score) -> str:
    good, name = ("accurate", "") if score.name == "accuracy" else ("good", f"{score.name} ")
    mean, other = (score.say(sets[which]["score"]["mean"]) for which in ("generated", "held-out"))
    return f"As {good} as members: {_word(answer)} ({name}{mean} against {other} of held-out members)."


def _new(answer: bool, sets: Sets) -> str:
    generated, heldout = sets["generated"], sets["held-out"]
    far, usual = generated["distance_in_tau"], heldout["distance_in_tau"]
    copies = ", copies of members" if not answer and far < COPIED * usual else ""
    place = f"nearest member at {far:.2f} tau where held-out members are at {usual:.2f}"
    if "max_iou" in generated:
        place += f"; max IoU {generated['max_iou']['mean']:.2f} against {heldout['max_iou']['mean']:.2f}"
    return f"{_word(answer)}{copies} ({place})"


def _better(answer: bool, rival: Rival | None, score: Score) -> str:
    why = f"{rival.name} keeps {score.say(rival.score)} there" if rival else "none of them gets as far"
    return f" Better than noise, interpolation or soup at equal distance: {_word(answer)} ({why})."


def _apart(generated: Mapping[str, Any], alike: bool | None) -> str:
    if alike is None:
        return ""
    found = [f"{t['auc']:.2f} ({t['low']:.2f} to {t['high']:.2f}) by {name}" for name, t in _tests(generated).items()]
    told = "indistinguishable from held-out members" if alike else "told from held-out members by a classifier"
    return f" They are {told}: AUC {', '.join(found)}; 0.5 is chance."


def _word(answer: bool) -> str:
    return "yes" if answer else "no"
