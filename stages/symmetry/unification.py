"""Making structures of axes agree: two axes that are the same units, views, and pieces of an axis."""

from collections.abc import Callable, Sequence

from stages.symmetry.structure import (
    KERNEL,
    UNNAMED,
    AxisStructure,
    Concat,
    Product,
    Units,
    at_position,
    concat,
    factors,
    fix,
    pieces,
    product,
    reason,
    resolve,
    size,
    stronger,
    units_in,
)

Halves = tuple[AxisStructure, AxisStructure]


def leading_factor(axis: AxisStructure, count: int) -> Halves | None:
    """A structure as a product of a leading factor of this size and the rest; None if that would break units up."""
    front: list[AxisStructure] = []
    parts, wanted = factors(resolve(axis)), count
    while wanted > 1:
        part = parts.pop(0)
        if size(part) > wanted:
            if (halves := _factored(part, wanted)) is None:
                return None
            part, rest = halves
            parts.insert(0, rest)
        elif wanted % size(part):
            return None
        front.append(part)
        wanted //= size(part)
    return product(front), product(parts)


def _factored(axis: AxisStructure, count: int) -> Halves | None:
    """A set, or a concatenation of pieces of equal size, as `count` times something."""
    if size(axis) % count:
        return None
    if isinstance(axis, Units):
        return _split(axis, (count, axis.size // count), Product)
    return _positions(axis, count) if isinstance(axis, Concat) else None


def _positions(axis: Concat, count: int) -> Halves | None:
    """A concatenation as a set of `count` positions, each of which holds its own piece."""
    contents, rest = [], axis
    for left in range(count, 1, -1):
        halves = leading_piece(rest, size(rest) // left)
        if halves is None:
            return None
        contents.append(halves[0])
        rest = halves[1]
    return positions([*contents, rest])


def positions(contents: Sequence[AxisStructure]) -> tuple[Units, Units]:
    """Positions that hold structures of equal size, and what they share as long as they aren't read one by one."""
    shared = Units(size(contents[0]))
    return Units(len(contents), KERNEL, inner=(shared,), contents=tuple(contents)), shared


def leading_piece(axis: AxisStructure, count: int) -> Halves | None:
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
    share(units)
    a, b = (units.like(n) for n in sizes)
    units.resolved_to = kind((a, b))
    return a, b


def unify(a: AxisStructure, b: AxisStructure) -> None:
    """Make two structures the same units in the same order; where they can't agree, both are fixed."""
    a, b = resolve(a), resolve(b)
    if isinstance(a, Units) and isinstance(b, Units) and a.contents and not b.contents:
        _bind(b, a)
    elif isinstance(a, Units):
        _bind(a, b)
    elif isinstance(b, Units):
        _bind(b, a)
    elif isinstance(a, Concat) and isinstance(b, Concat):
        _unify_parts(a, b, pieces, leading_piece)
    else:
        _unify_parts(a, b, factors, leading_factor)


def _bind(units: Units, axis: AxisStructure) -> None:
    """Resolve a set to a structure, which takes on its properties."""
    inside = list(units_in(axis))
    if axis is units:
        return
    if units.size != size(axis) or units in inside:
        fix(units, axis)
        return
    share(units)
    for part in inside:
        part.fixed_by = stronger(part.fixed_by, units.fixed_by)
        part.homogeneous &= units.homogeneous
        part.odd &= units.odd
        part.stream |= units.stream
    units.resolved_to = axis


def _unify_parts(
    a: AxisStructure,
    b: AxisStructure,
    parts: Callable[[AxisStructure], list[AxisStructure]],
    leading: Callable[[AxisStructure, int], Halves | None],
) -> None:
    """Unify the shorter leading part with as much of the other side, then what remains."""
    first = min(size(parts(a)[0]), size(parts(b)[0]))
    halves = [leading(x, first) or leading(merged(x), first) for x in (a, b)]
    if halves[0] is None or halves[1] is None or size(a) != size(b):
        fix(a, b)
        return
    for x, y in zip(*halves, strict=True):
        unify(x, y)


def reshape(axes: Sequence[AxisStructure], shape: Sequence[int]) -> list[AxisStructure]:
    """The axes of a tensor that is viewed in another shape; where that would break units up, all are fixed."""
    whole = product([resolve(axis) for axis in axes])
    reshaped = _cut(whole, shape) or _cut(merged(whole), shape)
    if reshaped is None:
        why = next((r for r in map(reason, axes) if r), UNNAMED)
        fix(*axes)
        return [Units(n, why) for n in shape]
    for axis in axes:
        along = list(units_in(axis))
        for i, units in enumerate(along):
            units.inner = units.inner or tuple(along[i + 1 :])
    return reshaped


def _cut(whole: AxisStructure, shape: Sequence[int]) -> list[AxisStructure] | None:
    """A structure as a product of factors of these sizes; None if that would break units up."""
    cut, left = [], whole
    for n in shape:
        if (halves := leading_factor(left, n)) is None:
            return None
        cut.append(halves[0])
        left = halves[1]
    return cut


def merged(axis: AxisStructure) -> AxisStructure:
    """A product in which neighbours of a fixed order are one set: how it was divided doesn't matter."""
    parts: list[AxisStructure] = []
    for part in factors(resolve(axis)):
        last = parts[-1] if parts else None
        if isinstance(last, Units) and isinstance(part, Units) and last.fixed and part.fixed and not part.contents:
            parts[-1] = Units(
                last.size * part.size, stronger(last.fixed_by, part.fixed_by), homogeneous=False, odd=False
            )
        else:
            parts.append(part)
    return product(parts)


def segment(axis: AxisStructure, start: int, stop: int) -> AxisStructure:
    """Positions `start` to `stop`; all are fixed where that would break units up."""
    rest: AxisStructure = resolve(axis)
    for first, side in ((stop, 0), (start, 1)):
        if 0 < first < size(rest):
            halves = leading_piece(rest, first)
            if halves is None:
                fix(axis)
                return Units(stop - start, reason(axis))
            rest = halves[side]
    return rest


def share(units: Units) -> None:
    """Tie what the positions of a set hold, since something reads them as a whole."""
    contents, units.contents = units.contents, ()
    for content in contents:
        unify(units.inner[0], content)


def unshare(units: Units) -> None:
    """Give each position of a set its own copies of the sets inside, which all positions shared."""
    if units.unshared is None:
        inside = {u for inner in units.inner for u in units_in(inner) if not u.fixed}
        units.unshared = {u: tuple(u.like(u.size) for _ in range(units.size)) for u in inside}
        units.fixed_by = stronger(units.fixed_by, KERNEL)
        for i, content in enumerate(units.contents):
            unify(at_position(units.inner[0], units, i), content)
        units.contents = ()


def settle(tensors: Sequence[Sequence[AxisStructure]]) -> None:
    """Decide what is left open: positions share what they hold if any tensor has it without them."""
    undecided = [u for axes in tensors for axis in axes for u in units_in(axis) if u.contents]
    for units in dict.fromkeys(undecided):
        inside = set(units_in(units.inner[0]))
        seen = [{u for axis in axes for u in units_in(axis)} for axes in tensors]
        (share if any(inside & here and units not in here for here in seen) else unshare)(units)


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
