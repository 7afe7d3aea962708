"""Rows of numbers that come with scikit-learn."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.datasets.examples import Examples
from stages.params.dataset import Table

SCALES = {
    "iris": ([6.0, 3.0, 4.0, 1.0], [1.0, 0.5, 2.0, 1.0]),  # round numbers in cm: nothing estimated, nothing leaked
    "digits": (5.0, 6.0),
}
"""Table -> mean and standard deviation that inputs are standardized with, per feature or for all."""
TESTED = {"iris": 0.3, "digits": 0.25}
"""Table -> share of its rows that are the test split, for they come without one."""


def read(dataset: Table, *, train: bool) -> Examples:
    """One side of a fixed split, stratified by class."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    data: Any = {"iris": datasets.load_iris, "digits": datasets.load_digits}[dataset.name]()
    rows = np.arange(len(data.target))
    fit, held = train_test_split(rows, test_size=TESTED[dataset.name], random_state=0, stratify=data.target)
    return Examples(data.data, data.target).at(np.asarray(fit if train else held))


def encode(dataset: Table, examples: Examples) -> Tensor:
    """Standardized features [examples, features], float32."""
    mean, std = (np.asarray(values, np.float32) for values in SCALES[dataset.name])
    return torch.from_numpy((examples.inputs.astype(np.float32) - mean) / std)
