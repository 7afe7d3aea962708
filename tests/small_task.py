"""A small task that networks learn in a few dozen steps, and networks for it."""

from pathlib import Path

import torch
from torch import Tensor, nn

from stages.context import Context
from stages.datasets import Test, Train
from stages.evaluation.finetune.fine_tune_run import FineTuneRun
from stages.members.draws import Seeds
from stages.nets.normalisation import normalisers
from stages.params.network import BatchNorm
from stages.params.zoo import Recipe
from stages.sampling.completion import Completion
from stages.store.layout import Layout

CTX = Context(Path("/nonexistent"))
RECIPE = Recipe(lr=0.01, batch=16, epochs=1)


def examples(count: int, seed: int, classes: int = 3, shape: tuple[int, ...] = (1, 4, 4)) -> tuple[Tensor, Tensor]:
    """Images of noise, each around its class's own image, which is the same for every seed."""
    centres = torch.randn(classes, *shape, generator=torch.Generator().manual_seed(9))
    draw = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % classes
    return centres[targets] + torch.randn(count, *shape, generator=draw), targets


def data(classes: int = 3, shape: tuple[int, ...] = (1, 4, 4)) -> tuple[Train, Test]:
    """Training and test examples."""
    return Train(*examples(80, 1, classes, shape)), Test(*examples(60, 2, classes, shape))


def mlp() -> nn.Module:
    """A network without BatchNorm and Dropout: several are trained as one stack."""
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3))


def convnet() -> nn.Module:
    """A network with BatchNorm and Dropout: several are trained one after the other."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 3)
    )


def fine_tune_run(
    module: nn.Module | None = None, home: tuple[Train, Test] | None = None, recipe: Recipe = RECIPE
) -> FineTuneRun:
    """A run on the small task, or on other data, of so far untrained networks."""
    module, (train, test) = module or mlp(), home or data()
    state = module.state_dict()
    reference = {slot.name: state[slot.name].clone() for slot in Layout.of_module(module).slots if slot.buffer}
    how = BatchNorm(images=64, batch=32)
    completion = Completion(module, reference, train if normalisers(module) else None, how)
    return FineTuneRun(completion, train, test, recipe, Seeds(5), CTX)


def untrained(module: nn.Module, networks: int = 3, seed: int = 0) -> Tensor:
    """Rows of parameters, without buffers, of networks that nobody trained."""
    draw = torch.Generator().manual_seed(seed)
    return 0.3 * torch.randn(networks, Layout.of_module(module).parameter_layout.size, generator=draw)
