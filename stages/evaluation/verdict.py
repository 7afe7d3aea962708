"""The verdict: yes-or-no answers about the generated networks, by fixed thresholds."""

from stages.evaluation.figure_parts import OtherGenerator
from stages.evaluation.figures import SetFigures, Verdict
from stages.evaluation.frontier import Sets, gain_over_baselines
from stages.evaluation.metrics.novelty import distance_in_tau, max_iou
from stages.evaluation.metrics.performance import score
from stages.evaluation.metrics.two_sample import Separability, two_sample

FAR, ALIKE = 0.9, 0.05
"""New: from this fraction of the held-out members' distance on, with max IoU at most so far above theirs."""
COPIED = 0.1
"""Networks nearer than this share of the distance that was to be expected are called copies."""


def verdict(sets: Sets, found: OtherGenerator | None = None) -> Verdict:
    """Answers as `Verdict` defines them. Without test data only the weights are judged.

    Of another generator's networks it was `found` whether they are held-out members, beside which nothing is new.
    """
    generated, heldout = sets["generated"], sets["held-out"]
    distance, usual = distance_in_tau.of(generated), distance_in_tau.of(heldout)
    assert distance is not None
    assert usual is not None
    far = distance >= FAR * usual if usual >= COPIED else None  # else held-out members are copies, too
    alike = indistinguishable(generated)
    if found is not None and found.heldout:
        far = far and None
        alike = None
    scores, theirs = score.of(generated), score.of(heldout)
    overlap, their_overlap = max_iou.of(generated), max_iou.of(heldout)
    if scores is None or theirs is None or overlap is None or their_overlap is None:
        return Verdict(new=far, indistinguishable=alike)
    gain = gain_over_baselines(sets)
    return Verdict(
        accurate=scores.mean >= theirs.mean - theirs.std,
        new=far and overlap.mean <= their_overlap.mean + ALIKE,
        better_than_baselines=None if gain.gain is None or gain.error is None else gain.gain > 2 * gain.error,
        indistinguishable=alike,
    )


def indistinguishable(generated: SetFigures) -> bool | None:
    """Whether no classifier separates them from held-out members beyond chance; None if there were too few to test."""
    tests = separability_tests(generated)
    return all(test.low <= 0.5 for test in tests.values()) if tests else None


def separability_tests(entry: SetFigures) -> dict[str, Separability]:
    """The classifier tests of a set, by what they look at: weights, outputs."""
    tests = two_sample.of(entry)
    by_name = {"weights": tests.weights, "outputs": tests.outputs} if tests else {}
    return {name: test for name, test in by_name.items() if test}
