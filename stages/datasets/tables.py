"""Iris and digits, the tables that come with scikit-learn."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.datasets.examples import Examples, of_classes
from stages.datasets.normalize import Normalization, Values, normalization
from stages.params.dataset import Table

SCALES: dict[str, tuple[Values, Values]] = {
    "iris": ((6.0, 3.0, 4.0, 1.0), (1.0, 0.5, 2.0, 1.0)),  # round numbers in cm: nothing estimated, nothing leaked
    "digits": (5.0, 6.0),
}
"""Table -> mean and standard deviation that inputs are normalized with unless others are given."""
FEATURES = {"iris": 4, "digits": 64}
"""Table -> number of features."""
TEST_SHARES = {"iris": 0.3, "digits": 0.25}
"""Table -> share of its rows in the test split, which it comes without."""


def read(dataset: Table, root: Path, *, train: bool) -> Examples:
    """One side of a fixed split, stratified by class; nothing is read below `root`."""
    del root
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    data: Any = {"iris": datasets.load_iris, "digits": datasets.load_digits}[dataset.name]()
    rows = np.arange(len(data.target))
    fitted, test = train_test_split(rows, test_size=TEST_SHARES[dataset.name], random_state=0, stratify=data.target)
    return of_classes(Examples(data.data, data.target).at(np.asarray(fitted if train else test)), dataset.only)


def encoder(dataset: Table, fitted: Callable[[], Examples]) -> Callable[[Examples], Tensor]:
    """Normalization with fixed numbers; nothing is learned from examples."""
    del fitted
    return partial(encode, dataset)


def describe(dataset: Table) -> str:
    """What networks are given of a feature x."""
    return "as they are" if dataset.normalize == "none" else _normalization(dataset).formula("x")


def encode(dataset: Table, examples: Examples) -> Tensor:
    """Normalized features [examples, features], float32."""
    by = _normalization(dataset)
    return torch.from_numpy((examples.inputs.astype(np.float32) - by.mean) / by.std)


def _normalization(dataset: Table) -> Normalization:
    return normalization(dataset.normalize, SCALES[dataset.name], FEATURES[dataset.name], dataset.name)
