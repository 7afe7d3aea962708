"""Encoding of a user's own inputs: numbers by feature, images of bytes by channel, texts as word pieces."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from stages.datasets.examples import Examples
from stages.datasets.normalize import Normalization
from stages.datasets.pixels import channels_first, of_channels, of_size
from stages.datasets.tokenizer import Tokenizer
from stages.errors import UsageError
from stages.params.own_data import OwnDataset
from stages.params.splits import MeanAndStd

BLOCK = 2**24
"""Numbers whose sums are taken at once, in double precision."""


def input_type(dataset: OwnDataset, inputs: np.ndarray) -> str:
    """`numbers`, `images` or `texts`, as the data set says or the inputs [examples, ...] look."""
    if dataset.input_type is not None:
        return dataset.input_type
    if inputs.dtype.kind in "OU":
        return "texts"
    return "images" if inputs.dtype == np.uint8 and inputs.ndim in (3, 4) else "numbers"


def encoder(dataset: OwnDataset, fitted: Callable[[], Examples]) -> Callable[[Examples], Tensor]:
    """The function from raw examples to inputs; normalization and tokens are learned from `fitted` examples alone."""
    learned = dataset.input_type is not None and dataset.normalize != "train"
    kind = dataset.input_type if learned else input_type(dataset, fitted().inputs)
    if kind == "texts":
        tokenizer = Tokenizer.learned(fitted().inputs.tolist(), dataset.vocabulary, dataset.length)
        return lambda examples: tokenizer(examples.inputs.tolist())
    by = normalization_of(dataset, fitted)
    return partial(_encode_images if kind == "images" else _encode_numbers, dataset, by)


def describe(dataset: OwnDataset) -> str:
    """What networks are given of a number or a pixel x, or of a text."""
    if dataset.input_type == "texts":
        return f"{dataset.length} tokens of each text, word pieces learned from the training texts"
    x, size = ("x / 255", _sized(dataset)) if dataset.input_type == "images" else ("x", "")
    if dataset.normalize == "train":
        return f"{x}, by mean and standard deviation of the training examples{size}"
    if dataset.normalize == "none":
        return ("as they are" if x == "x" else x) + size
    return _given(dataset.normalize).formula(x) + size


def normalization_of(dataset: OwnDataset, fitted: Callable[[], Examples]) -> Normalization:
    """The given normalization, or that of `fitted` examples."""
    if dataset.normalize != "train":
        return _given(dataset.normalize)
    inputs = fitted().inputs
    pixels = input_type(dataset, inputs) == "images"
    mean, std = _mean_and_std(of_size(channels_first(inputs), dataset.size) if pixels else inputs)
    unit = 255 if pixels else 1
    return Normalization((mean / unit).astype(np.float32), (np.where(std > 0, std, unit) / unit).astype(np.float32))


def _given(values: MeanAndStd | Literal["none"]) -> Normalization:
    mean, std = (0.0, 1.0) if values == "none" else (values.mean, values.std)
    return Normalization(np.atleast_1d(np.asarray(mean, np.float32)), np.atleast_1d(np.asarray(std, np.float32)))


def as_written(by: Normalization) -> MeanAndStd:
    """The numbers of a normalization, as a description of a data set holds them."""
    return MeanAndStd(mean=tuple(by.mean.tolist()), std=tuple(by.std.tolist()))


def _mean_and_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By feature of tables [examples, features], by channel of images, over everything of other shapes."""
    axes = {2: (0,), 4: (0, 2, 3)}.get(values.ndim, tuple(range(values.ndim)))
    step = max(1, BLOCK // max(1, values[0].size))
    blocks = [values[i : i + step] for i in range(0, len(values), step)]
    count = values.size / max(1, np.prod([n for axis, n in enumerate(values.shape) if axis not in axes]))
    mean = np.add.reduce([block.sum(axes, dtype=np.float64) for block in blocks]) / count
    centre = mean[:, None, None] if values.ndim == 4 else mean
    squares = [np.square(block - centre, dtype=np.float64).sum(axes) for block in blocks]
    return np.atleast_1d(mean), np.atleast_1d(np.sqrt(np.add.reduce(squares) / count))


def _encode_numbers(dataset: OwnDataset, by: Normalization, examples: Examples) -> Tensor:
    inputs = examples.inputs.astype(np.float32)
    _check_count(dataset, by, inputs.shape[1] if inputs.ndim in (2, 4) else 1)
    mean, std = (values.reshape(-1, 1, 1) if inputs.ndim == 4 else values for values in (by.mean, by.std))
    return torch.from_numpy((inputs - mean) / std)


def _encode_images(dataset: OwnDataset, by: Normalization, examples: Examples) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(of_size(channels_first(examples.inputs), dataset.size)))
    _check_count(dataset, by, pixels.shape[1])
    mean, std = (torch.from_numpy(values).view(-1, 1, 1) for values in (by.mean, by.std))
    return of_channels(pixels.to(torch.float32).div_(255).sub_(mean).div_(std), dataset.channels, dataset.name)


def _check_count(dataset: OwnDataset, by: Normalization, count: int) -> None:
    for field, values in (("mean", by.mean), ("std", by.std)):
        if len(values) not in (1, count):
            raise UsageError(
                f"zoo.dataset.normalize: {field} has {len(values)} values, but {dataset.name} has {count} features or "
                f"channels; give one value, or {count}"
            )


def _sized(dataset: OwnDataset) -> str:
    size = f", images of {dataset.size} x {dataset.size} pixels" if dataset.size else ""
    return size + (f", in {dataset.channels} channels" if dataset.channels == 3 else "")
