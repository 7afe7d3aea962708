"""Foreign state dicts as rows of a network's layout: names matched, shapes and values checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stages.errors import Diverged, LayoutMismatch, did_you_mean
from stages.store.layout import Layout, Slot
from stages.store.tensor_names import Named, Naming, and_more

PACKED = (torch.float4_e2m1fn_x2, torch.bits1x8, torch.bits2x4, torch.bits4x2, torch.bits8, torch.bits16)
"""Types of several values to a byte, or of none in particular, which torch converts to no other."""


@dataclass(frozen=True)
class Matched:
    """A network's row, and notes on what was changed to get it."""

    row: Float[Tensor, " parameters"]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Expected:
    """The tensors that a checkpoint of one architecture holds."""

    layout: Layout
    aliases: Mapping[str, str]
    """Further names of tied tensors -> their name in the layout."""
    outside: Mapping[str, Tensor]
    """Buffers that aren't part of a row, as the module makes them, such as counters; a file may hold them or not."""
    naming: Naming
    infinite: Mapping[str, Tensor] = field(default_factory=dict)
    """Buffers with values that aren't finite in the module itself, such as the -inf of an attention mask."""
    defaults: Mapping[str, Tensor] = field(default_factory=dict)
    """Buffers that a file may lack, with the values that they then have."""

    @classmethod
    def of_module(
        cls, module: nn.Module, rename: Mapping[str, str] | None = None, ignore: tuple[str, ...] = ()
    ) -> "Expected":
        """The tensors of a module's `state_dict`."""
        layout = Layout.of_module(module)
        kept = frozenset(slot.name for slot in layout.slots)
        every = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
        first = {id(tensor): name for name, tensor in every if name in kept}
        aliases = {name: first[id(tensor)] for name, tensor in every if name not in kept and id(tensor) in first}
        outside = {name: tensor for name, tensor in every if name not in kept | aliases.keys()}
        infinite = {name: b.detach() for name, b in module.named_buffers() if not bool(torch.isfinite(b).all())}
        return cls(layout, aliases, outside, Naming(frozenset({*kept, *aliases}), rename or {}, ignore), infinite)

    def match(self, tensors: Mapping[str, Tensor], file: str) -> Matched:
        """The row [parameters] of float32.

        Raises LayoutMismatch naming file and tensor for one that is missing, left over, of another shape, no
        floating-point one, or a buffer outside of rows with other values than the module's, and Diverged for values
        that aren't finite (unless the module's own buffer is the same).
        """
        self._check_outside(self.naming.apply(tensors)[0], file)
        named, notes = self._renamed(tensors)
        named = {**self.defaults, **self._untied(named, file)}
        self._check_names(named, file)
        for slot in self.layout.slots:
            _check_kind(slot, named[slot.name], file)
        _check_values({slot.name: named[slot.name] for slot in self.layout.slots}, self.infinite, file)
        notes += sorted({f"{_kind(t)} converted to float32" for t in named.values() if t.dtype != torch.float32})
        return Matched(self.layout.flatten(named), tuple(notes))

    def fits(self, tensors: Mapping[str, Tensor]) -> bool:
        """Whether all parameters are there, of one network or of many stacked ones; more tensors may be there, too."""
        named, _ = self._renamed(tensors)
        return _hold(named, self._parameters) or self._stacks(named) is not None

    def stacked(self, tensors: Mapping[str, Tensor]) -> int | None:
        """The number of networks that are stacked along a further leading axis; None if there is no such axis."""
        return self._stacks(self._renamed(tensors)[0])

    def _stacks(self, named: Mapping[str, Tensor]) -> int | None:
        shapes = {slot.name: slot.shape for slot in self.layout.slots if slot.name in named}
        leading = {tuple(named[name].shape)[: named[name].ndim - len(shape)] for name, shape in shapes.items()}
        if not self._parameters.keys() <= shapes.keys() or len(leading) != 1 or len(count := leading.pop()) != 1:
            return None
        return count[0] if _hold(named, {name: count + shape for name, shape in shapes.items()}) else None

    def prefixes(self, tensors: Mapping[str, Tensor]) -> list[str]:
        """The prefixes, with a dot at the end, below each of which a file has all parameters of a network."""
        first = next(iter(self._parameters), "")
        found = [name.removesuffix(first) for name in tensors if name.endswith(f".{first}")]
        shapes = {prefix: {prefix + name: shape for name, shape in self._parameters.items()} for prefix in found}
        return [prefix for prefix in found if _hold(tensors, shapes[prefix])]

    @cached_property
    def _parameters(self) -> dict[str, tuple[int, ...]]:
        return {slot.name: slot.shape for slot in self.layout.slots if not slot.buffer}

    def _renamed(self, tensors: Mapping[str, Tensor]) -> Named:
        """Tensors by the layout's names, without counters; tied ones under each of their names."""
        named, notes = self.naming.apply(tensors)
        first = {name: named[alias] for alias, name in self.aliases.items() if alias in named}
        return first | {n: t for n, t in named.items() if n not in self.outside and not _is_counter(t)}, notes

    def _untied(self, named: Mapping[str, Tensor], file: str) -> dict[str, Tensor]:
        """Tied tensors under the name that the layout has for them."""
        untied = {name: tensor for name, tensor in named.items() if name not in self.aliases}
        for alias, name in self.aliases.items():
            if alias in named and not _same(untied.setdefault(name, named[alias]), named[alias]):
                raise LayoutMismatch(f"{file}: {alias!r} and {name!r} differ, but zoo.network ties them together")
        return untied

    def _check_outside(self, named: Mapping[str, Tensor], file: str) -> None:
        """What isn't part of a row is the module's in every network, so a file can't have something else."""
        for name, own in self.outside.items():
            tensor = named.get(name)
            counts = tensor is not None and tensor.ndim == 0 and _is_counter(own)  # in an average, as a float
            if tensor is not None and not _is_counter(tensor) and not counts and not _alike(tensor, own):
                raise LayoutMismatch(
                    f"{file}: buffer {name!r} ({_kind(tensor)} {tuple(tensor.shape)}) has other values than the one "
                    f"that zoo.network makes, {_kind(own)} {tuple(own.shape)}, which all networks would be run with; "
                    f"mend zoo.network's kwargs, or let zoo.ignore: [{name!r}] take its own"
                )

    def _check_names(self, named: Mapping[str, Tensor], file: str) -> None:
        missing = [slot for slot in self.layout.slots if slot.name not in named]
        extra = [name for name in named if name not in {slot.name for slot in self.layout.slots}]
        if missing:
            first, kind = missing[0], "buffer" if all(slot.buffer for slot in missing) else "tensor"
            raise LayoutMismatch(
                f"{file}: {kind} {first.name!r} {first.shape} of zoo.network is missing{and_more(missing)}"
                + (did_you_mean(first.name, extra or named) if kind == "tensor" else "; save the whole state_dict()")
                + ("; zoo.rename gives a file's tensors other names" if extra else "")
            )
        if extra:
            near = did_you_mean(extra[0], [slot.name for slot in self.layout.slots])
            raise LayoutMismatch(
                f"{file}: tensor {extra[0]!r} isn't part of zoo.network{and_more(extra)}; "
                f"zoo.ignore: {self.naming.patterns(extra)} leaves out what isn't{near}"
            )


def _is_counter(tensor: Tensor) -> bool:
    return tensor.ndim == 0 and not tensor.is_floating_point()


def _same(tensor: Tensor, other: Tensor) -> bool:
    """Whether two tensors of any kind are one, or have equal values."""
    return tensor is other or (_is_plain(tensor) and _is_plain(other) and torch.equal(tensor, other))


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor has a value of its own at each place, which can be converted to float32."""
    packed = tensor.is_quantized or tensor.dtype in PACKED
    return tensor.layout == torch.strided and not packed


def _alike(tensor: Tensor, own: Tensor) -> bool:
    """Whether values are the same, but for what half precision rounds away."""
    if tensor.shape != own.shape or tensor.is_floating_point() != own.is_floating_point() or not _is_plain(tensor):
        return False
    if not own.is_floating_point():
        return torch.equal(tensor.cpu(), own.cpu().to(tensor.dtype))
    return torch.allclose(tensor.double().cpu(), own.double().cpu(), rtol=0.01, atol=1e-6, equal_nan=True)


def _check_kind(slot: Slot, tensor: Tensor, file: str) -> None:
    where = f"{file}: tensor {slot.name!r}"
    if tuple(tensor.shape) != slot.shape:
        raise LayoutMismatch(f"{where} has shape {tuple(tensor.shape)}, but in zoo.network {slot.shape}")
    if not tensor.is_floating_point() or not _is_plain(tensor):
        raise LayoutMismatch(f"{where} holds {_kind(tensor)} values, expected dense floating-point ones")


def _check_values(tensors: Mapping[str, Tensor], infinite: Mapping[str, Tensor], file: str) -> None:
    bad = {name: ~torch.isfinite(tensor.to(torch.float32)) for name, tensor in tensors.items()}
    bad |= {name: bad[name] & (tensors[name] != fresh) for name, fresh in infinite.items() if name in bad}
    wrong = {name: places for name, places in bad.items() if places.any()}
    for name, places in wrong.items():
        first = tuple(places.nonzero()[0].tolist())
        others = f"; so have {', '.join(map(repr, [*wrong][1:]))}" if len(wrong) > 1 else ""
        raise Diverged(
            f"{file}: tensor {name!r} has {int(places.sum())} of {places.numel()} values that aren't finite float32 "
            f"numbers, the first at {list(first)}{others}"
        )


def _kind(tensor: Tensor) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    return kind if tensor.layout == torch.strided else f"sparse {kind}"


def _hold(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether tensors of these names and shapes are all there."""
    return all(name in tensors and tuple(tensors[name].shape) == shape for name, shape in shapes.items())
