"""Raw examples, before they are encoded as a network's inputs, and random subsets and splits of them."""

import os
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch

from stages.errors import UsageError


@dataclass(frozen=True)
class Examples:
    """Raw inputs [examples, ...] (numbers, bytes or texts) and targets [examples], class numbers or ratings."""

    inputs: np.ndarray
    targets: np.ndarray
    groups: np.ndarray | None = None
    """[examples] Groups that no split may separate, e.g. the review that a sentence is of."""
    validation: np.ndarray | None = None
    """[examples] Whether each is of a validation split of its own; None: there is none."""
    classes: tuple[str, ...] | None = None
    """Labels of a user's own classes, in the order of their numbers."""

    def __len__(self) -> int:
        return len(self.targets)

    def at(self, index: np.ndarray | torch.Tensor) -> "Examples":
        """The examples at these positions, in this order."""
        index = np.asarray(index)
        groups, validation = (None if of is None else of[index] for of in (self.groups, self.validation))
        return Examples(self.inputs[index], self.targets[index], groups, validation, self.classes)


def of_classes(examples: Examples, only: Collection[int] | None) -> Examples:
    """The examples of the classes `only`, in their order; None: all of them.

    Raises UsageError if a class has no examples.
    """
    if only is None:
        return examples
    if missing := set(only) - set(examples.targets.tolist()):
        raise UsageError(f"zoo.dataset.only: no example is of class {min(missing)}; classes are numbered from 0")
    return examples.at(np.flatnonzero(np.isin(examples.targets, list(only))))


def choose(examples: Examples, count: int | None, key: str, draw: torch.Generator) -> Examples:
    """A random subset of `count` examples, nested in every larger one; None: all of them, as they are.

    Raises UsageError naming `key`, the configuration's, if there are fewer.
    """
    if count is None:
        return examples
    if count > len(examples):
        raise UsageError(f"{key}: {count} examples asked for, but there are {len(examples)}; leave it out to use all")
    return examples.at(torch.randperm(len(examples), generator=draw)[:count])


def split(examples: Examples, share: float, draw: torch.Generator) -> tuple[Examples, Examples]:
    """All examples cut in two: their own validation split is the second part.

    Without one they are put in random order, and the second part holds `share` of them or, to keep groups whole, more.
    """
    if examples.validation is not None:
        return examples.at(np.flatnonzero(~examples.validation)), examples.at(np.flatnonzero(examples.validation))
    groups = np.arange(len(examples)) if examples.groups is None else examples.groups
    names, group = np.unique(groups, return_inverse=True)
    place = torch.randperm(len(names), generator=draw).argsort()[torch.from_numpy(group)]
    order = place.argsort(stable=True)
    kept = len(order) - round(share * len(order))
    while 0 < kept < len(order) and place[order[kept - 1]] == place[order[kept]]:
        kept -= 1
    return examples.at(order[:kept]), examples.at(order[kept:])


def offline() -> bool:
    """Whether downloads are switched off (`DWF_OFFLINE=1`)."""
    return os.environ.get("DWF_OFFLINE", "") not in ("", "0")


def first_line(error: Exception) -> str:
    """The first line of an error's message, of 120 characters at most."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
