"""Data sets as three splits of distinct types, so that nobody can fit on what only `evaluate` may see."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.errors import DataMissing
from stages.params.dataset import Dataset
from stages.seeds import generator


@dataclass(frozen=True)
class Train:
    """Examples that fit members: inputs [examples, ...] float, targets [examples] int."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Validation:
    """Examples that pick and gate; taken from the training data."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Test:
    """Examples touched once, in evaluate."""

    __test__ = False  # no test case, whatever pytest makes of the name

    inputs: Tensor
    targets: Tensor


Arrays = tuple[np.ndarray, np.ndarray]


def load_fitting(dataset: Dataset, root: Path) -> tuple[Train, Validation]:
    """The training data, a fixed random share of it set apart as validation; scaled as the network sees it.

    Raises DataMissing saying what to put where.
    """
    name = dataset.name
    inputs, targets = _tensors(name, *SOURCES[name](root, True))
    order = torch.randperm(len(inputs), generator=generator("validation", name))
    kept = len(inputs) - round(dataset.validation * len(inputs))
    fit, held = order[:kept], order[kept:]
    return Train(inputs[fit], targets[fit]), Validation(inputs[held], targets[held])


def load_test(dataset: Dataset, root: Path) -> Test:
    """The test data. Only `evaluate` may call this.

    Raises DataMissing saying what to put where.
    """
    return Test(*_tensors(dataset.name, *SOURCES[dataset.name](root, False)))


def _tensors(name: str, inputs: np.ndarray, targets: np.ndarray) -> tuple[Tensor, Tensor]:
    mean, std = SCALES[name]
    scaled = (inputs.astype(np.float32) - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return torch.from_numpy(scaled), torch.from_numpy(targets.astype(np.int64))


def _iris(root: Path, train: bool) -> Arrays:
    del root
    from sklearn.datasets import load_iris

    data: Any = load_iris()
    return _part((data.data, data.target), test=0.3, train=train)


def _digits(root: Path, train: bool) -> Arrays:
    del root
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    return _part((data.data, data.target), test=0.25, train=train)


def _part(data: Arrays, *, test: float, train: bool) -> Arrays:
    """One side of a fixed stratified split, for data sets that come without one."""
    from sklearn.model_selection import train_test_split

    inputs, targets = data
    fit, held = train_test_split(np.arange(len(targets)), test_size=test, random_state=0, stratify=targets)
    chosen = np.asarray(fit if train else held)
    return inputs[chosen], targets[chosen]


def _torchvision(class_name: str) -> Callable[[Path, bool], Arrays]:
    def load(root: Path, train: bool) -> Arrays:
        from torchvision import datasets

        cls = getattr(datasets, class_name)
        try:
            data = cls(str(root), train=train, download=not _offline())
        except (RuntimeError, OSError, ValueError, AssertionError) as error:  # the last two: a damaged file
            where = root / class_name / "raw"
            raise DataMissing(
                f"{class_name} can't be read from {where} or downloaded ({_first_line(error)}); put its four IDX files "
                f"({', '.join(Path(p).stem for p, _ in cls.resources[:2])}, ...) there, or name the folder above "
                f"{class_name}/ with --data-root or DWF_DATA_ROOT"
            ) from error
        return data.data.numpy()[:, None].astype(np.float32) / 255, data.targets.numpy()

    return load


def _offline() -> bool:
    """Whether downloads are switched off (`DWF_OFFLINE=1`)."""
    return os.environ.get("DWF_OFFLINE", "") not in ("", "0")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


SOURCES: dict[str, Callable[[Path, bool], Arrays]] = {
    "iris": _iris,
    "digits": _digits,
    "mnist": _torchvision("MNIST"),
    "fashion_mnist": _torchvision("FashionMNIST"),
}
"""Data set -> function of (root, train) that gives raw inputs and integer targets."""

SCALES: dict[str, tuple[list[float] | float, list[float] | float]] = {
    "iris": ([6.0, 3.0, 4.0, 1.0], [1.0, 0.5, 2.0, 1.0]),  # round numbers in cm: nothing estimated, nothing leaked
    "digits": (5.0, 6.0),
    "mnist": (0.1307, 0.3081),
    "fashion_mnist": (0.2860, 0.3530),
}
"""Data set -> mean and standard deviation that inputs are standardized with, per feature or for all."""
