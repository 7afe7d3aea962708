"""Parameters of stage 5."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from stages.params.base import Params
from stages.params.batchnorm import BatchNorm


class SampleParams(Params):
    """How many networks are drawn, and how the flow is integrated."""

    networks: PositiveInt
    method: Literal["euler", "heun", "rk4"] = "rk4"
    steps: PositiveInt = 99
    """The paper's grid of 100 points; RK4 then calls the velocity network 396 times."""
    start_time: float = Field(default=0.0, ge=0, lt=1)
    """Time at which the flow begins, at random training members mixed with noise as on the path: 0 begins at noise alone,
    later times make variations of members that lie ever nearer to them (SDEdit: Meng et al., arXiv 2108.01073)."""
    temperature: PositiveFloat = 1.0
    """Multiplies the source noise: below 1 networks are more alike."""
    keep_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the networks drawn that is kept: those with the lowest loss on the zoo's own training data. Evaluate
    chooses among baselines in the same way."""
    condition: dict[str, str | float] = Field(default_factory=dict)
    """What the flow is told of the networks to be drawn, of the facts in `fit.condition`."""
    guidance: NonNegativeFloat = 1.0
    """How much what is told counts (classifier-free guidance): 0 not at all, 1 as learned, above 1 more than that."""
    batchnorm: BatchNorm = BatchNorm()
    """How running statistics are measured, of generated networks and, in evaluate, of all others alike."""
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _any_member(self) -> "SampleParams":
        if self.start_time and self.condition:
            raise ValueError("start_time > 0 begins at any member, whatever condition asks for; leave one of them out")
        return self
