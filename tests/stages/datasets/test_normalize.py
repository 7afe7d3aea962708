"""Inputs as a formula says them: of the data set's own, with given numbers, and as they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris

from stages.datasets import describe_inputs, images, load_test, tables
from stages.datasets.examples import Examples
from stages.errors import UsageError
from stages.params.dataset import Dataset, Images, Table, Texts, dataset_from
from stages.params.splits import MeanAndStd

NOWHERE = Path("/nonexistent")
numbers = st.integers(-200, 200).map(lambda n: n / 4)
spreads = st.integers(1, 200).map(lambda n: n / 4)


def evaluated(dataset: Dataset, x: np.ndarray) -> np.ndarray:
    """What the formula gives, read as a person reads it: a list has a value for each channel, or feature."""
    text = describe_inputs(dataset)
    values: dict[str, Any] = {"x": x}
    return eval(text.replace("[", "array([").replace("]", "])"), {"array": np.array}, values)


@given(st.one_of(numbers, st.tuples(*[numbers] * 4)), st.one_of(spreads, st.tuples(*[spreads] * 4)))
def test_tables_are_given_as_the_formula_says(mean: Any, std: Any):
    dataset = Table(name="iris", normalize=MeanAndStd(mean=mean, std=std))
    raw = load_iris().data[:5]
    found = tables.encode(dataset, Examples(raw, np.zeros(5, int)))
    assert np.allclose(found.numpy(), evaluated(dataset, raw), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("normalize", [None, "none", {"mean": 0.5, "std": 0.5}, {"mean": 0.25, "std": (0.5, 1, 2)}])
def test_images_are_given_as_the_formula_says(normalize):
    dataset = dataset_from({"name": "cifar10", "normalize": normalize})
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    found = images.encode(dataset, Examples(pixels, np.zeros(2, int)))
    by_channel_last = evaluated(dataset, pixels.transpose(0, 2, 3, 1))
    assert np.allclose(found.numpy(), by_channel_last.transpose(0, 3, 1, 2), atol=1e-5)


@pytest.mark.parametrize(
    ("dataset", "text"),
    [
        (Table(name="digits"), "(x - 5) / 6"),
        (Table(name="digits", normalize="none"), "as they are"),
        (Table(name="iris"), "(x - [6, 3, 4, 1]) / [1, 0.5, 2, 1]"),
        (Table(name="digits", normalize=MeanAndStd(mean=0, std=16)), "x / 16"),
        (Images(name="mnist"), "(x / 255 - 0.1307) / 0.3081"),
        (
            Images(name="mnist", normalize="none", size=32, channels=3),
            "x / 255, images of 32 x 32 pixels, in three channels",
        ),
        (Texts(name="reviews", length=32), "32 tokens of each text, word pieces learned from the training texts"),
    ],
)
def test_the_formula_is_short(dataset: Dataset, text: str):
    assert describe_inputs(dataset) == text


def test_inputs_as_they_are_are_those_of_the_file():
    found = load_test(Table(name="iris", normalize="none"), NOWHERE).inputs
    rows = {row.tobytes() for row in load_iris().data.astype(np.float32)}
    assert {row.numpy().tobytes() for row in found} <= rows
    assert not torch.equal(found, load_test(Table(name="iris"), NOWHERE).inputs)


def test_as_many_numbers_as_features_are_asked_for():
    dataset = Table(name="iris", normalize=MeanAndStd(mean=(1.0, 2.0, 3.0), std=1.0))
    with pytest.raises(UsageError, match=r"zoo\.dataset\.normalize: mean has 3 values, but iris has 4 features"):
        load_test(dataset, NOWHERE)


@pytest.mark.parametrize("std", [0.0, -1.0, (1.0, 0.0)])
def test_spreads_are_positive(std: Any):
    with pytest.raises(ValueError, match="greater than 0"):
        MeanAndStd(mean=0.0, std=std)
