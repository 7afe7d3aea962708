"""Parameters of stage 1."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from stages.params.base import Params
from stages.params.dataset import Dataset
from stages.params.imported import ImportedZoo
from stages.params.network import Network

Initialisation = Literal["torch", "kaiming_uniform", "xavier_uniform", "uniform", "normal"]
"""`torch`: Linear's own, biases too. The others set biases to zero; `uniform` is U(-0.5, 0.5), `normal` N(0, 0.5²)."""


class Augmentation(Params):
    """Random changes of training images, drawn anew each time an image is shown."""

    crop: NonNegativeInt = 0
    """Zero-pad by this many pixels and cut the original size out at random."""
    flip: bool = False
    """Mirror left and right with probability a half."""


class Recipe(Params):
    """How each member is trained."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: PositiveFloat
    """Learning rate, the highest of the schedule."""
    batch: PositiveInt
    epochs: PositiveInt
    weight_decay: NonNegativeFloat = 0.0
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Of sgd alone."""
    nesterov: bool = False
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    """Of the learning rate, set before every step. `cosine` falls to 0; `one_cycle` rises from 1/25 of it and falls to
    1/250,000, both along cosines."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of all steps in which the learning rate rises, linearly unless the schedule is `one_cycle`."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Of classifiers."""
    clip: PositiveFloat | None = None
    """Largest norm of a member's whole gradient. None: as it is."""
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if self.optimizer != "sgd" and (self.momentum or self.nesterov):
            raise ValueError(f"momentum and nesterov are sgd's; {self.optimizer} has none to set")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0, e.g. 0.9")
        if self.schedule == "one_cycle" and not self.warmup:
            raise ValueError("one_cycle needs a warmup above 0, e.g. 0.3: the share of steps in which it rises")
        return self


class ZooParams(Params):
    """What a trained zoo is made of."""

    source: Literal["train"] = "train"
    dataset: Dataset
    other_datasets: tuple[Dataset, ...] = ()
    """Further data sets: member i is trained on the (i mod count)-th of all. Inputs of as many values, as many classes."""
    network: Network
    recipe: Recipe
    members: int = Field(ge=2)
    """Networks that the flow may learn from."""
    heldout: int = Field(ge=2)
    """Further networks that the flow never sees: the standard that generated ones are held to."""
    initialisations: tuple[Initialisation, ...] = Field(default=("kaiming_uniform",), min_length=1)
    """Member i starts from the (i mod count)-th of these; of several data sets, the i-th member of each."""
    shard_size: PositiveInt = 50
    """Networks trained together, the unit of resumption; aim at 10 s or more of work. Small MLPs and CNNs are
    trained as one stack; others one after the other, where 1 to 4 keep what a kill can cost small."""
    max_retries: NonNegativeInt = 2
    """Fallback seeds tried for a member whose training left the finite numbers."""
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _enough_of_each(self) -> "ZooParams":
        if min(self.members, self.heldout) < 2 * (count := 1 + len(self.other_datasets)):
            raise ValueError(f"members and heldout must be at least {2 * count}: two of each of {count} data sets")
        return self

    @property
    def datasets(self) -> dict[str, Dataset]:
        """All data sets by names of their own: `iris`, and `iris-2` for the second description of the same one."""
        found: dict[str, Dataset] = {}
        names = [one.name for one in (self.dataset, *self.other_datasets)]
        for i, one in enumerate((self.dataset, *self.other_datasets)):
            before = names[:i].count(one.name)
            found[f"{one.name}-{before + 1}" if before else one.name] = one
        return found

    def initialisation(self, member: int) -> Initialisation:
        """How a member begins. Every data set has members of every kind."""
        return self.initialisations[member // (1 + len(self.other_datasets)) % len(self.initialisations)]


def _trained_by_default(values: Any) -> Any:
    """A zoo that doesn't say where it comes from is trained."""
    return {"source": "train", **values} if isinstance(values, dict) else values


Zoo = Annotated[ZooParams | ImportedZoo, Field(discriminator="source"), BeforeValidator(_trained_by_default)]
"""Where the zoo comes from, told apart by `source`: `train` or `checkpoints`."""
