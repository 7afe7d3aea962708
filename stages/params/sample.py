"""Parameters of sample: networks drawn from the flow, and the union with those of another generator."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from stages.params.base import Params, Seed
from stages.params.imported_sample import ImportedSample
from stages.params.network import BatchNorm


class SampleParams(Params):
    """Generation of new networks: how many, and how the ODE is solved."""

    source: Literal["flow"] = "flow"
    """Origin of the networks: `flow`, the default."""
    networks: PositiveInt
    """Number of networks to generate."""
    method: Literal["euler", "heun", "rk4"] = "rk4"
    """ODE solver: 1, 2 or 4 calls of the velocity network per step. The paper uses RK4."""
    steps: PositiveInt = 99
    """Solver steps, of equal length. The paper's grid of 100 points has 99: 396 calls of the velocity network with
    RK4."""
    start_time: float = Field(default=0.0, ge=0, lt=1)
    """Time in [0, 1) at which integration starts. 0: from source noise alone. Later times start from training members
    mixed with noise as on the path, which gives variations ever nearer to them (SDEdit, arXiv 2108.01073)."""
    temperature: PositiveFloat = 1.0
    """Factor on the source noise: below 1 networks are more alike."""
    keep_fraction: float = Field(default=1.0, gt=0, le=1)
    """Fraction of the networks drawn, in (0, 1], that is kept: those with the lowest loss on the zoo's training data.
    Baselines are selected in the same way."""
    condition: dict[str, str | float] = Field(default_factory=dict)
    """Values that the flow is conditioned on, by the names in `fit.condition`, e.g. {dataset: mnist}. Names left out
    count as unknown."""
    guidance: NonNegativeFloat = 1.0
    """Weight of classifier-free guidance (arXiv 2207.12598): 0 ignores the condition, 1 is as learned, above 1
    amplifies it."""
    batchnorm: BatchNorm = BatchNorm()
    """Re-estimation of BatchNorm statistics: of generated networks and, in evaluate, of all others alike."""
    seed: Seed = 0
    """Seed of the source noise and of the members that integration starts from."""

    def modules(self) -> tuple[str, ...]:
        """Also the module that draws the networks."""
        return (f"stages.sampling.sources.{self.source}", *super().modules())

    @model_validator(mode="after")
    def _starts_or_conditions(self) -> "SampleParams":
        if self.start_time and self.condition:
            raise ValueError(
                "start_time > 0 starts from any member, whatever condition asks for; leave one of them out"
            )
        return self


def _drawn_by_default(values: Any) -> Any:
    """Set the default `source`, `flow`."""
    return {"source": "flow", **values} if isinstance(values, dict) else values


Sample = Annotated[SampleParams | ImportedSample, Field(discriminator="source"), BeforeValidator(_drawn_by_default)]
"""The union of all origins of generated networks, told apart by `source`."""
