"""Proof by random elements: a table's groups keep what a network computes, and half of one doesn't."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from stages.symmetry.table import Group, Symmetry

Draw = Callable[[Symmetry, torch.Generator], dict[str, Tensor]]
ROUND_OFF = 1e-9
"""Largest change of outputs, relative to the largest output in double precision, that counts as none."""


def failures(module: nn.Module, example: Tensor, symmetry: Symmetry, seed: int = 0) -> dict[str, str]:
    """The groups that change what the network computes, each with by how much; empty if none does.

    At a random point of weight space (initial weights are too regular: zeros and ones hide mistakes) a random element
    of the whole table must keep the outputs [batch, ...] at round-off; if it doesn't, each group is tried alone.
    """
    point = _RandomPoint(module, example, torch.Generator().manual_seed(seed))
    if point.change(symmetry) <= ROUND_OFF:
        return {}
    failed = {}
    for name, group in symmetry.groups.items():
        alone = symmetry.only({name, group.within or name})
        change = point.change(alone)
        if change > ROUND_OFF and (group.within is None or group.within not in failed):
            failed[name] = f"a random element changes the outputs by {change:.1e} of their size"
    return failed or dict.fromkeys(symmetry.groups, "the groups hold alone but not together")


def vacuous_groups(module: nn.Module, example: Tensor, symmetry: Symmetry, seed: int = 0) -> list[str]:
    """The negative control: groups of which even one half, applied alone, keeps the outputs.

    Such a group proves nothing: the network doesn't depend on it, or the entry that is left out isn't needed.
    """
    point = _RandomPoint(module, example, torch.Generator().manual_seed(seed))
    return [name for name in symmetry.groups if point.change(half(symmetry, name), shift) <= ROUND_OFF]


def shift(symmetry: Symmetry, generator: torch.Generator) -> dict[str, Tensor]:
    """An element that leaves no unit where it was; nothing is drawn."""
    del generator
    return {name: p.roll(1, -1) for name, p in symmetry.identity().items()}


def half(symmetry: Symmetry, name: str) -> Symmetry:
    """One group alone, on the first tensor that it lies on only."""
    group = symmetry.groups[name]
    first = tuple(a for a in group.axes if (a.tensor, a.axis) == (group.axes[0].tensor, group.axes[0].axis))
    groups = {name: Group(group.size, first, group.within)}
    if group.within:
        groups = {group.within: Group(symmetry.groups[group.within].size, ())} | groups
    return Symmetry(groups)


class _RandomPoint:
    """A network in double precision at a random point, and what it gives for the example."""

    def __init__(self, module: nn.Module, example: Tensor, generator: torch.Generator) -> None:
        self.module = copy.deepcopy(module).double().eval()
        self.example = example.double() if example.is_floating_point() else example
        self.draw = generator
        tensors = {**dict(self.module.named_parameters()), **dict(self.module.named_buffers())}
        self.weights = {name: self._perturbed(tensor.detach()) for name, tensor in tensors.items()}
        self.outputs = self._run(self.weights)

    def _perturbed(self, tensor: Tensor) -> Tensor:
        """Off the initial value by noise of a size that keeps activations alive; what is positive stays so."""
        if not tensor.is_floating_point():
            return tensor
        noise = torch.randn(tensor.shape, generator=self.draw, dtype=tensor.dtype)
        if tensor.ndim < 2 and bool((tensor > 0).all()):  # scales and variances
            return tensor * (0.2 * noise).exp()
        return tensor + max(float(tensor.std(correction=0)), 0.05) * noise

    @torch.no_grad()
    def _run(self, weights: dict[str, Tensor]) -> Tensor:
        return functional_call(self.module, weights, (self.example,))

    def change(self, symmetry: Symmetry, draw: Draw = Symmetry.random) -> float:
        """The largest change of outputs that an element causes, relative to the largest output."""
        moved = self._run(symmetry.act(draw(symmetry, self.draw), self.weights))
        return float((moved - self.outputs).abs().max() / self.outputs.abs().max())
