"""A Gaussian in the members' principal coordinates, each independent: the null model of a generator."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from stages.evaluation.baseline import Level, Rows, baseline
from stages.evaluation.inputs import EvaluationInputs


@baseline(order=40)
def gaussian(inputs: EvaluationInputs) -> Iterator[Level]:
    """Draws from a Gaussian with the members' mean and variances, independent along their principal directions: the
    null model of a generator.

    Asks whether a mean and variances do as well.
    """
    yield Level("null", partial(gaussian_codes, inputs.encode(inputs.members), inputs.decode))


def gaussian_codes(
    codes: Float[Tensor, "members k"], decode: Callable[[Tensor], Rows], count: int, draw: torch.Generator
) -> Rows:
    """Networks whose every code is drawn on its own."""
    return decode(codes.mean(0) + codes.std(0) * torch.randn(count, codes.shape[1], generator=draw))
