"""Members plus Gaussian noise."""

from collections.abc import Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from stages.evaluation.baseline import Level, Members, Rows, baseline, with_matched_level
from stages.evaluation.inputs import EvaluationInputs


@baseline(order=10, any_strength=True, ensembles=True)
def noise(inputs: EvaluationInputs) -> Iterator[Level]:
    """Random members plus Gaussian noise, whose standard deviation is the number times that of each tensor's values; a
    number beside `evaluate.noise_levels` makes it about as long as the generated networks' median distance.

    Asks whether blurring members does as well.
    """
    matched = float(inputs.nearest.distance.median() / inputs.spread.norm())
    for level in with_matched_level(inputs.params.noise_levels, matched):
        yield Level(f"{level:g}", partial(noisy_members, inputs.members, inputs.spread, level))


def noisy_members(
    members: Members, spread: Float[Tensor, " parameters"], level: float, count: int, draw: torch.Generator
) -> Rows:
    """Random members plus Gaussian noise of `level` times each tensor's standard deviation, given per parameter."""
    chosen = members[torch.randint(len(members), (count,), generator=draw)]
    return chosen + level * spread * torch.randn(chosen.shape, generator=draw)
