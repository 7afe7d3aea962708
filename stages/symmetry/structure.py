"""The structure of an axis: a set of units, a product of sets, or a concatenation of sets.

An axis of length 576 of a fused projection, say, is the product 3 x heads x dimensions. Structures start as sets of
which nothing is known; a network's operations then say which are the same set, which are products or concatenations of
smaller ones, and which must keep their order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Union

INPUT, OUTPUT, KERNEL = "the network's input", "the network's output", "a kernel"
"""Reasons to keep an order that lie in the task or the layer itself: nothing is missed."""
UNNAMED = ""
"""The reason of an operation's rule, until the operation puts its name there (`name_reasons`)."""


@dataclass(eq=False)
class Units:
    """A set of units: a variable of unification, which stands for another structure once `resolved_to` is set.

    `fixed_by`: why its order matters, None if it doesn't. `homogeneous`: nothing but ReLU-like functions has been
    applied to it, so its units may be rescaled; `odd`: nothing but odd functions has, so they may change their signs.
    `stream`: residual additions join it. `inner`: what runs faster along the axis that it was split off from; once its
    positions are read one by one, each has its own copies of those sets (`unshared`). `contents`: what each position
    holds, where separate structures were laid one after the other.
    """

    size: int
    fixed_by: str | None = None
    homogeneous: bool = True
    odd: bool = True
    stream: bool = False
    resolved_to: Union["Units", "Product", "Concat", None] = None
    inner: tuple["Units", ...] = ()
    unshared: dict["Units", tuple["Units", ...]] | None = None
    contents: tuple["AxisStructure", ...] = ()

    @property
    def fixed(self) -> bool:
        """Whether its order matters."""
        return self.fixed_by is not None

    def like(self, size: int) -> "Units":
        """A new set of another size with the same properties."""
        return Units(size, self.fixed_by, self.homogeneous, self.odd, self.stream)


@dataclass(frozen=True, eq=False)
class Product:
    """Every pair, triple ... of units, the last part running fastest."""

    parts: tuple["AxisStructure", ...]


@dataclass(frozen=True, eq=False)
class Concat:
    """The units of one part after those of another."""

    parts: tuple["AxisStructure", ...]


AxisStructure = Units | Product | Concat


def size(axis: AxisStructure) -> int:
    """Number of positions."""
    if isinstance(axis, Units):
        return axis.size
    sizes = [size(part) for part in axis.parts]
    return prod(sizes) if isinstance(axis, Product) else sum(sizes)


def product(parts: Sequence[AxisStructure]) -> AxisStructure:
    """The product of structures; those of one unit are left out."""
    flat = [p for part in parts for p in factors(part) if size(p) > 1]
    if len(flat) == 1:
        return flat[0]
    return Product(tuple(flat)) if flat else Units(1)


def concat(parts: Sequence[AxisStructure]) -> AxisStructure:
    """Structures one after the other."""
    flat = [p for part in parts for p in pieces(part) if size(p)]
    return flat[0] if len(flat) == 1 else Concat(tuple(flat))


def factors(axis: AxisStructure) -> list[AxisStructure]:
    """The parts of a product, or the structure itself."""
    return list(axis.parts) if isinstance(axis, Product) else [axis]


def pieces(axis: AxisStructure) -> list[AxisStructure]:
    """The parts of a concatenation, or the structure itself."""
    return list(axis.parts) if isinstance(axis, Concat) else [axis]


def resolve(axis: AxisStructure) -> AxisStructure:
    """The structure as far as it is known now."""
    if isinstance(axis, Units):
        return axis if axis.resolved_to is None else resolve(axis.resolved_to)
    parts = [resolve(part) for part in axis.parts]
    if isinstance(axis, Concat):
        return concat(parts)
    for i, part in enumerate(parts):
        if isinstance(part, Units) and part.unshared is not None:
            rest = product(parts[i + 1 :])
            return product([*parts[:i], concat([at_position(rest, part, n) for n in range(part.size)])])
    return product(parts)


def at_position(axis: AxisStructure, units: Units, position: int) -> AxisStructure:
    """A structure as it is at one position of an unshared set."""
    resolved = resolve(axis)
    if isinstance(resolved, Units):
        return resolve((units.unshared or {}).get(resolved, (resolved,) * units.size)[position])
    parts = [at_position(part, units, position) for part in resolved.parts]
    return product(parts) if isinstance(resolved, Product) else concat(parts)


def units_in(axis: AxisStructure) -> Iterator[Units]:
    """Every set of units in a structure."""
    resolved = resolve(axis)
    if isinstance(resolved, Units):
        yield resolved
    else:
        for part in resolved.parts:
            yield from units_in(part)


def fix(*axes: AxisStructure, by: str = UNNAMED) -> None:
    """Mark that the order of units matters."""
    for axis in axes:
        for units in units_in(axis):
            units.fixed_by = stronger(units.fixed_by, by)


def stronger(one: str | None, other: str | None) -> str | None:
    """Of two reasons the one to report: the task's own, else the first that has a name."""
    given = [reason for reason in (one, other) if reason is not None]
    return min(given, key=lambda reason: 0 if reason in (INPUT, OUTPUT, KERNEL) else 1 if reason else 2, default=None)


def reason(axis: AxisStructure) -> str | None:
    """Why the order along an axis matters; None if no part of it is fixed."""
    return next((units.fixed_by for units in units_in(axis) if units.fixed), None)


def name_reasons(axes: Sequence[AxisStructure], name: str) -> None:
    """Give what was fixed for an unnamed reason this one."""
    for axis in axes:
        for units in units_in(axis):
            if units.fixed_by == UNNAMED:
                units.fixed_by = name


def mark_not_homogeneous(*axes: AxisStructure) -> None:
    """Mark that units can't be rescaled."""
    for axis in axes:
        for units in units_in(axis):
            units.homogeneous = False


def mark_not_odd(*axes: AxisStructure) -> None:
    """Mark that units can't flip their signs."""
    for axis in axes:
        for units in units_in(axis):
            units.odd = False
