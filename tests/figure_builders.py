"""Figures of sets of networks with given values, for tests of what is concluded from figures."""

from typing import Any

from stages.evaluation.figures import Figures, SetFigures, Summary, ZooSize
from stages.evaluation.metrics.novelty import distance_in_tau, max_iou
from stages.evaluation.metrics.performance import score
from stages.evaluation.metrics.two_sample import Discrepancy, Separability, TwoSample, two_sample

ANY_STRENGTH = ("noise", "interpolation")


def summary_around(mean: float, std: float = 0.0) -> Summary:
    """The summary of networks that lie evenly around a mean."""
    return Summary(mean=mean, std=std, min=mean - std, max=mean + std, p10=mean - std, p50=mean, p90=mean + std)


def set_figures(
    role: str,
    mean_score: float | None = None,
    distance: float | None = None,
    overlap: float | None = None,
    *,
    std: float = 0.005,
    networks: int = 100,
    family: str | None = None,
    **metrics: Any,
) -> SetFigures:
    """One set: its mean score with a standard deviation, median distance in tau, mean max IoU, and further metrics.

    What is None wasn't measured.
    """
    figures = {
        score.name: None if mean_score is None else summary_around(mean_score, std),
        distance_in_tau.name: distance,
        max_iou.name: None if overlap is None else summary_around(overlap),
    }
    measured = {name: value for name, value in figures.items() if value is not None} | metrics
    facts = {"role": role, "family": family, "any_strength": family in ANY_STRENGTH, "networks": networks}
    return SetFigures.model_validate(facts | measured)


def generated_beside(generated: SetFigures) -> dict[str, SetFigures]:
    """Generated networks beside members and held-out members of score 0.96, noise near them, and worse soups."""
    return {
        "members": set_figures("members", 0.96, 1.0, 0.5),
        "held-out": set_figures("held-out", 0.96, 1.0, 0.5),
        "generated": generated,
        "noise 0.1": set_figures("baseline", 0.955, 0.3, 0.8, family="noise"),
        "soup 2": set_figures("baseline", 0.85, 0.8, 0.6, family="soup"),
    }


def separated(low: float, high: float, outputs: bool = True) -> dict[str, Any]:
    """Two-sample tests by weights with this interval, and by outputs at chance if these were tested."""
    by_weights = Separability(auc=(low + high) / 2, low=low, high=high)
    by_outputs = Separability(auc=0.5, low=0.4, high=0.6) if outputs else None
    tests = TwoSample(weights=by_weights, mmd=Discrepancy(value=0.0, p=0.5), outputs=by_outputs)
    return {two_sample.name: tests}


def zoo_size(members: int, heldout: int) -> ZooSize:
    """How many networks there are to compare with."""
    return ZooSize.model_validate({"members": members, "held-out": heldout})


def figures_of(sets: dict[str, SetFigures], **further: Any) -> Figures:
    """Figures of these sets, of classifiers unless `further` says otherwise."""
    return Figures.model_validate({"score": "accuracy", "sets": sets} | further)
