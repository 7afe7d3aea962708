"""Targets of a user's own data as class numbers, or as numbers to predict."""

from dataclasses import dataclass

import numpy as np

from stages.errors import UsageError
from stages.params.own_data import OwnDataset

MANY = 100
"""Different whole numbers beyond which targets may well be amounts, not classes."""


@dataclass(frozen=True)
class Labels:
    """The labels of classes in the order of their numbers; None in a regression."""

    names: tuple[str, ...] | None

    @classmethod
    def of(cls, dataset: OwnDataset, targets: np.ndarray) -> "Labels":
        """Those of training targets [examples], in sorted order unless the data set names them.

        Raises UsageError if it isn't clear whether targets are classes, or if there is one class only.
        """
        if _task(dataset, targets) == "regression":
            return cls(None)
        names = dataset.class_names or tuple(map(str, np.unique(_plain(targets)).tolist()))
        if len(names) < 2:
            raise UsageError(
                f"zoo.dataset: all training examples of {dataset.name} are of one class, {''.join(names)!r}"
            )
        return cls(names)

    def numbered(self, dataset: OwnDataset, targets: np.ndarray, split: str) -> np.ndarray:
        """Class numbers [examples] int64, or float32 numbers to predict.

        Raises UsageError naming a label that no training example has, or a row without a finite number.
        """
        if self.names is None:
            return _numbers(dataset, targets, split)
        number = {name: i for i, name in enumerate(self.names)}
        labels, index = np.unique(_plain(targets), return_inverse=True)
        found = list(map(str, labels.tolist()))
        if unknown := [name for name in found if name not in number]:
            where = "class_names" if dataset.class_names else "the training examples"
            raise UsageError(
                f"zoo.dataset: {split} examples of {dataset.name} have the label {unknown[0]!r}, which isn't among "
                f"{where} ({', '.join(self.names[:8])}{', ...' if len(self.names) > 8 else ''})"
            )
        return np.array([number[name] for name in found], dtype=np.int64)[index]


def _task(dataset: OwnDataset, targets: np.ndarray) -> str:
    if dataset.task is not None:
        return dataset.task
    if targets.dtype.kind not in "fiu":
        return "classification"
    different = len(np.unique(targets))
    whole = bool((targets == np.round(targets)).all())
    if whole and (targets.dtype.kind == "f") == (different <= MANY):
        kind = "whole numbers" if targets.dtype.kind != "f" else "whole numbers as fractions (1.0)"
        raise UsageError(
            f"zoo.dataset.task: targets of {dataset.name} are {different} different {kind}: classes or amounts? Say "
            "classification or regression"
        )
    return "regression" if targets.dtype.kind == "f" else "classification"


def _plain(targets: np.ndarray) -> np.ndarray:
    """Labels that can be sorted: whole numbers, or texts."""
    if targets.dtype.kind == "f" and (targets == np.round(targets)).all():
        return targets.astype(np.int64)
    return targets if targets.dtype.kind in "biuU" else targets.astype(str)


def _numbers(dataset: OwnDataset, targets: np.ndarray, split: str) -> np.ndarray:
    try:
        numbers = targets.astype(np.float32)
    except ValueError as error:
        raise UsageError(
            f"zoo.dataset.task: regression, but targets of {dataset.name} aren't numbers ({error})"
        ) from None
    if len(bad := np.flatnonzero(~np.isfinite(numbers))):
        raise UsageError(
            f"zoo.dataset: {len(bad)} {split} targets of {dataset.name} are missing, NaN or infinite, first that of "
            f"row {bad[0]}; leave such rows out"
        )
    return numbers
