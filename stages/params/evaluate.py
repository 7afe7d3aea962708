"""Parameters of stage 6."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from stages.params.base import Params


class EvaluateParams(Params):
    """What generated networks are compared with, and by which bars."""

    bar_quantile: float = Field(default=0.05, ge=0, le=1)
    """Accuracy that counts as performant: this quantile of the members' test accuracies."""
    margins: tuple[NonNegativeFloat, ...] = (0.25, 0.5, 1.0, 2.0)
    """Distances, in units of tau, beyond which a network counts as novel."""
    baseline: PositiveInt = 100
    """Networks per baseline."""
    noise: tuple[PositiveFloat, ...] = (0.02, 0.05, 0.1, 0.2, 0.5)
    """Noise baselines: standard deviations relative to each tensor's own spread."""
    interpolation: tuple[PositiveFloat, ...] = (0.1, 0.3, 0.5)
    """Pair baselines: the share of the second member."""
    soup: tuple[PositiveInt, ...] = (2, 4, 16)
    """Soup baselines: how many aligned members are averaged; sizes beyond the zoo are left out."""
    seed: NonNegativeInt = 0
