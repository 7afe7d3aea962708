"""Performance on the test data."""

import math

from pydantic import Field
from torch import Tensor

from stages.columns import FINE_RATIO, PERCENT, SCORE, Column
from stages.evaluation.figure_parts import Part
from stages.evaluation.metric import metric, per_network, reduced
from stages.evaluation.network_set import NetworkSet


@per_network(of_outputs=True, column=Column(10, SCORE, show="spread", brief=True), points="score")
def score(networks: NetworkSet) -> Tensor:
    """Score: on the test examples, mean ± standard deviation over the networks."""
    return networks.outcome.scores


@reduced(float, lambda scores: float(scores.min()), of_outputs=True, column=Column(20, SCORE))
def lowest_score(networks: NetworkSet) -> Tensor:
    """Lowest: score of the set's worst network."""
    return networks.outcome.scores


@per_network(of_outputs=True, points="loss")
def loss(networks: NetworkSet) -> Tensor:
    """Loss: test cross-entropy in nats, or mean squared error in a regression."""
    return networks.outcome.losses


@per_network(of_outputs=True, column=Column(40, PERCENT), points="ece")
def ece(networks: NetworkSet) -> Tensor | None:
    """ECE: expected calibration error of a classifier, the gap between confidence and accuracy, mean."""
    return networks.outcome.further.get("ece")


@per_network(of_outputs=True, column=Column(30, FINE_RATIO), points="r2")
def r2(networks: NetworkSet) -> Tensor | None:
    """R²: share of variance explained in a regression, mean."""
    return networks.outcome.further.get("r2")


@per_network(of_outputs=True, column=Column(35, FINE_RATIO), points="mae")
def mae(networks: NetworkSet) -> Tensor | None:
    """Absolute error: mean absolute error in a regression, mean."""
    return networks.outcome.further.get("mae")


@metric(of_outputs=True)
def per_class(networks: NetworkSet) -> list[float | None] | None:
    """Accuracy by class: mean accuracy on the test examples of each class; null for a class without any."""
    accuracy = networks.outcome.per_class
    if accuracy is None:
        return None
    return [None if math.isnan(share) else share for share in accuracy.mean(0).tolist()]


@per_network(of_outputs=True, column=Column(50, SCORE, show="spread", brief=True))
def with_reference_statistics(networks: NetworkSet) -> Tensor | None:
    """Copied statistics: score with BatchNorm's statistics copied from the reference member (Table 7 of the paper)."""
    copied = networks.copied_statistics
    return copied.scores if copied else None


class EnsembleCurve(Part):
    """Figures of ensembles by their size; means over groups of that many networks."""

    sizes: list[int]
    """Networks per ensemble, ascending."""
    score: list[float]
    """Mean score."""
    loss: list[float]
    """Mean loss, in nats or squared error."""
    ece: list[float] | None = Field(default=None)
    """Expected calibration error, of classifiers."""
    brier: list[float] | None = Field(default=None)
    """Brier score of classifiers, summed over classes: 0 is perfect, 2 the worst."""
    ood_auroc: list[float] | None = Field(default=None)
    """AUROC of telling examples of the data set `ood` from test examples by networks' mean energy; 0.5 is chance."""


@metric(of_outputs=True, column=Column(95, SCORE, brief=True))
def ensemble_score(networks: NetworkSet) -> float:
    """Ensemble: score of the averaged predictions of all networks of the set."""
    return networks.outcome.ensemble_score


@metric(of_outputs=True)
def ensemble_curve(networks: NetworkSet) -> EnsembleCurve | None:
    """Ensembles: score, loss and calibration of averaged predictions by the number of networks averaged."""
    curve = networks.outcome.ensemble_curve
    return EnsembleCurve.model_validate(curve) if curve.get("sizes") else None
