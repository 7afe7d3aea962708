"""Normalization of inputs: with a data set's usual mean and standard deviation, with given ones, or not at all."""

from dataclasses import dataclass

import numpy as np

from stages.errors import UsageError
from stages.params.splits import Normalize

Values = float | tuple[float, ...]
"""One number for all features or channels, or one for each."""
LISTED = 8
"""Numbers that a formula shows in full."""


@dataclass(frozen=True)
class Normalization:
    """The function (x - mean) / std."""

    mean: np.ndarray
    std: np.ndarray

    def formula(self, x: str) -> str:
        """In words of mathematics, of an input called `x`: `(x - 5) / 6`."""
        centred = x if (self.mean == 0).all() else f"({x} - {_listed(self.mean)})"
        return centred if (self.std == 1).all() else f"{centred} / {_listed(self.std)}"


def normalization(given: Normalize, usual: tuple[Values, Values], count: int, name: str) -> Normalization:
    """What a data set of `count` features or channels is normalized with; `usual` are its own mean and deviation.

    Raises UsageError if there are neither one nor `count` values.
    """
    if given == "none":
        usual = (0.0, 1.0)
    elif given is not None:
        usual = (given.mean, given.std)
    for field, values in zip(("mean", "std"), usual, strict=True):
        if np.ndim(values) and np.size(values) != count:
            raise UsageError(
                f"zoo.dataset.normalize: {field} has {np.size(values)} values, but {name} has {count} features or "
                f"channels; give one value, or {count}"
            )
    mean, std = (np.atleast_1d(np.asarray(values, np.float32)) for values in usual)
    return Normalization(mean, std)


def _listed(values: np.ndarray) -> str:
    numbers = [f"{value:.4g}" for value in values.tolist()]
    if len(numbers) > LISTED:
        numbers = [*numbers[: LISTED // 2], f"... {len(values)} in all"]
    return numbers[0] if len(set(numbers)) == 1 else f"[{', '.join(numbers)}]"
