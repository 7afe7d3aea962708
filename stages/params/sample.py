"""Parameters of stage 5."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from stages.params.base import Params
from stages.params.batchnorm import BatchNorm


class SampleParams(Params):
    """How many networks are drawn, and how the flow is integrated."""

    networks: PositiveInt
    method: Literal["euler", "heun", "rk4"] = "rk4"
    steps: PositiveInt = 99
    """The paper's grid of 100 points; RK4 then calls the velocity network 396 times."""
    temperature: PositiveFloat = 1.0
    """Multiplies the source noise: below 1 networks are more alike."""
    keep: float = Field(default=1.0, gt=0, le=1)
    """Share of the networks drawn that is kept: those with the lowest loss on the zoo's own training data. Evaluate
    chooses among baselines in the same way."""
    condition: dict[str, str | float] = Field(default_factory=dict)
    """What the flow is told of the networks to be drawn, of the facts in `fit.condition`."""
    guidance: NonNegativeFloat = 1.0
    """How much what is told counts (classifier-free guidance): 0 not at all, 1 as learned, above 1 more than that."""
    batchnorm: BatchNorm = BatchNorm()
    """How running statistics are measured, of generated networks and, in evaluate, of all others alike."""
    seed: NonNegativeInt = 0
