"""Findings of an evaluation, one sentence each; empty where they weren't measured."""

from collections.abc import Mapping

from stages.evaluation.figures import Figures, SetFigures, Summary
from stages.evaluation.frontier import best_rival
from stages.evaluation.metrics.novelty import distance_in_tau, jensen_shannon, max_iou, wasserstein
from stages.evaluation.metrics.performance import ensemble_curve, score
from stages.evaluation.metrics.spread import SAME, dispersion, duplicates
from stages.evaluation.metrics.two_sample import Separability
from stages.evaluation.verdict import ALIKE, COPIED, separability_tests
from stages.reporting.wording import score_text

MOST_NOTES = 6
"""Operations named that were left unpermuted."""


def verdict(figures: Figures) -> str:
    """The verdict's answers, each with the figures that it rests on."""
    if not {"generated", "held-out"} <= figures.sets.keys():
        return ""
    generated, heldout = figures.sets["generated"], figures.sets["held-out"]
    first = _accuracy(figures, score.of(generated), score.of(heldout))
    new = f"New: {_novelty(figures.verdict.new, generated, heldout)}."
    return " ".join(part for part in (first, new, _baselines(figures), _separability(figures)) if part)


def _accuracy(figures: Figures, scores: Summary | None, theirs: Summary | None) -> str:
    if scores is None or theirs is None:
        return "Accuracy can't be judged without test data."
    words = score_text(figures)
    good, name = ("accurate", "") if figures.score == "accuracy" else ("good", f"{words.name} ")
    means = f"{name}{words.text(scores.mean)} against {words.spread(theirs.mean, theirs.std)}"
    return f"As {good} as held-out members: {answer_text(figures.verdict.accurate)} ({means})."


def _novelty(answer: bool | None, generated: SetFigures, heldout: SetFigures) -> str:
    far, usual = distance_in_tau.of(generated) or 0.0, distance_in_tau.of(heldout) or 0.0
    copies = ", copies of members" if answer is False and far < COPIED * usual else ""
    place = f"nearest member at {far:.2f} τ where held-out members are at {usual:.2f} τ"
    if usual < COPIED:
        place += ", copies themselves"
    overlap, theirs = max_iou.of(generated), max_iou.of(heldout)
    if overlap and theirs:
        void = ", so that mistakes decide nothing" if theirs.mean + ALIKE >= 1 else ""
        place += f"; max IoU {overlap.mean:.2f} against {theirs.mean:.2f}{void}"
    return f"{answer_text(answer)}{copies} ({place})"


def _baselines(figures: Figures) -> str:
    """The answer, and the baseline that decides it, by name."""
    generated, words = figures.sets["generated"], score_text(figures)
    scores, far = score.of(generated), distance_in_tau.of(generated)
    if scores is None or far is None:
        return ""
    answer, rival = figures.verdict.better_than_baselines, best_rival(figures.sets, far)
    why = "none gets as far"
    if rival is not None:
        own = distance_in_tau.of(figures.sets.get(rival.name))
        place = f"between its levels, at {far:.2f} τ" if own is None else f"at {own:.2f} τ"
        close = ", less than two standard errors apart" if not answer and scores.mean > rival.score else ""
        why = f"{words.text(scores.mean)} against {words.text(rival.score)} of {rival.name} {place}{close}"
    return f"Better than every baseline as far from the members: {answer_text(answer)} ({why})."


def _separability(figures: Figures) -> str:
    """Whether classifiers tell generated networks from held-out members, and whether they tell members themselves."""
    alike, tests = figures.verdict.indistinguishable, separability_tests(figures.sets["generated"])
    if alike is None or not tests:
        return ""
    members = figures.sets.get("members")
    others = {name: test for name, test in separability_tests(members).items() if test.low > 0.5} if members else {}
    too = "" if not others else f" Members are told from held-out members, too: AUC {_aucs(others)}."
    asked = "Not told from held-out members by a classifier"
    return f"{asked}: {answer_text(alike)} (AUC {_aucs(tests)}; 0.5 is chance).{too}"


def _aucs(tests: Mapping[str, Separability]) -> str:
    return ", ".join(f"{test.auc:.2f} ({test.low:.2f} to {test.high:.2f}) by {name}" for name, test in tests.items())


def answer_text(answer: bool | None) -> str:
    """An answer in words."""
    return {True: "yes", False: "no", None: "can't be said"}[answer]


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
    who = f"Generated networks, at {difference.at:.2f} τ from the members,"
    rival, error = f"the best baseline that gets as far, {difference.rival}", difference.error
    if error is not None and abs(difference.gain) <= 2 * error:
        margin = words.difference(difference.gain, error)
        return f"{who} differ from {rival}, by less than two standard errors ({margin})."
    comparison = "better" if difference.gain > 0 else "worse"
    return f"{who} do {comparison} than {rival}, by {words.difference(abs(difference.gain), error)}."


def separability(figures: Figures) -> str:
    """How well a classifier tells generated from held-out networks."""
    generated = figures.sets.get("generated")
    tests = separability_tests(generated) if generated else {}
    if not tests:
        return ""
    return (
        f"Classifiers that are to tell generated from held-out networks have an AUC of {_aucs(tests)}; 0.5 is chance."
    )


def shared_mistakes(figures: Figures) -> str:
    """What a copy's max IoU of 1 says beside that of held-out members, which are no copies."""
    overlap = max_iou.of(figures.sets.get("held-out"))
    if overlap is None:
        return ""
    if overlap.mean + ALIKE >= 1:
        return (
            f"Held-out members have a max IoU of {overlap.mean:.2f} themselves: here it can't give a copy away. Two "
            "networks without mistakes have 1."
        )
    return f"A copy of a member has a max IoU of 1; held-out members have {overlap.mean:.2f}."


def heldout_distribution(figures: Figures) -> str:
    """What an ideal generator would show of those figures whose ideal isn't known beforehand."""
    heldout = figures.sets.get("held-out")
    shown = {
        dispersion: "dispersion {:.3f}",
        wasserstein: "Wasserstein {:.3f} τ",
        jensen_shannon: "Jensen-Shannon {:.3f}",
    }
    parts = [text.format(value) for metric, text in shown.items() if (value := metric.of(heldout)) is not None]
    return f"What an ideal generator shows is what held-out members do: {', '.join(parts)}." if parts else ""


def repetition(figures: Figures) -> str:
    """How many generated networks repeat another one."""
    generated = figures.sets.get("generated")
    count = duplicates.of(generated)
    if generated is None or count is None:
        return ""
    if count == 0:
        return f"No generated network lies within {SAME:g} τ of another one, as the rows are."
    lie = "lies" if count == 1 else "lie"
    return f"{count:,} of {generated.networks:,} generated networks {lie} within {SAME:g} τ of an earlier one."


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
    """Whether generated networks are as good as members before any further training, and how soon they are if not.

    They are if their mean at the first step is no more than one standard deviation below the members'.
    """
    runs, words = figures.finetuning, score_text(figures)
    if runs is None or not {"generated", "members"} <= runs.sets.keys():
        return ""
    generated, members = runs.sets["generated"].mean, runs.sets["members"].mean
    bar, steps = members[0] - runs.sets["members"].std[0], runs.steps
    spread = runs.sets["members"].std[0]
    place = f"{words.text(generated[0])} against {words.spread(members[0], spread)}, of {runs.networks:,} networks each"
    later = f"; after {steps[-1]:,} steps {words.text(generated[-1])} against {words.text(members[-1])}"
    later = later if len(steps) > 1 else ""
    if generated[0] >= bar:
        return f"Without further training, generated networks are as good as members: {place}{later}."
    level = next((i for i, mean in enumerate(generated) if mean >= bar), None)
    if level is None:
        return f"Further training doesn't make generated networks as good as members without any: {place}{later}."
    soon = f"; {steps[level]:,} steps bring them to {words.text(generated[level])}"
    return f"Generated networks need further training to be as good as members without any: {place}{soon}{later}."


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
    return f"Averages of {size:,} generated networks have {generated} on average, of as many members {trained}."


def speed(networks_per_minute: float | None) -> str:
    """How fast networks are generated."""
    if networks_per_minute is None:
        return ""
    return f"{networks_per_minute:,.0f} networks were generated per minute."


def round_trip(figures: Figures) -> str:
    """Whether undoing the relabelling gave back what was trained, of those members that this was tried with."""
    exact = figures.canonicalization.bit_exact if figures.canonicalization else None
    if exact is None:
        return ""
    if exact:
        return "Brought to canonical form and back, the members probed are what they were, bit for bit."
    return "Brought to canonical form and back, not all members probed are what they were, bit for bit."


def concentration(figures: Figures) -> str:
    """How concentrated the members' variance is in a few directions."""
    if figures.canonicalization is None:
        return ""
    spectrum = figures.canonicalization.spectrum
    return (
        f"The members' {spectrum.k:,} principal directions have an effective rank of {spectrum.effective_rank:.1f}; "
        f"the variance along the first is {spectrum.ev0_over_median:.3g} times the median one."
    )


def unpermuted(figures: Figures) -> str:
    """What no permutation was derived for."""
    if figures.alignment is None:
        return ""
    notes = figures.alignment.unpermuted
    if not notes:
        return "The derivation of the symmetry names nothing that it left unpermuted."
    more = [f"and {len(notes) - MOST_NOTES} more"] if len(notes) > MOST_NOTES else []
    return f"Left as trained: {'; '.join([*notes[:MOST_NOTES], *more])}."
