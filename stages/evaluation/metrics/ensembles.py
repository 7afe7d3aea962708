"""Ensembles: scores of averaged predictions."""

from pydantic import Field

from stages.columns import SCORE, Column
from stages.evaluation.figure_parts import Part
from stages.evaluation.metric import metric
from stages.evaluation.network_set import NetworkSet


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


@metric(of_outputs=True, column=Column(95, SCORE, brief=True))
def ensemble_score(networks: NetworkSet) -> float:
    """Ensemble: score of the averaged predictions of all networks of the set."""
    return networks.outcome.ensemble_score


@metric(of_outputs=True)
def ensemble_curve(networks: NetworkSet) -> EnsembleCurve | None:
    """Ensembles: score, loss and calibration error of averaged predictions by the number of networks averaged."""
    curve = networks.outcome.ensemble_curve
    return EnsembleCurve.model_validate(curve) if curve.get("sizes") else None
