"""The data sets of a zoo, loaded and checked against each other and against the network."""

from pathlib import Path

import torch
from torch import nn

from stages.datasets import Train, Validation, load_fitting
from stages.errors import UsageError
from stages.params.zoo import Zoo

Data = dict[str, tuple[Train, Validation]]
"""The splits that a zoo may see, by the names of its data sets."""
REFUSALS = (RuntimeError, ValueError, IndexError, AssertionError)
"""What networks raise at inputs of another shape, or at tokens beyond their vocabulary."""


def load_data(params: Zoo, module: nn.Module, root: Path) -> Data:
    """Every data set of the zoo; empty if it has none.

    Raises DataMissing, or UsageError unless data sets are alike and the network takes each of them.
    """
    data = {name: load_fitting(dataset, root) for name, dataset in params.datasets.items()}
    for name, (train, _) in data.items():
        first, (reference, _) = next(iter(data.items()))
        if _task(train) != _task(reference):
            raise UsageError(
                f"zoo.other_datasets: {name} has {_task(train)}, but {first} has {_task(reference)}; data sets of one "
                f"zoo must be alike: set size and channels of images, e.g. {{name: {name}, size: 8, channels: 1}}, or "
                f"leave {name} out"
            )
        check_shapes(module, train, name)
    return data


def _task(data: Train) -> str:
    """What a network maps to what. The number of classes doesn't count: a subset of them is a data set, too."""
    inputs = "values" if data.inputs.is_floating_point() else "tokens"
    targets = "one number to predict" if data.targets.is_floating_point() else "classes"
    return f"inputs of {data.inputs[0].numel()} {inputs} and {targets}"


@torch.no_grad()
def check_shapes(module: nn.Module, train: Train, name: str) -> None:
    """Raise UsageError unless the network takes the inputs of the data set and gives the outputs its targets need."""
    try:
        shape = tuple(module.eval()(train.inputs[:2]).shape)
    except REFUSALS as error:
        inputs = tuple(train.inputs.shape[1:])
        raise UsageError(f"zoo.network doesn't take {name}'s inputs of shape {inputs}: {error}") from error
    classes = 0 if train.targets.is_floating_point() else int(train.targets.max()) + 1
    if not classes:
        if shape != (2,):
            raise UsageError(
                f"zoo.network gives outputs {shape[1:]} per example, but {name} has one number to predict: a last "
                "width of 1 for an mlp, x.squeeze(-1) in the forward of others"
            )
    elif len(shape) != 2 or shape[1] < classes:
        found = "one number as its output" if len(shape) == 1 else f"{shape[-1]} outputs"
        raise UsageError(f"zoo.network has {found}, but {name} has {classes} class{'es' * (classes > 1)}")
