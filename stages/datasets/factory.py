"""Data sets that a function of the user's own makes."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages.datasets.examples import Examples
from stages.datasets.own import Part, one_side
from stages.datasets.own_inputs import describe, encoder
from stages.errors import UsageError
from stages.factories import explained, imported
from stages.params.own_kinds import DatasetFactory
from stages.seeds import all_seeded

__all__ = ["describe", "encoder", "read"]

PLACES: dict[int, tuple[Part, ...]] = {2: ("train", "test"), 3: ("train", "validation", "test")}
"""What a function of two or three results returns."""


def read(dataset: DatasetFactory, root: Path, *, train: bool) -> Examples:
    """What the function returns of a side, whose global random draws are the same every time.

    Raises UsageError if there is no such function, it raises something, or returns something else.
    """
    return one_side(dataset, root, _part, train=train)


def _part(dataset: DatasetFactory, root: Path, part: Part) -> Examples | None:
    del root
    made = _made(dataset)
    return _examples(made[part], f"zoo.dataset.make {dataset.make}: {part}") if part in made else None


@lru_cache(maxsize=1)
def _made(dataset: DatasetFactory) -> dict[Part, Any]:
    make = imported(dataset.make, "zoo.dataset.make")
    try:
        with all_seeded("own data"):
            made = make(**dataset.kwargs)
    except Exception as error:  # whatever the user's function raises
        raise UsageError(f"zoo.dataset.make {dataset.make}: {explained(error)}") from error
    if not isinstance(made, tuple | list) or len(made) not in PLACES:
        raise UsageError(
            f"zoo.dataset.make {dataset.make}: returns a {type(made).__name__}, expected (train, test) or (train, "
            "validation, test)"
        )
    return dict(zip(PLACES[len(made)], made, strict=True))


def _examples(made: Any, place: str) -> Examples:
    """Arrays (inputs, targets), or the items of a torch data set, as arrays."""
    if isinstance(made, tuple | list) and len(made) == 2:
        return Examples(_array(made[0]), _array(made[1]))
    if not all(hasattr(made, name) for name in ("__getitem__", "__len__")):
        raise UsageError(
            f"{place} is a {type(made).__name__}, expected (inputs, targets) or a torch data set with a length"
        )
    try:
        inputs, targets = zip(*(made[i] for i in range(len(made))), strict=True)
        return Examples(_array(inputs), _array(targets))
    except Exception as error:  # of the user's items
        raise UsageError(f"{place}: its items aren't pairs (input, target) of one shape: {explained(error)}") from error


def _array(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    if isinstance(values, Sequence) and values and isinstance(values[0], torch.Tensor):
        return torch.stack(list(values)).numpy()
    array = np.asarray(values)
    return array.astype(object) if array.dtype.kind == "U" and array.ndim == 1 else array
