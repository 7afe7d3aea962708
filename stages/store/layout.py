"""Where each tensor of a network lies in its row of weights."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stages.errors import LayoutMismatch


@dataclass(frozen=True)
class Slot:
    """One tensor of the network: its name, shape, first position in the row, and the type it had."""

    name: str
    shape: tuple[int, ...]
    offset: int
    dtype: str

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)


@dataclass(frozen=True)
class Layout:
    """The tensors of one architecture in state-dict order, laid end to end."""

    slots: tuple[Slot, ...]

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> "Layout":
        """The layout of a state dict."""
        slots, offset = [], 0
        for name, tensor in state.items():
            slots.append(Slot(name, tuple(tensor.shape), offset, str(tensor.dtype).removeprefix("torch.")))
            offset += tensor.numel()
        return cls(tuple(slots))

    @property
    def parameters(self) -> int:
        """Length of a row."""
        return sum(slot.size for slot in self.slots)

    def unflatten(self, rows: Float[Tensor, "*batch parameters"]) -> dict[str, Tensor]:
        """Named views [*batch, *shape] into rows.

        Raises LayoutMismatch if the rows are longer or shorter than the layout.
        """
        if rows.shape[-1] != self.parameters:
            raise LayoutMismatch(f"rows hold {rows.shape[-1]} values where the layout holds {self.parameters}")
        batch = rows.shape[:-1]
        return {s.name: rows[..., s.offset : s.offset + s.size].reshape((*batch, *s.shape)) for s in self.slots}

    def flatten(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, "*batch parameters"]:
        """The inverse of `unflatten`: rows in float32 from named tensors [*batch, *shape].

        Raises LayoutMismatch naming the tensor that is missing, left over or of another shape.
        """
        self.check(tensors)
        parts = [tensors[s.name].flatten(tensors[s.name].ndim - len(s.shape)) if s.shape else
                 tensors[s.name].unsqueeze(-1) for s in self.slots]  # fmt: skip
        return torch.cat([part.to(torch.float32) for part in parts], dim=-1)

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise LayoutMismatch unless the tensors have this layout's names and trailing shapes."""
        if missing := [s.name for s in self.slots if s.name not in tensors]:
            raise LayoutMismatch(f"tensor {missing[0]!r} is missing")
        if extra := sorted(set(tensors) - {s.name for s in self.slots}):
            raise LayoutMismatch(f"tensor {extra[0]!r} isn't part of the layout")
        first = self.slots[0]
        batch = tuple(tensors[first.name].shape)[: tensors[first.name].ndim - len(first.shape)]
        for s in self.slots:
            found = tuple(tensors[s.name].shape)
            if found != batch + s.shape:
                raise LayoutMismatch(f"tensor {s.name!r} has shape {found}, expected {batch + s.shape}")

    @property
    def digest(self) -> str:
        """A hash of names, shapes, offsets and types."""
        return hashlib.sha256(json.dumps(self.to_json(), separators=(",", ":")).encode()).hexdigest()

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values, in order."""
        return [{"name": s.name, "shape": list(s.shape), "offset": s.offset, "dtype": s.dtype} for s in self.slots]

    @classmethod
    def from_json(cls, slots: list[dict[str, Any]]) -> "Layout":
        """The inverse of `to_json`."""
        return cls(tuple(Slot(s["name"], tuple(s["shape"]), s["offset"], s["dtype"]) for s in slots))
