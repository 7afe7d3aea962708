"""Parameters of stage 5."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from stages.params.base import Params
from stages.params.batchnorm import BatchNorm


class SampleParams(Params):
    """How many networks are drawn, and how the flow is integrated."""

    networks: PositiveInt
    method: Literal["euler", "heun", "rk4"] = "rk4"
    steps: PositiveInt = 99
    """The paper's grid of 100 points; RK4 then calls the velocity network 396 times."""
    batchnorm: BatchNorm = BatchNorm()
    """How running statistics are measured, of generated networks and, in evaluate, of all others alike."""
    seed: NonNegativeInt = 0
