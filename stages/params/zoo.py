"""Parameters of stage 1."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from stages.params.base import Params
from stages.params.dataset import Dataset
from stages.params.network import Network

Initialisation = Literal["torch", "kaiming_uniform", "xavier_uniform", "uniform", "normal"]
"""`torch`: Linear's own, biases too. The others set biases to zero; `uniform` is U(-0.5, 0.5), `normal` N(0, 0.5²)."""


class Recipe(Params):
    """How each member is trained."""

    optimizer: Literal["adam", "sgd"] = "adam"
    lr: PositiveFloat
    """Learning rate, constant."""
    batch: PositiveInt
    epochs: PositiveInt
    weight_decay: NonNegativeFloat = 0.0


class ZooParams(Params):
    """What the zoo is made of."""

    dataset: Dataset
    network: Network
    recipe: Recipe
    members: int = Field(ge=2)
    """Networks that the flow may learn from."""
    heldout: int = Field(ge=2)
    """Further networks that the flow never sees: the standard that generated ones are held to."""
    initialisations: tuple[Initialisation, ...] = Field(default=("kaiming_uniform",), min_length=1)
    """Member i starts from the (i mod count)-th of these."""
    shard: PositiveInt = 50
    """Networks trained together, the unit of resumption; aim at 10 s or more of work."""
    retries: NonNegativeInt = 2
    """Fallback seeds tried for a member whose training left the finite numbers."""
    seed: NonNegativeInt = 0
