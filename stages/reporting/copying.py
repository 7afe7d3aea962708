"""Sentences on copying: whether generated networks lie nearer to members, or score more like them, than others do."""

import torch

from stages.evaluation.figures import Figures, SetFigures
from stages.evaluation.metrics.novelty import data_copying, nearest_member_score
from stages.evaluation.metrics.performance import score
from stages.reporting.drawing import numbers, pairs
from stages.scores import spearman

FAR_FROM_CHANCE = 3.0
"""Standard deviations beyond which Z_U isn't put down to chance: 1 in 700 cases on either side."""
FEWEST = 5
"""Networks from which on a correlation says anything."""


def nearness(figures: Figures) -> str:
    """Whether generated networks lie nearer to members than held-out members do, beyond chance."""
    z = data_copying.of(figures.sets.get("generated"))
    if z is None:
        return ""
    test = f"Z_U, the statistic of a test for data-copying (Meehan et al. 2020), is {z:.1f}"
    if z < -FAR_FROM_CHANCE:
        return f"{test}: generated networks lie nearer to members than held-out members do."
    if z > FAR_FROM_CHANCE:
        return f"{test}: generated networks lie farther from members than held-out members do."
    return f"{test}; between -{FAR_FROM_CHANCE:g} and {FAR_FROM_CHANCE:g} it may be chance."


def inheritance(figures: Figures) -> str:
    """How far the score of a network follows that of the member nearest to it, beside held-out members."""
    parts = {"generated networks": "generated", "held-out members": "held-out"}
    found = {who: correlation(figures.sets.get(name)) for who, name in parts.items()}
    texts = [f"{value:.2f} over {who}" for who, value in found.items() if value is not None]
    if not texts or found["generated networks"] is None:
        return ""
    return f"The rank correlation of a network's score with the nearest member's is {' and '.join(texts)}."


def correlation(entry: SetFigures | None) -> float | None:
    """Spearman's, over the networks that are kept for plots; None where either score is the same for all."""
    if entry is None:
        return None
    own, theirs = pairs(*(numbers(entry.points.get(str(metric.points))) for metric in (score, nearest_member_score)))
    if len(own) < FEWEST or min(own.std(), theirs.std()) < 1e-12:
        return None
    return float(spearman(torch.from_numpy(own)[None].float(), torch.from_numpy(theirs).float()))
