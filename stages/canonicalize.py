"""Stage 2: find, for every member, the relabelling of its units that brings it closest to one reference."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.alignment import ALIGNMENT, Alignment, read_alignment
from stages.artifacts.members import network_of, open_zoo
from stages.context import Context, torch_threads
from stages.datasets import load_fitting
from stages.errors import FunctionChanged
from stages.nets.registry import build, symmetry_of
from stages.nets.stacked import outputs
from stages.params.canonicalize import CanonicalizeParams
from stages.params.dataset import dataset_from
from stages.seeds import generator
from stages.store.arrays import Named, is_complete, write_arrays
from stages.store.plan import spans
from stages.store.refs import Ref
from stages.store.weights import Shards
from stages.symmetry.rebasin import match
from stages.symmetry.scale import balance
from stages.symmetry.table import Symmetry

BLOCK = 500
"""Members aligned and stored together, the unit of resumption."""
EXACT, ROUNDED = 1e-9, 1e-4
"""Largest relative output gap, computed in double precision: of a relabelling, and of one with scales stored in float32."""


def canonicalize(zoo: Ref, params: CanonicalizeParams, ctx: Context) -> dict[str, Any]:
    """Store permutations (never moved weights) with each member's gain and output gap.

    Raises FunctionChanged naming the member and the tensors if an alignment changed what a network computes.
    """
    with torch_threads(1):  # thousands of small products: threads only get in their way
        return _Aligner(open_zoo(zoo), params, ctx).run()


@dataclass(frozen=True)
class _Aligner:
    members: Shards
    params: CanonicalizeParams
    ctx: Context

    @cached_property
    def symmetry(self) -> Symmetry:
        return symmetry_of(network_of(self.members))

    @cached_property
    def probe(self) -> Tensor:
        train, _ = load_fitting(dataset_from(self.members.attrs["dataset"]), self.ctx.data_root)
        return train.inputs[: self.params.probe].double()

    @cached_property
    def training(self) -> Tensor:
        return torch.from_numpy(np.flatnonzero(self.members.facts("split") == "train"))

    def run(self) -> dict[str, Any]:
        reference = self._balanced(self.members.rows(0, 1)[0])
        found = self._pass(0, reference)
        for i in range(1, self._passes()):
            reference = self._balanced(self._centre(found))
            before, found = found, self._pass(i, reference)
            if all(torch.equal(before.permutations[g], p) for g, p in found.permutations.items()):
                break
        return self._store(found, reference)

    def _passes(self) -> int:
        if self.params.method == "none":
            return 1
        return {"first": 1, "medoid": 2, "mean": 1 + self.params.rounds}[self.params.reference]

    def _balanced(self, row: Tensor) -> Tensor:
        """The reference, with the scales that the members are brought to."""
        if not self.params.scale:
            return row
        weights = self.members.layout.unflatten(row)
        return self.members.layout.flatten(self.symmetry.rescale(balance(self.symmetry, weights), weights))

    def _pass(self, number: int, reference: Tensor) -> Alignment:
        """Align every member to the reference, block by block; blocks that are there are read."""
        parts = []
        for start, stop in spans(len(self.members), BLOCK):
            path = self.ctx.out / "passes" / f"{number}-{start:06d}.zarr"
            if not is_complete(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_arrays(path, "alignment", self._align(start, stop, reference).arrays(), {})
            parts.append(read_alignment(path))
            done = (number + stop / len(self.members)) / self._passes()
            self.ctx.progress(done, f"pass {number + 1}, {stop} members aligned")
        return _concatenate(parts)

    def _align(self, start: int, stop: int, reference: Tensor) -> Alignment:
        """One block of members."""
        layout, symmetry = self.members.layout, self.symmetry
        target = layout.unflatten(reference)
        permutations, scales = [], []
        for i, row in enumerate(self.members.rows(start, stop), start):
            weights = layout.unflatten(row)
            if self.params.scale:
                scales.append(balance(symmetry, weights))
                weights = symmetry.rescale(scales[-1], weights)
            if self.params.method == "none":
                permutations.append(symmetry.identity(weights))
            else:
                draw = generator(self.params.seed, "rebasin", i)
                permutations.append(match(symmetry, target, weights, draw, self.params.max_sweeps).permutations)
        return Alignment(_stack(permutations), _stack(scales))

    def _centre(self, found: Alignment) -> Tensor:
        """The mean of the aligned training members, or the member nearest to it."""
        total = torch.zeros(self.members.layout.parameters, dtype=torch.float64)
        for start, stop, rows in self._blocks(found):
            total += rows[torch.isin(torch.arange(start, stop), self.training)].double().sum(0)
        mean = total / len(self.training)
        if self.params.reference == "mean":
            return mean.float()
        distances = torch.cat([(rows.double() - mean).norm(dim=1) for _, _, rows in self._blocks(found)])
        medoid = int(self.training[int(distances[self.training].argmin())])
        return self.members.rows(medoid, medoid + 1)[0]

    def _blocks(self, found: Alignment) -> Iterator[tuple[int, int, Tensor]]:
        for start, stop in spans(len(self.members), BLOCK):
            rows = self.members.rows(start, stop)
            yield start, stop, found.canonical(self.symmetry, self.members.layout, rows, start)

    def _store(self, found: Alignment, reference: Tensor) -> dict[str, Any]:
        """Check every member's outputs, then write the alignment and how much each member gained."""
        gaps, before, after = [], [], []
        for start, stop, rows in self._blocks(found):
            original = self.members.rows(start, stop)
            gaps.append(self._gaps(found, original, rows, start))
            before.append((original - reference).norm(dim=1))
            after.append((rows - reference).norm(dim=1))
        facts = {"output_gap": gaps, "distance_before": before, "distance_after": after}
        arrays = {name: Named(("network",), torch.cat(values).numpy()) for name, values in facts.items()}
        arrays["network"] = Named(("network",), np.array(self.members.names, dtype=object))
        arrays["reference"] = Named(("parameter",), reference.numpy())
        write_arrays(self.ctx.out / ALIGNMENT, "alignment", {**found.arrays(), **arrays}, {})
        shutil.rmtree(self.ctx.out / "passes")
        gain = 1 - torch.cat(after).mean() / torch.cat(before).mean().clamp_min(1e-12)
        return {"largest_output_gap": float(torch.cat(gaps).max()), "distance_gain": float(gain)}

    def _gaps(self, found: Alignment, original: Tensor, moved: Tensor, start: int) -> Tensor:
        """The largest change of each member's outputs, relative to its largest output.

        Raises FunctionChanged beyond round-off.
        """
        gaps = self._difference(original, moved)
        allowed = ROUNDED if self.params.scale else EXACT
        if (bad := (gaps > allowed).nonzero().flatten()).numel():
            i = int(bad[0])
            raise FunctionChanged(
                f"canonicalize: {self.members.names[start + i]} computes something else once aligned (relative gap "
                f"{gaps[i]:.1e}, allowed {allowed:.0e}), first at {self._culprit(found, start + i, original[i])}; "
                "the architecture's symmetry table is wrong"
            )
        return gaps

    def _difference(self, original: Tensor, moved: Tensor) -> Tensor:
        module = build(network_of(self.members)).double()
        a, b = (outputs(module, self.members.layout, rows.double(), self.probe) for rows in (original, moved))
        return (a - b).abs().flatten(1).amax(1) / a.abs().flatten(1).amax(1).clamp_min(1e-12)

    def _culprit(self, found: Alignment, index: int, row: Tensor) -> str:
        """The tensors of the first group that changes the outputs when it alone is relabelled."""
        weights = self.members.layout.unflatten(row)
        for group, axes in self.symmetry.groups.items():
            alone = {**self.symmetry.identity(weights), group: found.permutations[group][index]}
            moved = self.members.layout.flatten(self.symmetry.act(alone, weights))
            if self._difference(row[None], moved[None]).item() > EXACT:
                return f"group {group!r} (" + ", ".join(f"{a.tensor} axis {a.axis}" for a in axes) + ")"
        return "the rescaling"


def _stack(elements: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {group: torch.stack([e[group] for e in elements]) for group in elements[0]} if elements else {}


def _concatenate(parts: list[Alignment]) -> Alignment:
    return Alignment(
        {g: torch.cat([part.permutations[g] for part in parts]) for g in parts[0].permutations},
        {g: torch.cat([part.scales[g] for part in parts]) for g in parts[0].scales},
    )
