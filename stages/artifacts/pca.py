"""Principal components and statistics of packed networks, and subsets of these as stores of their own."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.members import OWN_BUFFERS, own_buffers
from stages.flow.spaces.codes import mean_and_covariance, mean_and_gram, principal_directions, spectrum
from stages.store.arrays import Named
from stages.store.chunks import spans
from stages.store.layout import Layout
from stages.store.weights import Shards, Weights, WeightsWriter

FACTS = (
    "seed",
    "split",
    "initialisation",
    "dataset",
    "train_score",
    "train_loss",
    "validation_score",
    "validation_loss",
)
"""What is stored about each packed member, beside what its zoo reports."""
SHARED = ("network", "stage", "buffers", "symmetry", "facts", "group")
"""Attributes of a packed store that hold of any subset of it."""


def fact_names(store: Shards | Weights) -> tuple[str, ...]:
    """FACTS, and what a zoo that was trained elsewhere reports of its members."""
    return (*FACTS, *store.attrs.get("facts", ()))


def statistics(writer: WeightsWriter, split: np.ndarray) -> dict[str, Named]:
    """Mean, per-tensor statistics, spectrum, and the basis of PCA codes: of the training members alone."""
    train = torch.from_numpy(split == "train")
    return _principal(writer, train, writer.layout.size) | _tensor_statistics(writer, train, writer.layout)


def packed_subset(packed: Weights, index: np.ndarray, attrs: Mapping[str, Any], path: Path) -> Weights:
    """The networks at these positions as if no others had been packed; a killed writer goes on where it stopped."""
    names = np.array(packed.names, dtype=object)[index]
    shared = {name: value for name, value in packed.attrs.items() if name in SHARED}
    writer = WeightsWriter(path, packed.layout, names.tolist(), {**shared, **attrs})
    for start, stop in list(writer.missing()):
        writer.write(start, packed.pick(index[start:stop]))
    facts = {name: packed.facts(name)[index] for name in fact_names(packed)}
    buffers = {"buffers": Named(("buffer",), packed.facts("buffers"))} if packed.has("buffers") else {}
    own = {f"{OWN_BUFFERS}/{name}": packed.facts(f"{OWN_BUFFERS}/{name}")[index] for name in own_buffers(packed)}
    buffers |= {name: Named(("network", name.partition("/")[2]), values) for name, values in own.items()}
    writer.finish(facts, statistics(writer, facts["split"]) | buffers)
    return Weights(path)


def _principal(writer: WeightsWriter, train: Tensor, parameters: int) -> dict[str, Named]:
    """Mean, spectrum, and a Gram matrix or directions, never larger than the smaller side of the rows squared."""
    if parameters < len(train):
        mean, covariance = mean_and_covariance(_rows(writer), train, parameters)
        values, directions = principal_directions(covariance, int(train.sum()) - 1)
        basis = {"pca/directions": Named(("parameter", "component"), directions.contiguous().numpy())}
    else:
        mean, gram = mean_and_gram(writer.columns(), train, parameters)
        values = spectrum(gram[train][:, train])
        basis = {"pca/gram": Named(("network", "other_network"), gram.numpy())}
    return basis | {
        "pca/mean": Named(("parameter",), mean.numpy()),
        "pca/variance": Named(("component",), values.numpy()),
    }


def _rows(writer: WeightsWriter) -> Iterator[tuple[int, int, Tensor]]:
    for start, stop in spans(len(writer.names), writer.step):
        yield start, stop, torch.from_numpy(np.asarray(writer.array[start:stop]))


def _tensor_statistics(writer: WeightsWriter, train: Tensor, layout: Layout) -> dict[str, Named]:
    """Mean and standard deviation of each tensor's values over all training members."""
    moments = torch.zeros(2, layout.size, dtype=torch.float64)
    for start, stop, block in writer.columns():
        values = block[train].double()
        moments[0, start:stop], moments[1, start:stop] = values.mean(0), values.square().mean(0)
    first, second = (layout.unflatten(moment) for moment in moments)
    means = np.array([float(first[s.name].mean()) for s in layout.slots])
    squares = np.array([float(second[s.name].mean()) for s in layout.slots])
    spread = np.sqrt(np.maximum(squares - means**2, 0))
    return {"layout/mean": Named(("tensor",), means), "layout/std": Named(("tensor",), spread)}
