"""Parameters of zoo: members trained here, and the union with imported ones."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from stages.params.base import Params, Seed
from stages.params.checkpoints import ImportedZoo
from stages.params.dataset import Dataset
from stages.params.matrix import MatrixZoo
from stages.params.network import FunctionName, Network
from stages.params.run_folders import RunFoldersZoo

Initialisation = Literal["torch", "kaiming_uniform", "xavier_uniform", "uniform", "normal"]
"""`torch`: the layers' own, biases too. The others set biases to zero; `uniform` is U(-0.5, 0.5), `normal` N(0,
0.5²)."""


class Augmentation(Params):
    """Random augmentation of training images, drawn anew each time an image is shown."""

    crop: NonNegativeInt = 0
    """Zero padding in pixels on each side before a random crop of the original size. 0: no crop."""
    flip: bool = False
    """Horizontal flip with probability 1/2."""


class Recipe(Params):
    """Training recipe of a member."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimizer of the members' weights."""
    lr: PositiveFloat
    """Learning rate at the peak of the schedule."""
    batch: PositiveInt
    """Training examples per step (batch size)."""
    epochs: PositiveInt
    """Passes over the training examples."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay: decoupled for `adamw`, an L2 penalty for `adam` and `sgd`."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Momentum of `sgd`, in [0, 1); the other optimizers have none to set."""
    nesterov: bool = False
    """Nesterov momentum for `sgd`; needs a momentum above 0."""
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    """Schedule of the learning rate, step by step. `cosine` falls to 0; `one_cycle` rises from 1/25 of the peak and
    falls to 1/250,000 of it, both along cosines."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of all steps, in [0, 1), in which the learning rate rises: linearly, or along a cosine for
    `one_cycle`."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Label smoothing of the cross-entropy, in [0, 1); for classifiers only."""
    clip: PositiveFloat | None = None
    """Largest norm of a member's gradient, over all its parameters (gradient clipping). None: no clipping."""
    augmentation: Augmentation = Augmentation()
    """Data augmentation of training images; none by default."""

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if self.optimizer != "sgd" and (self.momentum or self.nesterov):
            raise ValueError(f"momentum and nesterov are sgd's; {self.optimizer} has none to set")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0, e.g. 0.9")
        if self.schedule == "one_cycle" and not self.warmup:
            raise ValueError("one_cycle needs a warmup above 0, e.g. 0.3: the share of steps in which it rises")
        return self


class RecipeFactory(Params):
    """A function of the user's own that trains members, one after the other, for what a recipe can't say."""

    kind: Literal["factory"]
    """Kind of recipe: `factory`, a function."""
    train: FunctionName
    """The function, `package.module:name`. It is called as `train(module, data, seed, device, **kwargs)` and returns a
    state dict: of the module, initialised, given `data.train` and `data.validation` with tensors `inputs` and
    `targets`."""
    kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Further keyword arguments of the function."""

    def modules(self) -> tuple[str, ...]:
        """The function's module."""
        return (self.train.partition(":")[0],)

    def __hash__(self) -> int:
        """Equal descriptions have equal hashes; a dict has none."""
        return hash(self.model_dump_json())


def _kind_of_recipe(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "plain" if kind is None else "factory"


AnyRecipe = Annotated[
    Annotated[Recipe, Tag("plain")] | Annotated[RecipeFactory, Tag("factory")], Discriminator(_kind_of_recipe)
]
"""A recipe, or a function that has a `kind`."""


class ZooParams(Params):
    """A zoo of networks that are trained here, each from its own seed."""

    source: Literal["train"] = "train"
    """Origin of the zoo: `train`, the default."""
    dataset: Dataset
    """Data set that members are trained and evaluated on; a bare name such as `mnist` stands for its defaults."""
    other_datasets: tuple[Dataset, ...] = ()
    """Further data sets with as many inputs and classes; member i is trained on data set i modulo their
    number (the paper's Appendix K)."""
    network: Network
    """Architecture of every member."""
    recipe: AnyRecipe
    """Training recipe of every member, or a function that trains one."""
    members: int = Field(ge=2)
    """Number of members that the flow may be trained on; the paper's zoos have 100."""
    heldout: int = Field(ge=2)
    """Number of further members that the flow never sees: the reference for generated networks."""
    initialisations: tuple[Initialisation, ...] = Field(default=("kaiming_uniform",), min_length=1)
    """Weight initialisations, used in turn: member i, counted within its data set, has the one at i modulo their
    number."""
    shard_size: PositiveInt = 50
    """Networks trained and stored together: the unit of resumption, best with 10 s of work or more. Small MLPs and CNNs
    are trained stacked; others one after the other, where 1 to 4 lose least to an interruption."""
    max_retries: NonNegativeInt = 2
    """Further seeds tried for a member whose training diverged (NaN or Inf)."""
    seed: Seed = 0
    """Seed from which every member's own seed is derived."""

    @model_validator(mode="after")
    def _enough_of_each(self) -> "ZooParams":
        if min(self.members, self.heldout) < 2 * (count := 1 + len(self.other_datasets)):
            raise ValueError(f"members and heldout must be at least {2 * count}: two of each of {count} data sets")
        return self

    @property
    def datasets(self) -> dict[str, Dataset]:
        """All data sets by unique names: `iris`, and `iris-2` for the second one of the same name."""
        datasets = (self.dataset, *self.other_datasets)
        names = [dataset.name for dataset in datasets]
        counts = [names[: i + 1].count(name) for i, name in enumerate(names)]
        unique = [name if count == 1 else f"{name}-{count}" for name, count in zip(names, counts, strict=True)]
        return dict(zip(unique, datasets, strict=True))

    def modules(self) -> tuple[str, ...]:
        """Also the module that trains the members."""
        return (f"stages.members.sources.{self.source}", *super().modules())

    def initialisation(self, member: int) -> Initialisation:
        """The initialisation of member number `member`; each data set's members go through all of them in turn."""
        return self.initialisations[member // (1 + len(self.other_datasets)) % len(self.initialisations)]


def _trained_by_default(values: Any) -> Any:
    """Set the default `source`, `train`."""
    return {"source": "train", **values} if isinstance(values, dict) else values


Zoo = Annotated[
    ZooParams | ImportedZoo | RunFoldersZoo | MatrixZoo,
    Field(discriminator="source"),
    BeforeValidator(_trained_by_default),
]
"""The union of all origins of a zoo, told apart by `source`."""
