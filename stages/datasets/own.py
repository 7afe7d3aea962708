"""Splits of a user's own data as the readers of every kind give them: checked, cut, with classes numbered."""

import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stages.datasets.examples import Examples
from stages.datasets.labels import Labels
from stages.datasets.own_inputs import as_written, input_type, normalization_of
from stages.errors import UsageError
from stages.params.own_data import D, OwnDataset

Part = Literal["train", "validation", "test"]
Parts = Callable[[Any, Path, Part], Examples | None]
"""Reads a part of a data set, with targets as they stand in the files; None: there is no validation split."""


def one_side(dataset: OwnDataset, root: Path, parts: Parts, *, train: bool) -> Examples:
    """The training or the test split; a validation split of its own is part of the former.

    Raises DataMissing for files that can't be read or aren't those that the description was made of, and UsageError for
    examples that can't be learned from.
    """
    dataset = dataset.known()
    if train:
        fitting = _fitting(dataset, root, parts)
        labels = Labels.of(dataset, fitting.targets)
        found = _numbered(dataset, labels, fitting, "training")
        if (own := _checked(dataset, root, parts, "validation")) is not None:
            found = _joined(found, _numbered(dataset, labels, own, "validation"))
        return _of_labels(dataset, found)
    learned = dataset.task is not None and (dataset.task == "regression" or dataset.class_names is not None)
    labels = Labels(dataset.class_names) if learned else Labels.of(dataset, _fitting(dataset, root, parts).targets)
    test = _required(dataset, root, parts, "test") if dataset.has_test else _cut(dataset, root, parts)[1]
    return _of_labels(dataset, _numbered(dataset, labels, test, "test"))


def learned(dataset: D, fitted: Examples) -> D:
    """The description with what reading taught: contents, task, labels of classes, and what `fitted` examples say."""
    known = dataset.known()
    kind = input_type(known, fitted.inputs)
    fit = kind != "texts" and known.normalize == "train"
    return known.model_copy(
        update={
            "task": "regression" if fitted.classes is None else "classification",
            "class_names": fitted.classes,
            "input_type": kind,
            "normalize": as_written(normalization_of(known, lambda: fitted)) if fit else known.normalize,
        }
    )


def check_classes(dataset: OwnDataset, fitted: Examples) -> None:
    """Raise UsageError naming a class that none of the examples that fit members is of."""
    if fitted.classes is None:
        return
    wanted = fitted.classes if dataset.only is None else tuple(map(str, dataset.only))
    counts = np.bincount(fitted.targets, minlength=len(fitted.classes))
    if missing := [name for name in wanted if not counts[fitted.classes.index(name)]]:
        raise UsageError(
            f"zoo.dataset: no example of {dataset.name} to train on is of the class {missing[0]!r}: add some, leave "
            "the class out, or set apart fewer for validation and test"
        )


def _fitting(dataset: OwnDataset, root: Path, parts: Parts) -> Examples:
    whole = _required(dataset, root, parts, "train")
    return whole if dataset.has_test else _cut(dataset, root, parts)[0]


def _cut(dataset: OwnDataset, root: Path, parts: Parts) -> tuple[Examples, Examples]:
    """All examples, cut into training and test: a fixed choice, stratified by class."""
    from sklearn.model_selection import train_test_split

    whole = _required(dataset, root, parts, "train")
    labels = Labels.of(dataset, whole.targets)
    classes = None if labels.names is None else labels.numbered(dataset, whole.targets, "training")
    try:
        kept, test = train_test_split(
            np.arange(len(whole)), test_size=dataset.test_share, random_state=0, stratify=classes
        )
    except ValueError as error:
        raise UsageError(
            f"zoo.dataset.test_share: {dataset.name} can't be cut in two parts with examples of every class ({error}); "
            "give a test split of its own"
        ) from error
    return whole.at(np.sort(kept)), whole.at(np.sort(test))


def _required(dataset: OwnDataset, root: Path, parts: Parts, part: Part) -> Examples:
    examples = _checked(dataset, root, parts, part)
    if examples is None:
        raise UsageError(f"zoo.dataset: {dataset.name} has no {part} examples")
    return examples


@lru_cache(maxsize=3)
def _checked(dataset: OwnDataset, root: Path, parts: Parts, part: Part) -> Examples | None:
    """A part as it was read; kept, as every shard and several stages ask for it.

    Raises UsageError unless there is one target for each input, and all inputs are finite.
    """
    examples = parts(dataset, root, part)
    if examples is None:
        return None
    inputs, targets = examples.inputs, examples.targets
    place = f"zoo.dataset: {part} examples of {dataset.name}"
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1:
        raise UsageError(f"{place}: targets have shape {list(targets.shape)}, expected one for each example [examples]")
    if len(inputs) != len(targets):
        raise UsageError(f"{place}: {len(inputs)} inputs, but {len(targets)} targets; expected one for each")
    if not len(inputs):
        raise UsageError(f"{place}: there are none")
    if inputs.dtype.kind not in "bfiuOU":
        raise UsageError(f"{place}: inputs are {inputs.dtype}, expected numbers, images of bytes or texts")
    if inputs.dtype.kind == "f" and not (finite := np.isfinite(inputs).reshape(len(inputs), -1).all(1)).all():
        bad = np.flatnonzero(~finite)
        raise UsageError(f"{place}: {len(bad)} have NaN or infinite inputs, first that of row {bad[0]}; leave them out")
    if inputs.dtype.kind == "O" and (other := next((x for x in inputs if not isinstance(x, str)), None)) is not None:
        raise UsageError(f"{place}: inputs hold a {type(other).__name__}, expected arrays of one shape, or texts")
    return Examples(inputs[:, None] if inputs.ndim == 1 and inputs.dtype.kind in "bfiu" else inputs, targets)


def _numbered(dataset: OwnDataset, labels: Labels, raw: Examples, split: str) -> Examples:
    return Examples(raw.inputs, labels.numbered(dataset, raw.targets, split), classes=labels.names)


def _joined(train: Examples, validation: Examples) -> Examples:
    """Both, with a mark on those of the second."""
    check_alike(train, validation, "validation")
    return Examples(
        np.concatenate([train.inputs, validation.inputs]),
        np.concatenate([train.targets, validation.targets]),
        validation=np.arange(len(train) + len(validation)) >= len(train),
        classes=train.classes,
    )


def check_alike(train: Examples, other: Examples, split: str) -> None:
    """Raise UsageError unless inputs of two splits have the same shape."""
    if (found := other.inputs.shape[1:]) != (expected := train.inputs.shape[1:]):
        raise UsageError(f"zoo.dataset: {split} inputs have shape {list(found)}, training inputs {list(expected)}")


def comparable(inputs: np.ndarray) -> Iterator[bytes | str]:
    """A value for each of the inputs [examples, ...], equal for those that networks can't tell apart."""
    if inputs.dtype.kind in "OU":
        return map(str, inputs)
    as_seen = inputs if inputs.dtype == np.uint8 else inputs.astype(np.float32) + 0  # which has no -0
    return (hashlib.sha256(np.ascontiguousarray(example).tobytes()).digest() for example in as_seen)


def _of_labels(dataset: OwnDataset, examples: Examples) -> Examples:
    """The examples of the labels in `only`, which keep their numbers."""
    if dataset.only is None:
        return examples
    wanted, classes = list(map(str, dataset.only)), examples.classes or ()
    if unknown := [name for name in wanted if name not in classes]:
        raise UsageError(
            f"zoo.dataset.only: {dataset.name} has no class {unknown[0]!r}; it has {', '.join(classes[:8])}"
        )
    return examples.at(np.flatnonzero(np.isin(examples.targets, [classes.index(name) for name in wanted])))
