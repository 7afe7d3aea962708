"""Parameters of stage 6."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from stages.params.base import Params
from stages.params.finetune import FineTune, Transfer


class EvaluateParams(Params):
    """What generated networks are compared with, and by which bars."""

    bar_quantile: float = Field(default=0.05, ge=0, le=1)
    """Accuracy that counts as performant: this quantile of the members' test accuracies."""
    novelty_margins: tuple[NonNegativeFloat, ...] = (0.25, 0.5, 0.75, 0.9, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    """Distances, in units of tau, beyond which a network counts as novel."""
    max_members: PositiveInt = 1000
    """Members, at most, that are measured among the others, drawn at random where there are more, and as many held-out
    ones. All sets are compared with all members nevertheless; tau is the median over those drawn."""
    align_to_nearest: NonNegativeInt = 5
    """Nearest members that a network is aligned to, one by one, to find its distance; 0: none, as the rows are."""
    baseline_networks: PositiveInt = 100
    """Networks per baseline."""
    noise_levels: tuple[PositiveFloat, ...] = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5)
    """Noise baselines: standard deviations relative to each tensor's own spread. One more level is placed where it moves
    members as far as the generated networks lie from theirs."""
    interpolation_fractions: tuple[PositiveFloat, ...] = (0.1, 0.2, 0.3, 0.5)
    """Pair baselines: the share of the second member; and one more, placed likewise."""
    soup_sizes: tuple[PositiveInt, ...] = (2, 4, 8, 16)
    """Soup baselines: how many aligned members are averaged; sizes beyond the zoo are left out."""
    ensemble_sizes: tuple[PositiveInt, ...] = (1, 2, 5, 10, 20, 50, 100, 200)
    """Ensembles of members, held-out members and generated networks: how many networks; beyond the set they are left out."""
    round_trip_components: tuple[PositiveInt, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500)
    """Principal components that held-out members are rebuilt from, raw and aligned; beyond the zoo's they are left out."""
    probe_members: NonNegativeInt = 8
    """Members whose scores before and after canonicalizing are compared."""
    finetune: FineTune | None = None
    """Train networks on with the zoo's own data. None: not; {}: as it is by default."""
    transfer: tuple[Transfer, ...] = ()
    """Other data sets that networks are scored and trained on."""
    seed: NonNegativeInt = 0
