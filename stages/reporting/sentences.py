"""Findings of an evaluation, one sentence each; empty where they weren't measured."""

from stages.evaluation.figures import Figures, SetFigures
from stages.evaluation.frontier import best_rival
from stages.evaluation.metrics.novelty import distance_in_tau, max_iou
from stages.evaluation.metrics.performance import ensemble_curve, score
from stages.evaluation.metrics.spread import duplicates
from stages.evaluation.verdict import separability_tests
from stages.reporting.wording import score_text

MOST_NOTES = 6
"""Operations named that were left unpermuted."""
COPIED = 0.1
"""Networks nearer than this share of the held-out members' distance are called copies."""


def verdict(figures: Figures) -> str:
    """The verdict's answers, each with the figures that it rests on."""
    if not {"generated", "held-out"} <= figures.sets.keys():
        return ""
    generated, heldout = figures.sets["generated"], figures.sets["held-out"]
    answers, words = figures.verdict, score_text(figures)
    new = f"New: {_novelty(bool(answers.new), generated, heldout)}."
    scores, theirs = score.of(generated), score.of(heldout)
    if scores is None or theirs is None:
        return f"Accuracy can't be judged without test data. {new}{_separability(figures)}"
    good, name = ("accurate", "") if figures.score == "accuracy" else ("good", f"{words.name} ")
    means = f"{name}{words.text(scores.mean)} against {words.text(theirs.mean)} of held-out members"
    rival = best_rival(figures.sets, distance_in_tau.of(generated) or 0.0)
    why = f"{rival.name} keeps {words.text(rival.score)} there" if rival else "none of them gets as far"
    return (
        f"As {good} as members: {_yes_or_no(answers.accurate)} ({means}). {new} Better than the trivial baselines at "
        f"equal distance: {_yes_or_no(answers.better_than_baselines)} ({why}).{_separability(figures)}"
    )


def _novelty(answer: bool, generated: SetFigures, heldout: SetFigures) -> str:
    far, usual = distance_in_tau.of(generated) or 0.0, distance_in_tau.of(heldout) or 0.0
    copies = ", copies of members" if not answer and far < COPIED * usual else ""
    place = f"nearest member at {far:.2f} τ where held-out members are at {usual:.2f}"
    overlap, theirs = max_iou.of(generated), max_iou.of(heldout)
    if overlap and theirs:
        place += f"; max IoU {overlap.mean:.2f} against {theirs.mean:.2f}"
    return f"{_yes_or_no(answer)}{copies} ({place})"


def _separability(figures: Figures) -> str:
    alike, tests = figures.verdict.indistinguishable, separability_tests(figures.sets["generated"])
    if alike is None or not tests:
        return ""
    aucs = ", ".join(f"{test.auc:.2f} ({test.low:.2f} to {test.high:.2f}) by {name}" for name, test in tests.items())
    answer = (
        "indistinguishable from held-out members" if alike else "distinguished from held-out members by a classifier"
    )
    return f" They are {answer}: AUC {aucs}; 0.5 is chance."


def _yes_or_no(answer: bool | None) -> str:
    return "yes" if answer else "no"


def findings(figures: Figures, networks_per_minute: float | None = None) -> list[str]:
    """What the verdict doesn't say yet, where there is room for a few sentences."""
    sentences = (
        gain(figures),
        repetition(figures),
        ensembles(figures),
        further_training(figures),
        speed(networks_per_minute),
    )
    return [sentence for sentence in sentences if sentence]


def gain(figures: Figures) -> str:
    """The generated networks against the best baseline at their own distance from the members."""
    difference, words = figures.gain_over_baselines, score_text(figures)
    if difference is None:
        return ""
    if difference.rival is None or difference.gain is None:
        return f"No baseline gets as far from the members as the generated networks ({difference.at:.2f} τ)."
    where, error = f"At {difference.at:.2f} τ from the members", difference.error
    if abs(difference.gain) <= max(2 * (error or 0.0), 5e-5):
        margin = "" if error is None else f" ({words.difference(difference.gain, error)})"
        return (
            f"{where} generated networks do as well as the best baseline, {difference.rival}, within two standard "
            f"errors{margin}."
        )
    comparison, by = "better" if difference.gain > 0 else "worse", words.difference(abs(difference.gain), error)
    return f"{where} generated networks do {comparison} than the best baseline, {difference.rival}, by {by}."


def separability(figures: Figures) -> str:
    """Whether a classifier separates generated from held-out networks."""
    generated = figures.sets.get("generated")
    tests = separability_tests(generated) if generated else {}
    if not tests:
        return ""
    aucs = " and ".join(
        f"{test.auc:.2f} ({test.low:.2f} to {test.high:.2f}) by their {name}" for name, test in tests.items()
    )
    return f"A classifier separates generated from held-out networks with an AUC of {aucs}; 0.5 is chance."


def repetition(figures: Figures) -> str:
    """How many generated networks repeat another one."""
    generated = figures.sets.get("generated")
    count = duplicates.of(generated)
    if generated is None or count is None:
        return ""
    if count == 0:
        return "No generated network repeats another."
    return f"{count:,} of {generated.networks:,} generated networks repeat{'s' if count == 1 else ''} an earlier one."


def sampled_members(figures: Figures) -> str:
    """How many members and held-out members were measured, where not all of them were."""
    parts = []
    totals = {"members": figures.zoo.members, "held-out": figures.zoo.heldout} if figures.zoo else {}
    for name, total in totals.items():
        entry = figures.sets.get(name)
        if entry and entry.networks < total:
            parts.append(f"{entry.networks:,} of {total:,} {name if name == 'members' else f'{name} members'}")
    if not parts:
        return ""
    return f"Measured were {' and '.join(parts)}, drawn at random; every network is compared with all members."


def further_training(figures: Figures) -> str:
    """Whether generated networks need fine-tuning.

    They don't if their mean at the first step is no more than one standard deviation below the members'.
    """
    runs, words = figures.finetuning, score_text(figures)
    if runs is None or not {"generated", "members"} <= runs.sets.keys():
        return ""
    generated, members = runs.sets["generated"].mean, runs.sets["members"].mean
    bar, steps = members[0] - runs.sets["members"].std[0], runs.steps
    place = f"{words.text(generated[0])} where members have {words.text(members[0])}"
    if generated[0] >= bar:
        last = f"{words.text(generated[-1])} and {words.text(members[-1])}"
        later = "" if len(steps) == 1 else f"; after {steps[-1]} steps of training {last}"
        return f"The generated networks need no fine-tuning: {place}{later}."
    level = next((i for i, mean in enumerate(generated) if mean >= bar), None)
    reached, below = (-1, ", still below") if level is None else (level, "")
    return (
        f"The generated networks need fine-tuning: {place}; {steps[reached]} steps bring them to "
        f"{words.text(generated[reached])}{below}."
    )


def ensembles(figures: Figures) -> str:
    """What the largest ensembles reach that were measured of both generated networks and members."""
    scores: list[dict[int, float]] = []
    for name in ("generated", "members"):
        curve = ensemble_curve.of(figures.sets.get(name))
        scores.append(dict(zip(curve.sizes, curve.score, strict=True)) if curve else {})
    common = scores[0].keys() & scores[1].keys()
    if not common or (size := max(common)) == 1:
        return ""
    generated, trained = (score_text(figures).text(by_size[size]) for by_size in scores)
    return f"Averaged, {size:,} generated networks reach {generated}, as many members {trained}."


def speed(networks_per_minute: float | None) -> str:
    """How fast networks are generated."""
    if networks_per_minute is None:
        return ""
    return f"{networks_per_minute:,.0f} networks are generated per minute, ready to use."


def round_trip(figures: Figures) -> str:
    """Whether undoing the relabelling gives back what was trained."""
    exact = figures.canonicalization.bit_exact if figures.canonicalization else None
    if exact is None:
        return ""
    return f"Relabelled and put back, members are {'' if exact else 'not '}what they were, bit for bit."


def concentration(figures: Figures) -> str:
    """How concentrated the members' variance is in a few directions."""
    if figures.canonicalization is None:
        return ""
    spectrum = figures.canonicalization.spectrum
    return (
        f"Their {spectrum.k:,} principal directions have an effective rank of {spectrum.effective_rank:.1f}; the first "
        f"varies {spectrum.ev0_over_median:.3g} times as much as the median one."
    )


def unpermuted(figures: Figures) -> str:
    """What no permutation was derived for."""
    if figures.alignment is None:
        return ""
    notes = figures.alignment.unpermuted
    if not notes:
        return "No operation was left out for want of a rule."
    more = [f"and {len(notes) - MOST_NOTES} more"] if len(notes) > MOST_NOTES else []
    return f"Left as trained: {'; '.join([*notes[:MOST_NOTES], *more])}."
