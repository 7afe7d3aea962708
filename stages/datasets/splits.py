"""Training, validation and test splits of every data set: the same examples in every run."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from stages.datasets import own
from stages.datasets.examples import Examples, choose, split
from stages.datasets.normalize import Normalization
from stages.errors import UsageError
from stages.params.dataset import Dataset, Images
from stages.params.own_data import OwnDataset
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
    """Examples for model selection, taken from the training data."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Test:
    """Examples for the final evaluation alone."""

    __test__ = False  # no test case, whatever pytest makes of the name

    inputs: Tensor
    targets: Tensor


@runtime_checkable
class Reader(Protocol):
    """The module of one kind of data set, such as `stages.datasets.images`."""

    def read(self, dataset: Any, root: Path, *, train: bool) -> Examples:
        """The raw examples of one side of the authors' split, of the classes that are asked for.

        Raises DataMissing saying which files to put where.
        """
        ...

    def encoder(self, dataset: Any, fitted: Callable[[], Examples]) -> Callable[[Examples], Tensor]:
        """The function from raw examples to a network's inputs; `fitted` gives the examples that fit members.

        An encoder that is learned, such as a tokenizer, is learned from those alone.
        """
        ...

    def describe(self, dataset: Any) -> str:
        """What networks are given of an example, in a line: `(x - 5) / 6`."""
        ...


def load_fitting(dataset: Dataset, root: Path) -> tuple[Train, Validation]:
    """The training data, a fixed random share of it set apart as validation; scaled as the network sees it.

    Raises DataMissing saying what to put where, or UsageError if the description asks for more than there is.
    """
    fitted, held_out = _fitting(dataset, root)
    encode = _reader(dataset).encoder(dataset, lambda: fitted)
    return Train(encode(fitted), _targets(fitted)), Validation(encode(held_out), _targets(held_out))


def load_test(dataset: Dataset, root: Path) -> Test:
    """The test data. Only `evaluate` may call this.

    Raises DataMissing saying what to put where, or UsageError if the description asks for more than there is.
    """
    reader = _reader(dataset)
    test = reader.read(dataset, root, train=False)
    test = choose(test, dataset.counts[1], "zoo.dataset.test", generator("subset", dataset.name, "test"))
    return Test(reader.encoder(dataset, lambda: _fitting(dataset, root)[0])(test), _targets(test))


def describe_inputs(dataset: Dataset) -> str:
    """What networks are given of an example, in a line: `(x - 5) / 6`."""
    return _reader(dataset).describe(dataset)


def learned(dataset: Dataset, root: Path) -> Dataset:
    """The description with all that reading the training data teaches, as stores and later stages have it.

    The numbers of a fitted normalization, labels of classes, hashes of files: a user's own data have some of these.
    Raises what `load_fitting` does.
    """
    return own.learned(dataset, _fitting(dataset, root)[0]) if isinstance(dataset, OwnDataset) else dataset


def check_test(dataset: Dataset, root: Path) -> int:
    """The number of test examples whose inputs also stand among the training examples; no example leaves this module.

    0 for built-in data sets. Raises UsageError if a user's own test data don't fit the training data.
    """
    if not isinstance(dataset, OwnDataset):
        return 0
    train, test = (_reader(dataset).read(dataset, root, train=side) for side in (True, False))
    own.check_alike(train, test, "test")
    seen = set(own.comparable(train.inputs))
    return sum(example in seen for example in own.comparable(test.inputs))


def pixel_normalization(dataset: Images) -> Normalization:
    """What pixels in [0, 1] of a built-in data set of images are normalized with, by channel."""
    return _reader(dataset).pixel_normalization(dataset)  # type: ignore[attr-defined]


def _reader(dataset: Dataset) -> Reader:
    """The module of this kind of data set, imported by name.

    `Params.modules` names it too, so that the key of every zoo covers the readers of its own data sets and no others.
    Later stages load data by the description in a store; their keys cover the reader through the zoo's key, which each
    of them contains.
    """
    return cast(Reader, import_module(f"stages.datasets.{dataset.reader}"))


def _fitting(dataset: Dataset, root: Path) -> tuple[Examples, Examples]:
    """The raw training data, cut into what fits members and what validates."""
    data = _reader(dataset).read(dataset, root, train=True)
    data = choose(data, dataset.counts[0], "zoo.dataset.train", generator("subset", dataset.name, "train"))
    fitted, held_out = split(data, dataset.validation_share, generator("validation", dataset.name))
    if not len(fitted) or not len(held_out):
        raise UsageError(
            f"zoo.dataset: {len(data)} training examples of {dataset.name} with validation {dataset.validation} "
            f"leave {len(fitted)} to fit and {len(held_out)} for validation; raise zoo.dataset.train"
        )
    if isinstance(dataset, OwnDataset):
        own.check_classes(dataset, fitted)
    return fitted, held_out


def _targets(examples: Examples) -> Tensor:
    rated = examples.targets.dtype.kind == "f"
    return torch.from_numpy(examples.targets).to(torch.float32 if rated else torch.int64)
