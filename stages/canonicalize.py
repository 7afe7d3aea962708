"""Stage 2: find, for every member, the relabelling of its units that brings it closest to one reference."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages.artifacts.members import network_of, open_zoo
from stages.canonical.alignment import ALIGNMENT, Alignment, aligner_json, read_alignment
from stages.canonical.barrier import barriers
from stages.canonical.form import Aligner
from stages.canonical.preservation import Spread, culprit, output_gaps
from stages.context import Context, torch_threads
from stages.datasets import Train, Validation, load_fitting
from stages.errors import FunctionChanged
from stages.nets.registry import build, example_input
from stages.params.canonicalize import CanonicalizeParams
from stages.params.dataset import dataset_from
from stages.seeds import generator
from stages.store.arrays import Named, is_complete, write_arrays
from stages.store.chunks import spans
from stages.store.layout import Layout
from stages.store.refs import Ref
from stages.store.weights import Shards
from stages.symmetry.derive import Derived, derive
from stages.symmetry.scale import balance
from stages.symmetry.table import Symmetry

BLOCK, VALUES = 500, 2**27
"""Members aligned and stored together, the unit of resumption, but no more than hold this many values (0.5 GB)."""
EXACT, ROUNDED = 1e-9, 1e-4
"""Largest relative output gap, computed in double precision: of a relabelling, and of one with scales stored in float32."""
PROBED = 1000
"""Examples, at most, on which the loss between members and the reference is measured."""


def canonicalize(zoo: Ref, params: CanonicalizeParams, ctx: Context) -> dict[str, Any]:
    """Derive the architecture's symmetry table, then store permutations (never moved weights) with each member's gain.

    Raises FunctionChanged naming the member and the tensors if an alignment changed what a network computes.
    """
    return _Aligner(open_zoo(zoo), params, ctx).run()


@dataclass(frozen=True)
class _Aligner:
    members: Shards
    params: CanonicalizeParams
    ctx: Context

    @property
    def layout(self) -> Layout:
        return self.members.layout

    @cached_property
    def module(self) -> nn.Module:
        return build(network_of(self.members))

    @cached_property
    def derived(self) -> Derived:
        return derive(self.module, example_input(network_of(self.members)))

    @property
    def symmetry(self) -> Symmetry:
        return self.derived.symmetry

    @cached_property
    def aligner(self) -> Aligner:
        return Aligner(self.symmetry, self.params.method, self.params.residual_streams, self.params.max_sweeps)

    @cached_property
    def probe(self) -> Tensor:
        description = self.members.attrs["dataset"]
        if description is None:
            return example_input(network_of(self.members), self.params.probe_examples)
        train, _ = load_fitting(dataset_from(description), self.ctx.data_root)
        return train.inputs[: self.params.probe_examples]

    @cached_property
    def training(self) -> Tensor:
        return torch.from_numpy(np.flatnonzero(self.members.facts("split") == "train"))

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        with torch_threads(1 if self.layout.parameters < VALUES // BLOCK else self.ctx.threads):  # small products
            reference = self._balanced(self.members.rows(0, 1)[0])
            found = self._pass(0, reference)
            for i in range(1, self._passes()):
                reference = self._balanced(self._centre(found))
                before, found = found, self._pass(i, reference)
                if all(torch.equal(before.permutations[g], p) for g, p in found.permutations.items()):
                    break
        seconds = {"matching_seconds": round(time.monotonic() - started, 3)}
        with torch_threads(self.ctx.threads):
            return self._store(found, reference) | seconds

    def _passes(self) -> int:
        if self.params.method == "none":
            return 1
        return {"first": 1, "medoid": 2, "mean": 1 + self.params.mean_rounds}[self.params.reference]

    def _balanced(self, row: Tensor) -> Tensor:
        """The reference, with the scales that the members are brought to."""
        if not self.params.balance_norms:
            return row
        weights = self.layout.unflatten(row)
        return self.layout.flatten(self.symmetry.rescale(balance(self.symmetry, weights), weights))

    def _spans(self) -> Iterator[tuple[int, int]]:
        return spans(len(self.members), max(1, min(BLOCK, VALUES // self.layout.parameters)))

    def _pass(self, number: int, reference: Tensor) -> Alignment:
        """Align every member to the reference, block by block; blocks that are there are read."""
        parts = []
        for start, stop in self._spans():
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
        target, parameters = self.layout.unflatten(reference), [slot.name for slot in self.layout.drawn.slots]
        permutations, scales = [], []
        for i, row in enumerate(self.members.rows(start, stop), start):
            weights = self.layout.unflatten(row)
            if self.params.balance_norms:
                scales.append(balance(self.symmetry, weights))
                weights = self.symmetry.rescale(scales[-1], weights)
            draw = generator(self.params.seed, "rebasin", i)
            permutations.append(self.aligner.element(target, weights, parameters, draw))
        return Alignment(_stack(permutations), _stack(scales))

    def _centre(self, found: Alignment) -> Tensor:
        """The mean of the aligned training members, or the member nearest to it."""
        total = torch.zeros(self.layout.parameters, dtype=torch.float64)
        for start, stop, rows in self._blocks(found):
            total += rows[torch.isin(torch.arange(start, stop), self.training)].double().sum(0)
        mean = total / len(self.training)
        if self.params.reference == "mean":
            return mean.float()
        distances = torch.cat([self._distances(rows, mean) for _, _, rows in self._blocks(found)])
        medoid = int(self.training[int(distances[self.training].argmin())])
        return self.members.rows(medoid, medoid + 1)[0]

    def _blocks(self, found: Alignment) -> Iterator[tuple[int, int, Tensor]]:
        for start, stop in self._spans():
            rows = self.members.rows(start, stop)
            yield start, stop, found.canonical(self.symmetry, self.layout, rows, start)

    def _distances(self, rows: Tensor, to: Tensor) -> Tensor:
        """L2 over the parameters alone."""
        drawn = self.layout.drawn.parameters
        return (rows[:, :drawn].double() - to[:drawn]).norm(dim=1)

    def _store(self, found: Alignment, reference: Tensor) -> dict[str, Any]:
        """Check every member's outputs, then write the alignment and how much each member gained."""
        gaps, before, after, spread = [], [], [], Spread()
        for start, stop, rows in self._blocks(found):
            original = self.members.rows(start, stop)
            gaps.append(self._gaps(found, original, rows, start))
            before.append(self._distances(original, reference))
            after.append(self._distances(rows, reference))
            spread.add(rows[torch.isin(torch.arange(start, stop), self.training), : self.layout.drawn.parameters])
        facts = {"output_gap": gaps, "distance_before": before, "distance_after": after}
        arrays = {name: Named(("network",), torch.cat(values).numpy()) for name, values in facts.items()}
        arrays["network"] = Named(("network",), np.array(self.members.names, dtype=object))
        arrays["reference"] = Named(("parameter",), reference.numpy())
        attrs = aligner_json(self.aligner) | {"unpermuted": list(self.derived.notes)}
        write_arrays(self.ctx.out / ALIGNMENT, "alignment", {**found.arrays(), **arrays}, attrs)
        shutil.rmtree(self.ctx.out / "passes")
        gain = 1 - torch.cat(after).mean() / torch.cat(before).mean().clamp_min(1e-12)
        return {
            "groups": len(self.symmetry.groups),
            "log10_relabellings": round(self.symmetry.log10_size, 1),
            "largest_output_gap": float(torch.cat(gaps).max()),
            "distance_gain": float(gain),
            "pairwise_distance": spread.distance,
            **self._barriers(found, reference),
            **self._left_alone(),
        }

    def _left_alone(self) -> dict[str, list[str]]:
        """What no permutation was found for, said wherever the stage's summary is shown."""
        return {"left_unpermuted": list(self.derived.notes)} if self.derived.notes else {}

    def _barriers(self, found: Alignment, reference: Tensor) -> dict[str, float]:
        """The loss barrier to the reference of a few training members, as trained and aligned."""
        description, few = self.members.attrs["dataset"], self.training[1 : 1 + self.params.barrier_members].tolist()
        if description is None or not few:
            return {}
        train, validation = load_fitting(dataset_from(description), self.ctx.data_root)
        train = Train(train.inputs[:PROBED], train.targets[:PROBED])
        validation = Validation(validation.inputs[:PROBED], validation.targets[:PROBED])
        original = torch.cat([self.members.rows(i, i + 1) for i in few])
        aligned = torch.cat(
            [found.canonical(self.symmetry, self.layout, row[None], i) for i, row in zip(few, original, strict=True)]
        )
        before, after = (
            barriers(self.module, self.layout, rows, reference, train, validation) for rows in (original, aligned)
        )
        return {"barrier_before": float(before.mean()), "barrier_after": float(after.mean())}

    def _gaps(self, found: Alignment, original: Tensor, moved: Tensor, start: int) -> Tensor:
        """The largest change of each member's outputs, relative to its largest output.

        Raises FunctionChanged beyond round-off.
        """
        gaps = output_gaps(self.module, self.layout, original, moved, self.probe)
        allowed = ROUNDED if self.params.balance_norms else EXACT
        if (bad := (gaps > allowed).nonzero().flatten()).numel():
            i = int(bad[0])
            element = found.element(start + i)
            what = culprit(self.module, self.layout, original[i], self.symmetry, element, self.probe, EXACT)
            raise FunctionChanged(
                f"canonicalize: {self.members.names[start + i]} computes something else once aligned (relative gap "
                f"{gaps[i]:.1e}, allowed {allowed:.0e}), first at {what}; the architecture's symmetry table is wrong"
            )
        return gaps


def _stack(elements: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {group: torch.stack([e[group] for e in elements]) for group in elements[0]} if elements else {}


def _concatenate(parts: list[Alignment]) -> Alignment:
    return Alignment(
        {g: torch.cat([part.permutations[g] for part in parts]) for g in parts[0].permutations},
        {g: torch.cat([part.scales[g] for part in parts]) for g in parts[0].scales},
    )
