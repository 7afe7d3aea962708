"""Labelled images, read by torchvision from the files that their authors distribute."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.datasets.examples import Examples, first_line, of_classes, offline
from stages.datasets.normalize import Normalization, normalization
from stages.datasets.pixels import channels_first, of_channels
from stages.errors import DataMissing
from stages.params.dataset import Images


@dataclass(frozen=True)
class Source:
    """Name in torchvision, files, and mean and standard deviation of the pixels, in [0, 1], by channel."""

    name: str
    folder: str
    files: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


IDX = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"
# Mean and deviation over all pixels of the training images; MNIST's and Fashion-MNIST's are recomputed by a test where
# the files are at hand, the others are those that the field's training scripts share.
SOURCES = {
    "mnist": Source("MNIST", "MNIST/raw", IDX, (0.1307,), (0.3081,)),
    "fashion_mnist": Source("FashionMNIST", "FashionMNIST/raw", IDX, (0.2860,), (0.3530,)),
    "cifar10": Source(
        "CIFAR10",
        "cifar-10-batches-py",
        "data_batch_1 ... data_batch_5, test_batch, batches.meta",
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
    ),
    "cifar100": Source(
        "CIFAR100", "cifar-100-python", "train, test, meta", (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    ),
    "stl10": Source(
        "STL10",
        "stl10_binary",
        "train_X.bin, train_y.bin, test_X.bin, test_y.bin",
        (0.4467, 0.4398, 0.4066),
        (0.2603, 0.2566, 0.2713),
    ),
    "svhn": Source("SVHN", "", "train_32x32.mat, test_32x32.mat", (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}
"""Data set -> its source."""
STL10_AS_CIFAR10 = np.array([0, 2, 1, 3, 4, 5, 7, -1, 8, 9])
"""airplane bird car cat deer dog horse monkey ship truck -> CIFAR-10's number of the same class; it has no monkeys."""


def read(dataset: Images, root: Path, *, train: bool) -> Examples:
    """Images [examples, channels, height, width] of bytes, and classes; downloaded unless `DWF_OFFLINE` is set.

    Raises DataMissing saying which files to put where.
    """
    source = SOURCES[dataset.name]
    try:
        data = _open(source.name, str(root), train)
    except (RuntimeError, OSError, ValueError, AssertionError) as error:  # the last two: a damaged file
        raise DataMissing(
            f"{source.name} can't be read from {root / source.folder} or downloaded ({first_line(error)}); put its "
            f"files there ({source.files}), or name another root with --data-root or DWF_DATA_ROOT"
        ) from error
    labels = data.labels if hasattr(data, "labels") else data.targets
    examples = Examples(channels_first(np.asarray(data.data)), np.asarray(labels))
    if (dataset.name, dataset.classes) == ("stl10", "cifar10"):
        classes = STL10_AS_CIFAR10[examples.targets]
        examples = Examples(examples.inputs, classes).at(np.flatnonzero(classes >= 0))
    return of_classes(examples, dataset.only)


def encoder(dataset: Images, fitted: Callable[[], Examples]) -> Callable[[Examples], Tensor]:
    """Resizing and normalization with fixed numbers; nothing is learned from examples."""
    del fitted
    return partial(encode, dataset)


def describe(dataset: Images) -> str:
    """What networks are given of a pixel x, a byte."""
    size = f", images of {dataset.size} x {dataset.size} pixels" if dataset.size else ""
    repeated = ", in three channels" if dataset.channels == 3 and len(SOURCES[dataset.name].mean) == 1 else ""
    return pixel_normalization(dataset).formula("x / 255") + size + repeated


def encode(dataset: Images, examples: Examples) -> Tensor:
    """Normalized images [examples, channels, height, width], float32; padding is black, as a pixel is.

    Raises UsageError if images have more channels than asked for.
    """
    by = pixel_normalization(dataset)
    mean, std = (torch.from_numpy(values).view(-1, 1, 1) for values in (by.mean, by.std))
    pixels = torch.from_numpy(_resize(dataset, examples.inputs)).to(
        torch.float32, memory_format=torch.contiguous_format
    )
    return of_channels(pixels.div_(255).sub_(mean).div_(std), dataset.channels, dataset.name)


def pixel_normalization(dataset: Images) -> Normalization:
    """What pixels in [0, 1] are normalized with, by channel."""
    source = SOURCES[dataset.name]
    return normalization(dataset.normalize, (source.mean, source.std), len(source.mean), dataset.name)


def _open(name: str, root: str, train: bool) -> Any:
    """The data set as torchvision opens it, of labelled images alone."""
    from torchvision import datasets

    class LabelledSTL10(datasets.STL10):
        train_list = datasets.STL10.train_list[:2]  # the 100,000 unlabelled images needn't be there

    cls: Any = LabelledSTL10 if name == "STL10" else getattr(datasets, name)
    if name in ("STL10", "SVHN"):
        return cls(root, split="train" if train else "test", download=not offline())
    return cls(root, train=train, download=not offline())


def _resize(dataset: Images, pixels: np.ndarray) -> np.ndarray:
    """Images of the size asked for: scaled down by antialiased bilinear interpolation, or zero-padded.

    Where the padding is odd, there is one more pixel below and on the right.
    """
    side = int(pixels.shape[-1])
    size = dataset.size or side
    if (missing := size - side) < 0:
        from torchvision.transforms.functional import resize

        return resize(torch.from_numpy(pixels), [size, size], antialias=True).numpy()
    padding = (missing // 2, missing - missing // 2)
    return np.pad(pixels, np.array([(0, 0), (0, 0), padding, padding])) if missing else pixels
