"""Members plus Gaussian noise."""

from collections.abc import Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from stages.evaluation.baseline import Level, Members, Rows, baseline, with_matched_level
from stages.evaluation.inputs import EvaluationInputs


@baseline(order=10, any_strength=True)
def noise(inputs: EvaluationInputs) -> Iterator[Level]:
    """At each level of the parameters, and at the one that moves members as far as the generated networks lie."""
    matched = float(inputs.nearest.distance.median() / inputs.spread.norm())
    for level in with_matched_level(inputs.params.noise_levels, matched):
        yield Level(f"{level:g}", partial(noisy_members, inputs.members, inputs.spread, level))


def noisy_members(
    members: Members, spread: Float[Tensor, " parameters"], level: float, count: int, draw: torch.Generator
) -> Rows:
    """Random members plus Gaussian noise of `level` times each tensor's standard deviation, given per parameter."""
    chosen = members[torch.randint(len(members), (count,), generator=draw)]
    return chosen + level * spread * torch.randn(chosen.shape, generator=draw)
