"""What lies along an axis: a set of units, sets within sets, or sets after one another.

An axis of length 576 of a fused projection, say, is the product 3 x heads x dimensions. Extents start as sets of which
nothing is known; a network's operations then say which are the same set, which are products or concatenations of
smaller ones, and which must keep their order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Union


@dataclass(eq=False)
class Units:
    """A set of units, until it turns out to be something else (`is_now`).

    `fixed`: its order matters. `homogeneous`: nothing but ReLU-like functions has been applied to it, so its units
    may be rescaled. `stream`: residual additions join it. `inner`: what runs faster along the axis that it was split
    off from; once its positions are taken one by one (`apart`), each has copies of that to itself.
    """

    size: int
    fixed: bool = False
    homogeneous: bool = True
    stream: bool = False
    is_now: Union["Units", "Product", "Concat", None] = None
    inner: tuple["Units", ...] = ()
    apart: dict["Units", tuple["Units", ...]] | None = None


@dataclass(frozen=True, eq=False)
class Product:
    """Every pair, triple ... of units, the last part running fastest."""

    parts: tuple["Extent", ...]


@dataclass(frozen=True, eq=False)
class Concat:
    """The units of one part after those of another."""

    parts: tuple["Extent", ...]


Extent = Units | Product | Concat


def size(extent: Extent) -> int:
    """Number of positions."""
    if isinstance(extent, Units):
        return extent.size
    sizes = [size(part) for part in extent.parts]
    return prod(sizes) if isinstance(extent, Product) else sum(sizes)


def product(parts: Sequence[Extent]) -> Extent:
    """The product of extents; those of one unit don't count."""
    flat = [p for part in parts for p in factors(part) if size(p) > 1]
    if len(flat) == 1:
        return flat[0]
    return Product(tuple(flat)) if flat else Units(1, fixed=True)


def concat(parts: Sequence[Extent]) -> Extent:
    """Extents one after the other."""
    flat = [p for part in parts for p in pieces(part) if size(p)]
    return flat[0] if len(flat) == 1 else Concat(tuple(flat))


def resolve(extent: Extent) -> Extent:
    """What an extent has turned out to be, as far as is known now."""
    if isinstance(extent, Units):
        return extent if extent.is_now is None else resolve(extent.is_now)
    parts = [resolve(part) for part in extent.parts]
    if isinstance(extent, Concat):
        return concat(parts)
    for i, part in enumerate(parts):
        if isinstance(part, Units) and part.apart is not None:
            rest = product(parts[i + 1 :])
            return product([*parts[:i], concat([taken(rest, part, n) for n in range(part.size)])])
    return product(parts)


def factors(extent: Extent) -> list[Extent]:
    """The parts of a product, or the extent itself."""
    return list(extent.parts) if isinstance(extent, Product) else [extent]


def pieces(extent: Extent) -> list[Extent]:
    """The parts of a concatenation, or the extent itself."""
    return list(extent.parts) if isinstance(extent, Concat) else [extent]


def sets(extent: Extent) -> Iterator[Units]:
    """Every set of units in it."""
    found = resolve(extent)
    if isinstance(found, Units):
        yield found
    else:
        for part in found.parts:
            yield from sets(part)


def fix(*extents: Extent) -> None:
    """Say that the order matters."""
    for extent in extents:
        for units in sets(extent):
            units.fixed = True


def divide(extent: Extent, first: int) -> tuple[Extent, Extent] | None:
    """An extent as a product of a leading factor of this size and the rest; None if units would be torn apart."""
    front: list[Extent] = []
    parts, wanted = factors(resolve(extent)), first
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


def cut(extent: Extent, first: int) -> tuple[Extent, Extent] | None:
    """The leading `first` positions of an extent, fewer than all, and the rest; None if units would be torn apart."""
    front: list[Extent] = []
    parts, wanted = pieces(resolve(extent)), first
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
    """Let a set turn out to consist of two smaller ones."""
    a, b = (Units(n, units.fixed, units.homogeneous, units.stream) for n in sizes)
    units.is_now = kind((a, b))
    return a, b


def unify(a: Extent, b: Extent) -> None:
    """Say that two extents are the same units in the same order; where their structures can't agree, all is fixed."""
    a, b = resolve(a), resolve(b)
    if isinstance(a, Units):
        _become(a, b)
    elif isinstance(b, Units):
        _become(b, a)
    elif isinstance(a, Product) and isinstance(b, Product):
        _unify_parts(a, b, divide)
    elif isinstance(a, Concat) and isinstance(b, Concat):
        _unify_parts(a, b, cut)
    else:
        fix(a, b)


def _become(a: Units, b: Extent) -> None:
    """Let a set turn out to be an extent."""
    inside = list(sets(b))
    if b is a:
        return
    if a.size != size(b) or a in inside:
        fix(a, b)
        return
    for units in inside:
        units.fixed |= a.fixed
        units.homogeneous &= a.homogeneous
        units.stream |= a.stream
    a.is_now = b


def _unify_parts(a: Extent, b: Extent, take: Callable[[Extent, int], tuple[Extent, Extent] | None]) -> None:
    """Unify the shorter leading part with as much of the other side, then what remains."""
    parts = [factors(x) if take is divide else pieces(x) for x in (a, b)]
    first = min(size(side[0]) for side in parts)
    halves = [take(x, first) for x in (a, b)]
    if halves[0] is None or halves[1] is None or size(a) != size(b):
        fix(a, b)
        return
    for x, y in zip(*halves, strict=True):
        unify(x, y)


def reshape(extents: Sequence[Extent], shape: Sequence[int]) -> list[Extent]:
    """The axes of a tensor that is viewed in another shape; where units would be torn apart, all is fixed."""
    left: Extent = product([resolve(e) for e in extents])
    found: list[Extent] = []
    for n in shape:
        halves = divide(left, n)
        if halves is None:
            fix(*extents)
            return [Units(n, fixed=True) for n in shape]
        found.append(halves[0])
        left = halves[1]
    for extent in extents:
        along = list(sets(extent))
        for i, units in enumerate(along):
            units.inner = units.inner or tuple(along[i + 1 :])
    return found


def take_apart(units: Units) -> None:
    """Let each position of a set have, instead of shared sets inside it, sets of its own."""
    if units.apart is None:
        inside = {u for inner in units.inner for u in sets(inner) if not u.fixed}
        units.apart = {u: tuple(_like(u) for _ in range(units.size)) for u in inside}
        units.fixed = True


def taken(extent: Extent, units: Units, position: int) -> Extent:
    """An extent as it is at one position of a set that was taken apart."""
    found = resolve(extent)
    if isinstance(found, Units):
        return resolve((units.apart or {}).get(found, (found,) * units.size)[position])
    parts = [taken(part, units, position) for part in found.parts]
    return product(parts) if isinstance(found, Product) else concat(parts)


def _like(units: Units) -> Units:
    return Units(units.size, units.fixed, units.homogeneous, units.stream)


def segment(extent: Extent, start: int, stop: int) -> Extent:
    """Positions `start` to `stop` of an extent; fixed where units would be torn apart."""
    found: Extent = resolve(extent)
    for first, side in ((stop, 0), (start, 1)):
        if 0 < first < size(found):
            halves = cut(found, first)
            if halves is None:
                fix(extent)
                return Units(stop - start, fixed=True)
            found = halves[side]
    return found
