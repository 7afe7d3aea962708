"""The structure of an axis: a set of units, a product of sets, or a concatenation of sets.

An axis of length 576 of a fused projection, say, is the product 3 x heads x dimensions. Structures start as sets of
which nothing is known; a network's operations then say which are the same set, which are products or concatenations of
smaller ones, and which must keep their order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Union


@dataclass(eq=False)
class Units:
    """A set of units: a variable of unification, which stands for another structure once `resolved_to` is set.

    `fixed`: its order matters. `homogeneous`: nothing but ReLU-like functions has been applied to it, so its units
    may be rescaled; `odd`: nothing but odd functions has, so they may change their signs. `stream`: residual additions
    join it. `inner`: what runs faster along the axis that it was split off from; once its positions are read one by
    one, each has its own copies of those sets (`unshared`).
    """

    size: int
    fixed: bool = False
    homogeneous: bool = True
    odd: bool = True
    stream: bool = False
    resolved_to: Union["Units", "Product", "Concat", None] = None
    inner: tuple["Units", ...] = ()
    unshared: dict["Units", tuple["Units", ...]] | None = None

    def like(self, size: int) -> "Units":
        """A new set of another size with the same properties."""
        return Units(size, self.fixed, self.homogeneous, self.odd, self.stream)


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
    return Product(tuple(flat)) if flat else Units(1, fixed=True)


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


def units_in(axis: AxisStructure) -> Iterator[Units]:
    """Every set of units in a structure."""
    resolved = resolve(axis)
    if isinstance(resolved, Units):
        yield resolved
    else:
        for part in resolved.parts:
            yield from units_in(part)


def fix(*axes: AxisStructure) -> None:
    """Mark that the order of units matters."""
    for axis in axes:
        for units in units_in(axis):
            units.fixed = True


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


def leading_factor(axis: AxisStructure, count: int) -> tuple[AxisStructure, AxisStructure] | None:
    """A structure as a product of a leading factor of this size and the rest; None if that would break units up."""
    front: list[AxisStructure] = []
    parts, wanted = factors(resolve(axis)), count
    while wanted > 1:
        part = parts.pop(0)
        if size(part) > wanted:
            if not isinstance(part, Units) or part.size % wanted:
                return None
            part, rest = _split(part, (wanted, part.size // wanted), Product)
            parts.insert(0, rest)
        elif wanted % size(part):
            return None
        front.append(part)
        wanted //= size(part)
    return product(front), product(parts)


def leading_piece(axis: AxisStructure, count: int) -> tuple[AxisStructure, AxisStructure] | None:
    """The first `count` positions, fewer than all, and the rest; None if that would break units up."""
    front: list[AxisStructure] = []
    parts, wanted = pieces(resolve(axis)), count
    while wanted > 0:
        part = parts.pop(0)
        if size(part) > wanted:
            if not isinstance(part, Units):
                return None
            part, rest = _split(part, (wanted, part.size - wanted), Concat)
            parts.insert(0, rest)
        front.append(part)
        wanted -= size(part)
    return concat(front), concat(parts)


def _split(units: Units, sizes: tuple[int, int], kind: type[Product] | type[Concat]) -> tuple[Units, Units]:
    """Resolve a set to two smaller ones."""
    a, b = (units.like(n) for n in sizes)
    units.resolved_to = kind((a, b))
    return a, b


def unify(a: AxisStructure, b: AxisStructure) -> None:
    """Make two structures the same units in the same order; where they can't agree, both are fixed."""
    a, b = resolve(a), resolve(b)
    if isinstance(a, Units):
        _bind(a, b)
    elif isinstance(b, Units):
        _bind(b, a)
    elif isinstance(a, Product) and isinstance(b, Product):
        _unify_parts(a, b, factors, leading_factor)
    elif isinstance(a, Concat) and isinstance(b, Concat):
        _unify_parts(a, b, pieces, leading_piece)
    else:
        fix(a, b)


def _bind(units: Units, axis: AxisStructure) -> None:
    """Resolve a set to a structure, which takes on its properties."""
    inside = list(units_in(axis))
    if axis is units:
        return
    if units.size != size(axis) or units in inside:
        fix(units, axis)
        return
    for part in inside:
        part.fixed |= units.fixed
        part.homogeneous &= units.homogeneous
        part.odd &= units.odd
        part.stream |= units.stream
    units.resolved_to = axis


def _unify_parts(
    a: AxisStructure,
    b: AxisStructure,
    parts: Callable[[AxisStructure], list[AxisStructure]],
    leading: Callable[[AxisStructure, int], tuple[AxisStructure, AxisStructure] | None],
) -> None:
    """Unify the shorter leading part with as much of the other side, then what remains."""
    first = min(size(parts(a)[0]), size(parts(b)[0]))
    halves = [leading(x, first) for x in (a, b)]
    if halves[0] is None or halves[1] is None or size(a) != size(b):
        fix(a, b)
        return
    for x, y in zip(*halves, strict=True):
        unify(x, y)


def reshape(axes: Sequence[AxisStructure], shape: Sequence[int]) -> list[AxisStructure]:
    """The axes of a tensor that is viewed in another shape; where that would break units up, all are fixed."""
    left: AxisStructure = product([resolve(axis) for axis in axes])
    reshaped: list[AxisStructure] = []
    for n in shape:
        halves = leading_factor(left, n)
        if halves is None:
            fix(*axes)
            return [Units(n, fixed=True) for n in shape]
        reshaped.append(halves[0])
        left = halves[1]
    for axis in axes:
        along = list(units_in(axis))
        for i, units in enumerate(along):
            units.inner = units.inner or tuple(along[i + 1 :])
    return reshaped


def unshare(units: Units) -> None:
    """Give each position of a set its own copies of the sets inside, which all positions shared."""
    if units.unshared is None:
        inside = {u for inner in units.inner for u in units_in(inner) if not u.fixed}
        units.unshared = {u: tuple(u.like(u.size) for _ in range(units.size)) for u in inside}
        units.fixed = True


def at_position(axis: AxisStructure, units: Units, position: int) -> AxisStructure:
    """A structure as it is at one position of an unshared set."""
    resolved = resolve(axis)
    if isinstance(resolved, Units):
        return resolve((units.unshared or {}).get(resolved, (resolved,) * units.size)[position])
    parts = [at_position(part, units, position) for part in resolved.parts]
    return product(parts) if isinstance(resolved, Product) else concat(parts)


def at(axes: Sequence[AxisStructure], dim: int, position: int, shared: bool) -> list[AxisStructure]:
    """The other axes of a tensor at one position of axis `dim`.

    Units inside that axis are different ones at each position (a fused projection's queries, keys and values), unless
    they are `shared`: something reads the axis as a whole, which then is fixed.
    """
    units, others = resolve(axes[dim]), [*axes[:dim], *axes[dim + 1 :]]
    if shared or not isinstance(units, Units) or not units.inner:
        fix(axes[dim])
        return others
    unshare(units)
    return [at_position(axis, units, position % units.size) for axis in others]


def segment(axis: AxisStructure, start: int, stop: int) -> AxisStructure:
    """Positions `start` to `stop`; all are fixed where that would break units up."""
    rest: AxisStructure = resolve(axis)
    for first, side in ((stop, 0), (start, 1)):
        if 0 < first < size(rest):
            halves = leading_piece(rest, first)
            if halves is None:
                fix(axis)
                return Units(stop - start, fixed=True)
            rest = halves[side]
    return rest
