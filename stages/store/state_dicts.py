"""Foreign state dicts as rows of a network's layout: names matched, shapes and values checked."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stages.errors import Diverged, LayoutMismatch, did_you_mean
from stages.store.layout import Layout, Slot

WRAPPER = re.compile(r"_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.")
"""Wrappers that compiling, sharding and checkpointing put into the names of a module's tensors."""


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
    ignored: frozenset[str]
    """Buffers that aren't part of a row, such as counters; a file may hold them or not."""

    @classmethod
    def of_module(cls, module: nn.Module) -> "Expected":
        """The tensors of a module's `state_dict`."""
        layout = Layout.of_module(module)
        kept = {slot.name for slot in layout.slots}
        every = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
        first = {id(tensor): name for name, tensor in every if name in kept}
        aliases = {name: first[id(tensor)] for name, tensor in every if name not in kept and id(tensor) in first}
        return cls(layout, aliases, frozenset({name for name, _ in every} - kept - aliases.keys()))

    def match(self, tensors: Mapping[str, Tensor], file: str) -> Matched:
        """The row [parameters] of float32.

        Raises LayoutMismatch naming file and tensor for one that is missing, left over, of another shape or no
        floating-point one, and Diverged for values that aren't finite.
        """
        named, notes = self._renamed(tensors)
        named = {name: t for name, t in named.items() if name not in self.ignored and not _is_counter(t)}
        named = self._untied(named, file)
        self._check_names(named, file)
        for slot in self.layout.slots:
            _check_values(slot, named[slot.name], file)
        notes += sorted({f"{_kind(t)} converted to float32" for t in named.values() if t.dtype != torch.float32})
        return Matched(self.layout.flatten(named), tuple(notes))

    def _renamed(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Tensors by names without wrappers, and without the prefix that most of the file's names share."""
        expected = {slot.name for slot in self.layout.slots} | self.aliases.keys()
        named, notes = dict(tensors), []
        bare = {WRAPPER.sub("", name): tensor for name, tensor in named.items()}
        if bare.keys() != named.keys() and len(bare) == len(named) and not any(map(WRAPPER.search, expected)):
            notes.append(f"{min({m[0] for name in named for m in WRAPPER.finditer(name)})!r} dropped from names")
            named = bare
        if prefix := _prefix(named, expected):
            notes.append(f"prefix {prefix!r} dropped")
            named = {_removed(name, prefix, named): tensor for name, tensor in named.items()}
        return named, notes

    def _untied(self, named: Mapping[str, Tensor], file: str) -> dict[str, Tensor]:
        """Tied tensors under the name that the layout has for them."""
        untied = {name: tensor for name, tensor in named.items() if name not in self.aliases}
        for alias, name in self.aliases.items():
            if alias in named and not torch.equal(untied.setdefault(name, named[alias]), named[alias]):
                raise LayoutMismatch(f"{file}: {alias!r} and {name!r} differ, but zoo.network ties them together")
        return untied

    def _check_names(self, named: Mapping[str, Tensor], file: str) -> None:
        missing = [slot for slot in self.layout.slots if slot.name not in named]
        extra = [name for name in named if name not in {slot.name for slot in self.layout.slots}]
        if missing:
            first, kind = missing[0], "buffer" if all(slot.buffer for slot in missing) else "tensor"
            raise LayoutMismatch(
                f"{file}: {kind} {first.name!r} {first.shape} of zoo.network is missing{_others(missing)}"
                + (did_you_mean(first.name, extra or named) if kind == "tensor" else "; save the whole state_dict()")
            )
        if extra:
            near = did_you_mean(extra[0], [slot.name for slot in self.layout.slots])
            raise LayoutMismatch(f"{file}: tensor {extra[0]!r} isn't part of zoo.network{_others(extra)}{near}")


def _is_counter(tensor: Tensor) -> bool:
    return tensor.ndim == 0 and not tensor.is_floating_point()


def _prefix(named: Iterable[str], expected: set[str]) -> str:
    """The prefix of the network's names that most of a file's names have; may be empty."""
    counts: Counter[str] = Counter()
    for name in named:
        parts = name.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in expected:
                counts["".join(f"{part}." for part in parts[:cut])] += 1
    return min(counts, key=lambda prefix: (-counts[prefix], len(prefix)), default="")


def _removed(name: str, prefix: str, names: Iterable[str]) -> str:
    """The name without the prefix, unless another tensor has that name already."""
    short = name.removeprefix(prefix)
    return name if short in names else short


def _check_values(slot: Slot, tensor: Tensor, file: str) -> None:
    where = f"{file}: tensor {slot.name!r}"
    if tuple(tensor.shape) != slot.shape:
        raise LayoutMismatch(f"{where} has shape {tuple(tensor.shape)}, but in zoo.network {slot.shape}")
    if not tensor.is_floating_point() or tensor.layout != torch.strided:
        raise LayoutMismatch(f"{where} holds {_kind(tensor)} values, expected dense floating-point ones")
    bad = ~torch.isfinite(tensor.to(torch.float32))
    if count := int(bad.sum()):
        first = tuple(bad.nonzero()[0].tolist())
        raise Diverged(
            f"{where} has {count} of {tensor.numel()} values that aren't finite float32 numbers, the first at "
            f"{list(first)}; leave this file out of zoo.files"
        )


def _kind(tensor: Tensor) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    return kind if tensor.layout == torch.strided else f"sparse {kind}"


def _others(wrong: list[Slot] | list[str]) -> str:
    return f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
