"""Train, validation and test: which examples each holds, fixed once and for all."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from stages.datasets import images, tables, texts
from stages.datasets.examples import Examples, choose, of_classes, part
from stages.datasets.tokenizer import Tokenizer
from stages.errors import UsageError
from stages.params.dataset import Dataset, Images, Table
from stages.seeds import generator


@dataclass(frozen=True)
class Train:
    """Examples that fit members: inputs [examples, ...] float, or int64 tokens [examples, length] with 0 as padding.

    Targets [examples] are int64 classes, or float32 ratings in a regression.
    """

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


def load_fitting(dataset: Dataset, root: Path) -> tuple[Train, Validation]:
    """The training data, a fixed random share of it set apart as validation; scaled as the network sees it.

    Raises DataMissing saying what to put where, or UsageError if the description asks for more than there is.
    """
    fit, held = _fitting(dataset, root)
    encode = _encoder(dataset, lambda: fit)
    return Train(encode(fit), _targets(fit)), Validation(encode(held), _targets(held))


def load_test(dataset: Dataset, root: Path) -> Test:
    """The test data. Only `evaluate` may call this.

    Raises DataMissing saying what to put where, or UsageError if the description asks for more than there is.
    """
    test = _read(dataset, root, train=False)
    test = choose(test, dataset.test, "zoo.dataset.test", generator("subset", dataset.name, "test"))
    return Test(_encoder(dataset, lambda: _fitting(dataset, root)[0])(test), _targets(test))


def _fitting(dataset: Dataset, root: Path) -> tuple[Examples, Examples]:
    """The training data's two parts, raw."""
    data = _read(dataset, root, train=True)
    data = choose(data, dataset.train, "zoo.dataset.train", generator("subset", dataset.name, "train"))
    fit, held = part(data, dataset.validation, generator("validation", dataset.name))
    if not len(fit) or not len(held):
        raise UsageError(
            f"zoo.dataset: {len(data)} training examples of {dataset.name} with validation {dataset.validation:g} leave "
            f"{len(fit)} to fit and {len(held)} for validation; raise zoo.dataset.train"
        )
    return fit, held


def _read(dataset: Dataset, root: Path, *, train: bool) -> Examples:
    if isinstance(dataset, Table):
        return of_classes(tables.read(dataset, train=train), dataset.only)
    if isinstance(dataset, Images):
        return of_classes(images.read(dataset, root, train=train), dataset.only)
    return texts.read(dataset, root, train=train)


def _encoder(dataset: Dataset, fit: Callable[[], Examples]) -> Callable[[Examples], Tensor]:
    """What turns raw inputs into a network's; only texts learn it, from the examples that fit members."""
    if isinstance(dataset, Table):
        return partial(tables.encode, dataset)
    if isinstance(dataset, Images):
        return partial(images.encode, dataset)
    words = Tokenizer.learned(fit().inputs.tolist(), dataset.vocabulary, dataset.length)
    return lambda examples: words(examples.inputs.tolist())


def _targets(examples: Examples) -> Tensor:
    rated = examples.targets.dtype.kind == "f"
    return torch.from_numpy(examples.targets).to(torch.float32 if rated else torch.int64)
