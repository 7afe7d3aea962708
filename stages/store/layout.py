"""Layouts of rows of weights: the place of each tensor of a network, parameters first, then buffers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from stages.errors import LayoutMismatch


@dataclass(frozen=True)
class Slot:
    """One tensor of the network: its name, shape, first position in the row, the type it had, and whether it is a
    buffer, such as BatchNorm's running mean, which training measures and no generator draws.
    """

    name: str
    shape: tuple[int, ...]
    offset: int
    dtype: str
    buffer: bool = False

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)


@dataclass(frozen=True)
class Layout:
    """The tensors of one architecture in state-dict order, laid end to end."""

    slots: tuple[Slot, ...]

    @classmethod
    def of(cls, state: Mapping[str, Tensor], buffers: Mapping[str, Tensor] = MappingProxyType({})) -> "Layout":
        """The layout of named parameters, and of named buffers after them."""
        slots, offset = [], 0
        for name, tensor in [*state.items(), *buffers.items()]:
            dtype = str(tensor.dtype).removeprefix("torch.")
            slots.append(Slot(name, tuple(tensor.shape), offset, dtype, name in buffers))
            offset += tensor.numel()
        return cls(tuple(slots))

    @classmethod
    def of_module(cls, module: nn.Module) -> "Layout":
        """The layout of a module's parameters (each once, however many names it has) and its stored float buffers.

        Counters, such as BatchNorm's number of batches, are left out: no output depends on them.
        """
        stored = module.state_dict(keep_vars=True)
        buffers = {name: tensor for name, tensor in module.named_buffers() if name in stored}
        return cls.of(dict(module.named_parameters()), {n: t for n, t in buffers.items() if t.is_floating_point()})

    @property
    def parameter_layout(self) -> "Layout":
        """The layout of the parameters alone, which generators draw: a row's leading part."""
        return Layout(tuple(slot for slot in self.slots if not slot.buffer))

    @property
    def buffer_layout(self) -> "Layout":
        """The layout of the buffers alone: a row's trailing part."""
        first = self.parameter_layout.size
        return Layout(tuple(replace(slot, offset=slot.offset - first) for slot in self.slots if slot.buffer))

    @property
    def size(self) -> int:
        """Length of a row: the number of all values."""
        return sum(slot.size for slot in self.slots)

    def unflatten(self, rows: Float[Tensor, "*batch parameters"]) -> dict[str, Tensor]:
        """Named views [*batch, *shape] into rows.

        Raises LayoutMismatch if the rows are longer or shorter than the layout.
        """
        if rows.shape[-1] != self.size:
            raise LayoutMismatch(f"rows hold {rows.shape[-1]} values where the layout holds {self.size}")
        batch = rows.shape[:-1]
        return {s.name: rows[..., s.offset : s.offset + s.size].reshape((*batch, *s.shape)) for s in self.slots}

    def flatten(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, "*batch parameters"]:
        """The inverse of `unflatten`: rows in float32 from named tensors [*batch, *shape].

        Raises LayoutMismatch naming the tensor that is missing, left over or of another shape.
        """
        self.check(tensors)
        parts = [
            tensors[s.name].flatten(tensors[s.name].ndim - len(s.shape)) if s.shape else tensors[s.name].unsqueeze(-1)
            for s in self.slots
        ]
        return torch.cat([part.to(torch.float32) for part in parts], dim=-1)

    def finite(self, rows: Float[Tensor, "networks parameters"]) -> Bool[Tensor, " networks"]:
        """Which rows hold a network that can be used: numbers throughout, whose squares add up to one, but for the -inf
        of masks among buffers.
        """
        size = self.parameter_layout.size
        lengths, buffers = torch.linalg.vector_norm(rows[:, :size], dim=1), rows[:, size:]
        return torch.isfinite(lengths.square()) & (buffers < torch.inf).all(1)

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise LayoutMismatch unless the tensors have this layout's names and trailing shapes."""
        if missing := [s.name for s in self.slots if s.name not in tensors]:
            raise LayoutMismatch(f"tensor {missing[0]!r} is missing")
        if extra := sorted(set(tensors) - {s.name for s in self.slots}):
            raise LayoutMismatch(f"tensor {extra[0]!r} isn't part of the layout")
        first = self.slots[0]
        batch = tuple(tensors[first.name].shape)[: tensors[first.name].ndim - len(first.shape)]
        for s in self.slots:
            shape = tuple(tensors[s.name].shape)
            if shape != batch + s.shape:
                raise LayoutMismatch(f"tensor {s.name!r} has shape {shape}, expected {batch + s.shape}")

    @property
    def digest(self) -> str:
        """A hash of names, shapes, offsets and types."""
        return hashlib.sha256(json.dumps(self.to_json(), separators=(",", ":")).encode()).hexdigest()

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values, in order."""
        return [
            {"name": s.name, "shape": list(s.shape), "offset": s.offset, "dtype": s.dtype, "buffer": s.buffer}
            for s in self.slots
        ]

    @classmethod
    def from_json(cls, slots: list[dict[str, Any]]) -> "Layout":
        """The inverse of `to_json`."""
        return cls(tuple(Slot(s["name"], tuple(s["shape"]), s["offset"], s["dtype"], s["buffer"]) for s in slots))
