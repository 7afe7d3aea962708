"""Proof by random elements: a table's groups keep what a network computes, and half of one doesn't."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from stages.precision import DoublePrecision
from stages.symmetry.element import random_scales, random_signs
from stages.symmetry.fresh import fresh
from stages.symmetry.table import Axis, Group, Symmetry, Weights

Move = Callable[[Symmetry, Weights, torch.Generator], dict[str, Tensor]]
"""A random element of a table, applied to a network."""
ROUND_OFF = 1e-9
"""Largest change of outputs, relative to the largest output in double precision, that counts as none."""
FLIPS = 8
"""Random changes of signs that are tried, as one leaves about half of the units alone."""
SMALL = 4
"""Groups of at most so many units have so few elements that two of them may move alike by chance."""
SHOWN = 4
"""Lines about groups of one kind, at most."""
NOISE = (1.0, 0.1, 0.01)
"""Sizes of the noise that takes a network to a random point: the first at which its outputs are finite."""


class Proved(NamedTuple):
    """The part of a table that holds, and one line for everything that doesn't."""

    symmetry: Symmetry
    notes: tuple[str, ...]


def prove(
    module: nn.Module, example: Tensor, symmetry: Symmetry, constants: Collection[str] = (), seed: int = 0
) -> Proved:
    """Leave out groups that change what the network computes, and where only rescaling or signs do, those.

    At a random point of weight space (initial weights are too regular: zeros and ones hide mistakes) random elements
    of the table must keep all outputs [batch, ...] at round-off: of all groups, and of parts of the small groups, since
    two that are really one move alike by chance. Where one doesn't, the groups at fault are found by halving.
    Buffers that aren't stored, and the `constants` among those that are, keep their values.
    """
    if not symmetry.groups:
        return Proved(symmetry, ())
    point = _RandomPoint(module, example, torch.Generator().manual_seed(seed), constants)
    if point.limit:
        return Proved(Symmetry(), (point.limit,))
    failed = point.failures(symmetry, relabelled)
    table = symmetry.only(set(symmetry.groups) - set(failed))
    notes = _few([f"group {name!r} left out: a random element {why}" for name, why in failed.items()])
    unscaled = point.failures(table.only(table.rescalable), rescaled)
    notes += _few([f"group {name!r} can't be rescaled: a random rescaling {why}" for name, why in unscaled.items()])
    unflipped: dict[str, str] = {}
    for _ in range(FLIPS):
        unflipped |= point.failures(table.only(table.flippable), flipped)
    notes += _few([f"group {n!r} can't change its signs: a random change {why}" for n, why in unflipped.items()])
    return Proved(_restricted(table, unscaled, unflipped), tuple(notes))


def _few(notes: Sequence[str]) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(notes) - SHOWN
    return [*notes[:SHOWN], *([f"and {more} more group{'s' * (more > 1)} like these"] if more > 0 else [])]


def failures(module: nn.Module, example: Tensor, symmetry: Symmetry, seed: int = 0) -> dict[str, str]:
    """The groups whose relabelling changes what the network computes, each with by how much; empty if none does."""
    return _RandomPoint(module, example, torch.Generator().manual_seed(seed)).failures(symmetry, relabelled)


def vacuous_groups(module: nn.Module, example: Tensor, symmetry: Symmetry, seed: int = 0) -> list[str]:
    """The negative control: groups of which even one half, applied alone, keeps the outputs.

    Such a group proves nothing: the network doesn't depend on it, or the entry that is left out isn't needed.
    """
    if not symmetry.groups:
        return []
    point = _RandomPoint(module, example, torch.Generator().manual_seed(seed))
    return [name for name in symmetry.groups if point.change(half(symmetry, name), shifted) <= ROUND_OFF]


def relabelled(symmetry: Symmetry, weights: Weights, draw: torch.Generator) -> dict[str, Tensor]:
    """A network with its units in a random order that leaves none where it was: one is enough to tell."""
    return symmetry.act({name: _cycle(order) for name, order in symmetry.random(draw).items()}, weights)


def _cycle(order: Tensor) -> Tensor:
    """The permutation that moves each unit to the place of the next in this order."""
    return torch.empty_like(order).scatter_(-1, order, order.roll(1, -1))


def rescaled(symmetry: Symmetry, weights: Weights, draw: torch.Generator) -> dict[str, Tensor]:
    """A network with each unit rescaled by a random positive factor."""
    scales = {name: random_scales(symmetry.groups[name].size, draw) for name in symmetry.rescalable}
    return symmetry.rescale(scales, weights)


def flipped(symmetry: Symmetry, weights: Weights, draw: torch.Generator) -> dict[str, Tensor]:
    """A network with units' signs changed at random."""
    signs = {name: random_signs(symmetry.groups[name].size, draw) for name in symmetry.flippable}
    return symmetry.flip(signs, weights)


def shifted(symmetry: Symmetry, weights: Weights, draw: torch.Generator) -> dict[str, Tensor]:
    """A network with no unit where it was; nothing is drawn."""
    del draw
    return symmetry.act({name: p.roll(1, -1) for name, p in symmetry.identity().items()}, weights)


def half(symmetry: Symmetry, name: str) -> Symmetry:
    """One group alone, on the first tensor that it lies on only."""
    group = symmetry.groups[name]
    first = tuple(a for a in group.axes if (a.tensor, a.axis) == (group.axes[0].tensor, group.axes[0].axis))
    groups = {name: Group(group.size, first, group.within)}
    if group.within:
        groups = {group.within: Group(symmetry.groups[group.within].size, ())} | groups
    return Symmetry(groups)


def _restricted(symmetry: Symmetry, unscaled: Collection[str], unflipped: Collection[str]) -> Symmetry:
    """The same table; the units of these groups can't be rescaled, or can't change their signs."""

    def axis(name: str, a: Axis) -> Axis:
        return a._replace(power=0 if name in unscaled else a.power, flips=a.flips and name not in unflipped)

    return Symmetry({n: replace(g, axes=tuple(axis(n, a) for a in g.axes)) for n, g in symmetry.groups.items()})


class _RandomPoint:
    """A network in double precision at a random point, and what it gives for the example."""

    def __init__(
        self, module: nn.Module, example: Tensor, generator: torch.Generator, constants: Collection[str] = ()
    ) -> None:
        self.module = fresh(module, lambda t: t.detach().clone()).double()
        self.example = example.double() if example.is_floating_point() else example
        self.draw, self.constants = generator, constants
        for noise in NOISE:
            self.weights = {name: self._perturbed(tensor, noise) for name, tensor in self._tensors.items()}
            self.outputs = self._run(self.weights)
            if not self.limit:
                break

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        stored = self.module.state_dict()
        buffers = {n: b for n, b in self.module.named_buffers() if n in stored and n not in self.constants}
        return {name: tensor.detach() for name, tensor in {**dict(self.module.named_parameters()), **buffers}.items()}

    @property
    def limit(self) -> str | None:
        """Why the outputs at this point can't tell whether an element changes them."""
        if not bool(self.outputs.isfinite().any()):
            return "outputs at random weights aren't finite: no group can be proved, so all are left out"
        if not bool(self.outputs.nan_to_num(0, 0, 0).any()):
            return "outputs at random weights are all zero: no group can be proved, so all are left out"
        return None

    def _perturbed(self, tensor: Tensor, size: float) -> Tensor:
        """Off the initial value by noise of a size that keeps activations alive; what is positive stays so.

        Values that aren't finite, such as the -inf of masks, stay as they are.
        """
        if not tensor.is_floating_point():
            return tensor
        noise, finite = torch.randn(tensor.shape, generator=self.draw, dtype=tensor.dtype), tensor.isfinite()
        if tensor.ndim < 2 and bool((tensor > 0).all()):  # scales and variances
            return tensor * (0.2 * size * noise).exp()
        std = float(tensor[finite].std(correction=0)) if bool(finite.any()) else 0.0
        return torch.where(finite, tensor + size * max(std, 0.05) * noise, tensor)

    @torch.no_grad()
    def _run(self, weights: dict[str, Tensor]) -> Tensor:
        """All outputs, a tensor or any structure of tensors, end to end."""
        with DoublePrecision():
            outputs = functional_call(fresh(self.module), weights, (self.example,))
        tensors = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
        real = [torch.view_as_real(tensor) if tensor.is_complex() else tensor for tensor in tensors]
        return torch.cat([tensor.double().flatten() for tensor in real])

    def change(self, symmetry: Symmetry, move: Move) -> float:
        """The largest change of outputs that an element causes, relative to the largest output."""
        before, after = self.outputs, self._run(move(symmetry, self.weights, self.draw))
        finite = before.isfinite()
        if not torch.equal(before[~finite].nan_to_num(0, 1, -1), after[~finite].nan_to_num(0, 1, -1)):
            return torch.inf
        return float((after - before)[finite].abs().nan_to_num(torch.inf, torch.inf).max() / before[finite].abs().max())

    def failures(self, symmetry: Symmetry, move: Move) -> dict[str, str]:
        """The groups whose elements change the outputs, each with by how much."""
        if self._holds(symmetry, move):
            return {}
        failed = self._search(symmetry, list(symmetry.groups), move)
        failed = {name: why for name, why in failed.items() if symmetry.groups[name].within not in failed}
        if failed and self._holds(symmetry.only(set(symmetry.groups) - set(failed)), move):
            return failed
        return dict.fromkeys(symmetry.groups, "of all groups together changes the outputs, of each alone not") | failed

    def _holds(self, symmetry: Symmetry, move: Move) -> bool:
        parts = _parts(symmetry) if move is relabelled else [list(symmetry.groups)]
        return not symmetry.groups or all(self.change(_moving(symmetry, p), move) <= ROUND_OFF for p in parts)

    def _search(self, symmetry: Symmetry, names: Sequence[str], move: Move) -> dict[str, str]:
        """Those of these groups that change the outputs by themselves."""
        change = self.change(_moving(symmetry, names), move) if names else 0.0
        if change <= ROUND_OFF:
            return {}
        if len(names) == 1:
            return {names[0]: f"changes the outputs by {change:.1e} of their size"}
        middle = len(names) // 2
        return self._search(symmetry, names[:middle], move) | self._search(symmetry, names[middle:], move)


def _parts(symmetry: Symmetry) -> list[list[str]]:
    """All groups, and parts of them such that of any two small groups there is one that has only one of the two."""
    small = [name for name, group in symmetry.groups.items() if group.size <= SMALL]
    large = [name for name in symmetry.groups if name not in small]
    bits = range(max(len(small) - 1, 0).bit_length())
    return [list(symmetry.groups), *([*large, *(n for i, n in enumerate(small) if i >> bit & 1)] for bit in bits)]


def _moving(symmetry: Symmetry, names: Collection[str]) -> Symmetry:
    """The same table; the units of all other groups stay where they are."""
    return Symmetry({n: g if n in names else replace(g, axes=()) for n, g in symmetry.groups.items()})
