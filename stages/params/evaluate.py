"""Parameters of evaluate: comparisons, baselines, fine-tuning and transfer."""

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from stages.params.base import Params, Seed
from stages.params.dataset import Dataset
from stages.params.zoo import Recipe


def _rising(values: tuple[int, ...]) -> tuple[int, ...]:
    if any(b <= a for a, b in pairwise(values)):
        raise ValueError(f"must rise, but {list(values)} don't")
    return values


Stops = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1), AfterValidator(_rising)]
"""Amounts of training after which networks are scored, rising."""


class FineTune(Params):
    """Test scores after further training on the zoo's own data."""

    steps: Stops = (0, 10, 50, 200)
    """Training steps after which networks are scored, rising; 0: before any training."""
    networks: PositiveInt = 10
    """Networks per set: generated ones, members, aligned soups, fresh ones."""
    soup_size: int = Field(default=4, ge=2)
    """Aligned members averaged per soup, at least 2; all of them in a smaller zoo."""
    recipe: Recipe | None = None
    """Training recipe, with a constant learning rate and `steps` in place of its epochs. None: the zoo's recipe."""


class Transfer(Params):
    """Test scores on another data set: zero-shot and after training on it."""

    dataset: Dataset
    """Data set to transfer to; its inputs must have the shape of the zoo's, by `size` and `channels` if need be."""
    epochs: Stops = (0, 1, 3)
    """Epochs of training after which networks are scored, rising; 0 (zero-shot) is left out if numbers of classes
    differ."""
    networks: PositiveInt = 5
    """Networks per set: generated ones, members, fresh ones."""
    recipe: Recipe | None = None
    """Training recipe, with a constant learning rate and `epochs` in place of its own. None: the zoo's recipe."""


class EvaluateParams(Params):
    """Comparison of generated networks with members, held-out members and baselines."""

    bar_quantile: float = Field(default=0.05, ge=0, le=1)
    """Quantile of the members' test scores, in [0, 1], from which a network counts as performant."""
    novelty_margins: tuple[NonNegativeFloat, ...] = (0.25, 0.5, 0.75, 0.9, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    """Distances to the nearest member, in units of tau, beyond which a network counts as novel; tau is the members'
    median leave-one-out distance."""
    max_members: PositiveInt = 1000
    """Largest number of members, and of held-out members, that are measured themselves; a random choice where there are
    more. Every network is compared with all members all the same, and tau is the median over the members chosen."""
    align_to_nearest: NonNegativeInt = 5
    """Number of nearest members to which a network is aligned, one by one, before its distance is taken. 0: distances
    between canonical rows as they are."""
    baseline_networks: PositiveInt = 100
    """Networks per baseline."""
    noise_levels: tuple[PositiveFloat, ...] = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5)
    """Standard deviations of the noise baselines, in units of each tensor's own standard deviation. One more level is
    added that moves members as far as generated networks lie from their nearest members."""
    interpolation_fractions: tuple[PositiveFloat, ...] = (0.1, 0.2, 0.3, 0.5)
    """Weights of the second member in the baselines that interpolate aligned pairs. One more is added, at the generated
    networks' distance."""
    soup_sizes: tuple[PositiveInt, ...] = (2, 4, 8, 16)
    """Numbers of aligned members averaged in the soup baselines; sizes above the zoo's are left out."""
    ensemble_sizes: tuple[PositiveInt, ...] = (1, 2, 5, 10, 20, 50, 100, 200)
    """Numbers of networks in ensembles of members, of held-out members and of generated networks; sizes above the set's
    are left out."""
    ood: Dataset | None = None
    """Data set of the same input shape whose test examples ensembles are to tell from the zoo's, by their energy; it is
    normalized with its own numbers unless `normalize` says others. None: no such figure."""
    round_trip_components: tuple[PositiveInt, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500)
    """Numbers of principal components from which held-out members are rebuilt, unaligned and aligned; numbers above the
    zoo's are left out."""
    probe_members: NonNegativeInt = 8
    """Members whose test scores are compared before and after canonicalization, and held-out members rebuilt from
    principal components. 0: none."""
    finetune: FineTune | None = None
    """Fine-tuning on the zoo's own data. None: none; {}: with all defaults."""
    transfer: tuple[Transfer, ...] = ()
    """Data sets that networks are transferred to; none by default."""
    seed: Seed = 0
    """Seed of the baselines, of the choices of members, and of further training."""
