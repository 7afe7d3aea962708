"""Running statistics of BatchNorm and its relatives, re-estimated for each network on training inputs."""

import copy
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _NormBase

from stages.nets.stacked import NOTHING
from stages.store.layout import Layout

STATISTICS = ("running_mean", "running_var")


def normalisers(module: nn.Module) -> dict[str, _NormBase]:
    """Every BatchNorm or InstanceNorm that keeps running statistics, by its name."""
    return {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, _NormBase) and layer.running_mean is not None
    }


def running_statistics(module: nn.Module) -> set[str]:
    """The names of all running statistics among the module's buffers."""
    return {f"{name}.{each}" if name else each for name in normalisers(module) for each in STATISTICS}


def reestimate(
    module: nn.Module,
    layout: Layout,
    rows: Float[Tensor, "networks parameters"],
    inputs: Tensor,
    batch: int,
    buffers: Mapping[str, Tensor] = NOTHING,
) -> dict[str, Tensor]:
    """The running statistics [networks, channels] of every network on these inputs; empty without BatchNorm.

    `buffers` are the networks' other ones, [networks, ...] by name; where they are left out, the module's own.

    They are the plain averages over batches of each batch's mean and unbiased variance, with everything but BatchNorm
    in evaluation mode, as after `reset_running_stats()` with `momentum=None`. An incomplete last batch is left out.
    `module` stays as it is. Statistics of a network that overflows aren't finite.
    """
    if not normalisers(module):
        return {}
    measuring = copy.deepcopy(module).eval().requires_grad_(False)
    parameter_layout = layout.parameter_layout
    batches = [part for part in inputs.split(batch) if len(part) == min(batch, len(inputs))]
    others = {name: tensor for name, tensor in buffers.items() if name not in running_statistics(module)}
    stacked = parameter_layout.unflatten(rows[:, : parameter_layout.size]) | others
    statistics = [
        _measure(measuring, {name: tensor[i] for name, tensor in stacked.items()}, batches) for i in range(len(rows))
    ]
    return {name: torch.stack([network[name] for network in statistics]) for name in statistics[0]}


@torch.no_grad()
def _measure(module: nn.Module, state: dict[str, Tensor], batches: Sequence[Tensor]) -> dict[str, Tensor]:
    """One network's running statistics, by their names in its state dict; what it kept of another one is dropped."""
    statistics = {}
    module.train().eval()
    for layer in normalisers(module).values():
        layer.train().reset_running_stats()
    for number, inputs in enumerate(batches):
        for layer in normalisers(module).values():
            layer.momentum = 1 / (number + 1)  # the plain average; InstanceNorm knows no momentum=None
        functional_call(module, state, (inputs,))
    for name, layer in normalisers(module).items():
        for statistic in STATISTICS:
            statistics[f"{name}.{statistic}" if name else statistic] = getattr(layer, statistic).clone()
    return statistics
