"""The alignment of a zoo's members: permutations, scales and signs of each, with their store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.canonical.form import Aligner, CanonicalForm
from stages.store.arrays import Named, arrays_of, open_group, read
from stages.store.layout import Layout
from stages.symmetry.element import Element
from stages.symmetry.table import Symmetry

ALIGNMENT = "alignment.zarr"


@dataclass(frozen=True)
class Alignment:
    """Per group, permutations [networks, size] or, for a group within another, [networks, outer size, size], and,
    where units were rescaled or may change their signs, scales and signs [networks, size].
    """

    permutations: dict[str, Tensor]
    scales: dict[str, Tensor]
    signs: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def stacked(cls, elements: Sequence[Element]) -> "Alignment":
        """The alignment of one or more networks, from the element of each."""
        tables = ([getattr(e, kind) for e in elements] for kind in ("permutations", "scales", "signs"))
        return cls(*({g: torch.stack([each[g] for each in every]) for g in every[0]} for every in tables))

    @classmethod
    def concatenated(cls, parts: Sequence["Alignment"]) -> "Alignment":
        """The alignment of the networks of one or more parts, in order."""
        tables = ([getattr(part, kind) for part in parts] for kind in ("permutations", "scales", "signs"))
        return cls(*({g: torch.cat([each[g] for each in every]) for g in every[0]} for every in tables))

    def same_units(self, other: "Alignment") -> bool:
        """Whether another alignment puts the same units with the same signs in the same places."""
        pairs = ((self.permutations, other.permutations), (self.signs, other.signs))
        return all(torch.equal(values, theirs[group]) for ours, theirs in pairs for group, values in ours.items())

    def element(self, index: int) -> Element:
        """The element that moves network `index`."""
        tables = (self.permutations, self.signs, self.scales)
        return Element(*({group: values[index] for group, values in table.items()} for table in tables))

    def apply(self, symmetry: Symmetry, index: int, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The canonical form of network `index`."""
        return self.element(index).act(symmetry, weights)

    def undo(self, symmetry: Symmetry, index: int, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `apply`: bit for bit, or to round-off where units were rescaled."""
        return self.element(index).inverse(symmetry).act(symmetry, weights)

    def canonical(self, symmetry: Symmetry, layout: Layout, rows: Tensor, start: int) -> Tensor:
        """Networks `start`, `start + 1`, ... as rows in canonical form."""
        moved = [self.apply(symmetry, i, layout.unflatten(row)) for i, row in enumerate(rows, start)]
        return torch.stack([layout.flatten(weights) for weights in moved])

    def arrays(self) -> dict[str, Named]:
        """As they are stored."""
        stored = {f"permutations/{g}": Named(_dims(g, p), p.int().numpy()) for g, p in self.permutations.items()}
        factors = {f"scales/{g}": s for g, s in self.scales.items()} | {f"signs/{g}": s for g, s in self.signs.items()}
        return stored | {name: Named(_dims(name.partition("/")[2], s), s.numpy()) for name, s in factors.items()}


def _dims(group: str, values: Tensor) -> tuple[str, ...]:
    return ("network", group) if values.ndim == 2 else ("network", f"{group} in", group)


def read_alignment(path: Path) -> Alignment:
    """The permutations, scales and signs in an alignment store; earlier ones have no signs."""
    group = open_group(path)
    tables: dict[str, dict[str, Tensor]] = {"permutations": {}, "scales": {}, "signs": {}}
    for array, _ in arrays_of(group):
        kind, _, name = array.partition("/")
        if kind in tables:
            values = torch.from_numpy(read(group, array))
            tables[kind][name] = values.long() if kind == "permutations" else values
    return Alignment(**tables)


def aligner_json(aligner: Aligner) -> dict[str, Any]:
    """The attributes of an alignment store that say how its members were aligned."""
    options = {"method": aligner.method, "streams": aligner.streams, "max_sweeps": aligner.max_sweeps}
    return {"symmetry": aligner.symmetry.to_json(), "aligned": options}


def read_aligner(path: Path) -> Aligner:
    """The aligner of an alignment store's members, to align other networks alike."""
    options: Any = open_group(path).attrs["aligned"]
    return Aligner(read_symmetry(path), **options)


def read_form(path: Path, layout: Layout) -> CanonicalForm:
    """The canonical form of an alignment store's members, over rows of this layout."""
    return CanonicalForm(read_aligner(path), layout, balance_norms=bool(read_alignment(path).scales))


def read_symmetry(path: Path) -> Symmetry:
    """The table that an alignment store's permutations belong to."""
    groups: Any = open_group(path).attrs["symmetry"]
    return Symmetry.from_json(groups)


def read_reference(path: Path) -> Tensor:
    """The row that the members were aligned to, parameters before buffers."""
    return torch.from_numpy(read(open_group(path), "reference"))
