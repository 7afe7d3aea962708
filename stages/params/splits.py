"""Common parameters of all data sets: how many examples are used, and how inputs are normalized."""

from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from stages.params.base import Params


class DatasetParams(Params):
    """A data set, whoever made it."""

    reader: ClassVar[str]
    """The module in `stages.datasets` that reads and encodes data sets of this kind."""

    def modules(self) -> tuple[str, ...]:
        """The module that reads it."""
        return (f"stages.datasets.{self.reader}",)

    @property
    def counts(self) -> tuple[int | None, int | None]:
        """Numbers of training examples, validation included, and of test examples that are used; None: all."""
        raise NotImplementedError

    @property
    def validation_share(self) -> float:
        """Fraction of the training examples in the validation split, unless that is a split of its own."""
        raise NotImplementedError


class Splits(DatasetParams):
    """A built-in data set, with how many of its examples are used."""

    validation: float = Field(default=0.1, gt=0, lt=1)
    """Fraction of the training examples, in (0, 1), that no member is trained on: the validation split."""
    train: PositiveInt | None = None
    """Number of training examples, validation included: a random subset, always the same. None: all."""
    test: PositiveInt | None = None
    """Number of test examples: a random subset, always the same. None: all."""

    @property
    def counts(self) -> tuple[int | None, int | None]:
        """`train` and `test`."""
        return self.train, self.test

    @property
    def validation_share(self) -> float:
        """`validation`."""
        return self.validation


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
