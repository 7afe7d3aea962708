"""Descriptions of every data set that a configuration can name."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, TypeAdapter, model_validator

from stages.params.base import Params


class Splits(Params):
    """A data set, with how many of its examples are used."""

    reader: ClassVar[str]
    """The module in `stages.datasets` that reads and encodes data sets of this kind."""

    validation: float = Field(default=0.1, gt=0, lt=1)
    """Fraction of the training examples, in (0, 1), that no member is trained on: the validation split."""
    train: PositiveInt | None = None
    """Number of training examples, validation included: a random subset, always the same. None: all."""
    test: PositiveInt | None = None
    """Number of test examples: a random subset, always the same. None: all."""

    def modules(self) -> tuple[str, ...]:
        """The module that reads it."""
        return (f"stages.datasets.{self.reader}",)


class Labelled(Splits):
    """A data set for classification."""

    only: tuple[NonNegativeInt, ...] | None = Field(default=None, min_length=1)
    """Class numbers to restrict the data set to; classes keep their numbers. None: all classes."""


class MeanAndStd(Params):
    """Numbers that inputs are normalized with, to (x - mean) / std."""

    mean: float | tuple[float, ...]
    """Mean to subtract: one number, or one for each feature or channel."""
    std: PositiveFloat | tuple[PositiveFloat, ...]
    """Standard deviation to divide by: one number, or one for each feature or channel."""


Normalize = MeanAndStd | Literal["none"] | None
"""How inputs are normalized; None: with the data set's usual numbers."""


class Table(Labelled):
    """Tabular data that come with scikit-learn."""

    reader = "tables"
    name: Literal["iris", "digits"]
    """Data set: `iris` (4 features, 3 classes) or `digits` (8x8 grey images as 64 features, 10 classes)."""
    normalize: Normalize = None
    """Normalization of the features: `{mean: ..., std: ...}`, or `none`: as they are. None: (x - 5) / 6 for digits, and
    round numbers near the features' own for Iris."""


class Images(Labelled):
    """Images [channels, height, width] for classification, as torchvision reads them."""

    reader = "images"
    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "stl10", "svhn"]
    """Data set, read from torchvision's files."""
    size: PositiveInt | None = None
    """Height and width in pixels: smaller images are zero-padded, larger ones scaled down. None: the data set's own."""
    channels: Literal[1, 3] | None = None
    """Number of channels: 3 repeats the channel of grey images. None: the data set's own."""
    normalize: Normalize = None
    """Normalization of the pixels, which are in [0, 1]: `{mean: ..., std: ...}`, or `none`: as they are. None: the mean
    and standard deviation over the data set's training images, by channel."""
    classes: Literal["own", "cifar10"] = "own"
    """Class numbering. `cifar10` puts STL-10's classes in CIFAR-10's order, for zero-shot scores of networks trained on
    CIFAR-10; monkeys, which CIFAR-10 lacks, are left out."""

    @model_validator(mode="after")
    def _renumbered_only_stl10(self) -> "Images":
        if self.classes == "cifar10" and self.name not in ("cifar10", "stl10"):
            raise ValueError(
                f"classes: cifar10 is for stl10 alone, whose classes can be told in CIFAR-10's; found {self.name}"
            )
        return self


class Texts(Splits):
    """Texts with a rating in [-1, 1] for regression, tokenized into word pieces learned from the training texts."""

    reader = "texts"
    name: Literal["reviews", "yelp"]
    """Data set: `reviews` (rated snippets of product and film reviews) or `yelp` (reviews of 1 to 5 stars)."""
    vocabulary: int = Field(default=4096, ge=8)
    """Largest number of word pieces, special tokens included; a small corpus yields fewer. A network's `vocabulary`
    must be at least this."""
    length: int = Field(default=64, ge=3)
    """Tokens per text: longer texts are truncated, shorter ones padded. 64 truncates 1 % of the texts in `reviews`."""


def _named(value: Any) -> Any:
    """Let `mnist` stand for `{name: mnist}`."""
    return {"name": value} if isinstance(value, str) else value


Dataset = Annotated[Table | Images | Texts, Field(discriminator="name"), BeforeValidator(_named)]
"""The union of all data sets, told apart by `name`; in a configuration a bare name stands for one with defaults."""


def dataset_from(description: dict[str, Any]) -> Table | Images | Texts:
    """The data set that a store's attributes describe."""
    return TypeAdapter(Dataset).validate_python(description)
