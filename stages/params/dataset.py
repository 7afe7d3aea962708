"""Every data set that a configuration can name."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, TypeAdapter, model_validator

from stages.params.base import Params


class Splits(Params):
    """What every data set shares: how many of its examples are used, and for what."""

    validation: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training data that no member fits."""
    train: PositiveInt | None = None
    """Use this many training examples, validation included: a random choice, always the same. None: all."""
    test: PositiveInt | None = None
    """Use this many test examples: a random choice, always the same. None: all."""


class Labelled(Splits):
    """Examples that are of a class each."""

    only: tuple[NonNegativeInt, ...] | None = Field(default=None, min_length=1)
    """Examples of these classes alone, which keep their numbers. None: all."""


class Table(Labelled):
    """Rows of numbers that come with scikit-learn."""

    name: Literal["iris", "digits"]


class Images(Labelled):
    """Labelled images [channels, height, width], as torchvision reads them."""

    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "stl10", "svhn"]
    size: PositiveInt | None = None
    """Height and width: smaller images are zero-padded, larger ones scaled down. None: as they are."""
    channels: Literal[1, 3] | None = None
    """3 repeats grey images. None: as they are."""
    classes: Literal["own", "cifar10"] = "own"
    """`cifar10`: STL-10's classes in CIFAR-10's order, for networks that learned those; monkeys, which CIFAR-10 lacks,
    are left out. Without it a zero-shot score would compare classes of different meaning."""

    @model_validator(mode="after")
    def _named_alike(self) -> "Images":
        if self.classes == "cifar10" and self.name not in ("cifar10", "stl10"):
            raise ValueError(
                f"classes: cifar10 is for stl10 alone, whose classes can be told in CIFAR-10's; found {self.name}"
            )
        return self


class Texts(Splits):
    """Texts with a rating, as word pieces learned from the training texts."""

    name: Literal["reviews", "yelp"]
    vocabulary: int = Field(default=4096, ge=8)
    """Word pieces at most, special ones included; a small corpus yields fewer. A network's vocabulary must hold them."""
    length: int = Field(default=64, ge=3)
    """Tokens per text: longer texts are cut, shorter ones padded. 64 cuts 1 % of the reviews' snippets."""


def _named(value: Any) -> Any:
    """`mnist` stands for `{name: mnist}`."""
    return {"name": value} if isinstance(value, str) else value


Dataset = Annotated[Table | Images | Texts, Field(discriminator="name"), BeforeValidator(_named)]
"""The union of all descriptions, told apart by `name`; in a configuration a bare name stands for one with defaults."""


def dataset_from(description: dict[str, Any]) -> Table | Images | Texts:
    """The data set that a store's attributes describe."""
    return TypeAdapter(Dataset).validate_python(description)
