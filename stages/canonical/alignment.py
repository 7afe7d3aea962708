"""The alignment of a zoo's members: permutations and scales of each, with their store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.canonical.form import Aligner, CanonicalForm
from stages.store.arrays import Named, arrays_of, open_group, read
from stages.store.layout import Layout
from stages.symmetry.table import Symmetry

ALIGNMENT = "alignment.zarr"


@dataclass(frozen=True)
class Alignment:
    """Per group, permutations [networks, size] or, for a group within another, [networks, outer size, size], and,
    where units were rescaled, scales [networks, size].
    """

    permutations: dict[str, Tensor]
    scales: dict[str, Tensor]

    @classmethod
    def stacked(
        cls, permutations: Sequence[Mapping[str, Tensor]], scales: Sequence[Mapping[str, Tensor]]
    ) -> "Alignment":
        """The alignment of one or more networks, from the relabelling and the scales of each."""
        return cls(
            *({g: torch.stack([each[g] for each in every]) for g in every[0]} for every in (permutations, scales))
        )

    @classmethod
    def concatenated(cls, parts: Sequence["Alignment"]) -> "Alignment":
        """The alignment of the networks of one or more parts, in order."""
        tables = [[part.permutations for part in parts], [part.scales for part in parts]]
        return cls(*({g: torch.cat([each[g] for each in every]) for g in every[0]} for every in tables))

    def element(self, index: int) -> dict[str, Tensor]:
        """The relabelling of network `index`."""
        return {group: p[index] for group, p in self.permutations.items()}

    def apply(self, symmetry: Symmetry, index: int, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The canonical form of network `index`: rescaled, then relabelled."""
        if self.scales:
            weights = symmetry.rescale({group: s[index] for group, s in self.scales.items()}, weights)
        return symmetry.act(self.element(index), weights)

    def undo(self, symmetry: Symmetry, index: int, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `apply`: bit for bit, or to round-off where units were rescaled."""
        weights = symmetry.act(symmetry.invert(self.element(index)), weights)
        if not self.scales:
            return weights
        return symmetry.rescale({group: 1 / s[index] for group, s in self.scales.items()}, weights)

    def canonical(self, symmetry: Symmetry, layout: Layout, rows: Tensor, start: int) -> Tensor:
        """Networks `start`, `start + 1`, ... as rows in canonical form."""
        moved = [self.apply(symmetry, i, layout.unflatten(row)) for i, row in enumerate(rows, start)]
        return torch.stack([layout.flatten(weights) for weights in moved])

    def arrays(self) -> dict[str, Named]:
        """As they are stored."""
        stored = {f"permutations/{g}": Named(_dims(g, p), p.int().numpy()) for g, p in self.permutations.items()}
        return stored | {f"scales/{g}": Named(_dims(g, s), s.numpy()) for g, s in self.scales.items()}


def _dims(group: str, values: Tensor) -> tuple[str, ...]:
    return ("network", group) if values.ndim == 2 else ("network", f"{group} in", group)


def read_alignment(path: Path) -> Alignment:
    """The permutations and scales in an alignment store."""
    group = open_group(path)
    tables: dict[str, dict[str, Tensor]] = {"permutations": {}, "scales": {}}
    for array, _ in arrays_of(group):
        kind, _, name = array.partition("/")
        if kind in tables:
            values = torch.from_numpy(read(group, array))
            tables[kind][name] = values.long() if kind == "permutations" else values
    return Alignment(tables["permutations"], tables["scales"])


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
