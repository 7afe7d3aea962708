"""Weights in Keras's order of variables and axes, as rows of a torch network's layout."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from jaxtyping import Float
from torch import Tensor

from stages.errors import LayoutMismatch
from stages.store.layout import Layout, Slot

NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""The last part of a variable's name -> that of the tensor."""
AXES = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)}
"""Rank of a kernel -> where torch has its axes: dense IO -> OI, convolution HWIO -> OIHW."""


@dataclass(frozen=True)
class Variable:
    """A variable of a Keras model within a flat row: values `start` to `stop`, of this shape."""

    name: str
    start: int
    stop: int
    shape: tuple[int, ...]

    @property
    def layer(self) -> str:
        """The name of its layer, e.g. `sequential/conv2d_1`."""
        return self.name.rpartition("/")[0]

    @property
    def part(self) -> str:
        """What it is to its layer: `sequential/conv2d_1/kernel:0` is the `kernel`."""
        return self.name.rpartition("/")[2].partition(":")[0]


@dataclass(frozen=True)
class KerasLayout:
    """Each tensor of a torch network, with the variable that it is."""

    layout: Layout
    pairs: tuple[tuple[Slot, Variable], ...]

    @classmethod
    def of(cls, variables: Iterable[Variable], layout: Layout, where: str) -> "KerasLayout":
        """Layers are paired in order, and within them tensors by name.

        Raises LayoutMismatch naming the variable and the tensor that don't fit each other.
        """
        ordered = sorted(variables, key=lambda variable: variable.start)
        _check_gapless(ordered, where)
        _check_order_of_positions(ordered, where)
        theirs, ours = _unique(v.layer for v in ordered), _unique(slot.name.rpartition(".")[0] for slot in layout.slots)
        if len(theirs) != len(ours):
            listed = ", ".join(theirs)
            raise LayoutMismatch(f"{where}: has {len(theirs)} layers ({listed}), but zoo.network has {len(ours)}")
        names = dict(zip(theirs, ours, strict=True))
        slots = {slot.name: slot for slot in layout.slots}
        found = {f"{names[v.layer]}.{NAMES.get(v.part, v.part)}".lstrip("."): v for v in ordered}
        for name in [*found, *slots]:
            _check_fits(name, found.get(name), slots.get(name), where)
        return cls(layout, tuple((slot, found[slot.name]) for slot in layout.slots))

    def rows(self, values: Float[Tensor, "networks values"]) -> Float[Tensor, "networks parameters"]:
        """Rows in the order of the torch network."""
        return self.layout.flatten({slot.name: _tensor(values, variable) for slot, variable in self.pairs})


def variable_shape(shape: str) -> tuple[int, ...]:
    """The numbers in a shape as text, such as `(3, 3, 1, 16)`."""
    return tuple(map(int, re.findall(r"\d+", shape)))


def _tensor(values: Tensor, variable: Variable) -> Tensor:
    tensors = values[:, variable.start : variable.stop].unflatten(1, variable.shape)
    return tensors.permute(0, *(1 + axis for axis in _axes(variable)))


def _axes(variable: Variable) -> tuple[int, ...]:
    return AXES.get(len(variable.shape), ()) if variable.part == "kernel" else tuple(range(len(variable.shape)))


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _check_gapless(variables: Sequence[Variable], where: str) -> None:
    stop = 0
    for variable in variables:
        size = prod(variable.shape)
        if variable.start != stop or variable.stop - variable.start != size:
            raise LayoutMismatch(
                f"{where}: {variable.name} of shape {variable.shape} has columns {variable.start} to {variable.stop}; "
                f"expected {stop} to {stop + size}"
            )
        stop = variable.stop


def _check_order_of_positions(variables: Sequence[Variable], where: str) -> None:
    """A dense layer on all positions of a convolution sees them with channels last, and its rows mean others there."""
    kernels = [variable for variable in variables if variable.part == "kernel"]
    for before, after in pairwise(kernels):
        if len(before.shape) > 2 and len(after.shape) == 2 and after.shape[0] != before.shape[-1]:
            raise LayoutMismatch(
                f"{where}: {after.name} reads {after.shape[0]} values, all positions of {before.name}'s "
                f"{before.shape[-1]} channels, in Keras's order; only networks that pool over all positions are read"
            )


def _check_fits(name: str, variable: Variable | None, slot: Slot | None, where: str) -> None:
    if variable is None:
        raise LayoutMismatch(f"{where}: tensor {name!r} of zoo.network is missing")
    if slot is None:
        raise LayoutMismatch(f"{where}: {variable.name} would be {name!r}, which isn't part of zoo.network")
    shape = tuple(variable.shape[axis] for axis in _axes(variable))
    if shape != slot.shape:
        raise LayoutMismatch(
            f"{where}: {variable.name} has shape {shape} in torch, but {name!r} of zoo.network {slot.shape}"
        )
