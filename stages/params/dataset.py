"""Descriptions of the built-in data sets, and the union with one's own."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, PositiveInt, Tag, TypeAdapter, model_validator

from stages.params.own_kinds import Arrays, DatasetFactory, Hub, ImageFolder, TableFile
from stages.params.splits import Labelled, Normalize, Splits


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
    if isinstance(value, str) and not value.replace("_", "").isalnum():
        raise ValueError(
            f"{value!r} is no built-in data set; one's own has a kind, e.g. {{kind: csv, train: {value}, ...}}"
        )
    return {"name": value} if isinstance(value, str) else value


def _whose(value: Any) -> str:
    """Own data sets have a kind, built-in ones a name."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return BUILT_IN if kind is None else OWN


BUILT_IN, OWN = "built-in", "own"
BuiltIn = Annotated[Table | Images | Texts, Field(discriminator="name")]
Own = Annotated[Arrays | ImageFolder | TableFile | Hub | DatasetFactory, Field(discriminator="kind")]
Dataset = Annotated[
    Annotated[BuiltIn, Tag(BUILT_IN)] | Annotated[Own, Tag(OWN)], Discriminator(_whose), BeforeValidator(_named)
]
"""The union of all data sets: built-in ones, told apart by `name`, of which a bare name stands for one with defaults,
and one's own, told apart by `kind`."""


def dataset_from(description: dict[str, Any]) -> Dataset:
    """The data set that a store's attributes describe."""
    return TypeAdapter(Dataset).validate_python(description)
