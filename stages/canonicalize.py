"""Stage 2: align every member to one reference by a permutation of its units, which leaves its function as it is."""

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from stages.artifacts.members import network_of, open_zoo
from stages.canonical.alignment import ALIGNMENT, Alignment, aligner_json, read_alignment
from stages.canonical.buffers import stored_buffers
from stages.canonical.checks import Spread, barriers, culprit, output_gaps, with_constants
from stages.canonical.form import Aligner, CanonicalForm, Row
from stages.context import Context, torch_threads
from stages.datasets import Train, Validation, load_fitting
from stages.errors import FunctionChanged
from stages.nets.registry import assign, build, example_input
from stages.nets.requirements import check_network
from stages.params.canonicalize import CanonicalizeParams
from stages.params.dataset import dataset_from
from stages.seeds import generator
from stages.store.arrays import Named, is_complete, write_arrays
from stages.store.chunks import spans
from stages.store.refs import Ref
from stages.store.weights import Shards
from stages.symmetry.derive import derive

BLOCK, VALUES = 500, 2**27
"""Members aligned and stored together, the unit of resumption, but no more than hold this many values (0.5 GB)."""
EXACT, ROUNDED = 1e-9, 1e-4
"""Largest relative output gap, in double precision: of a relabelling, and of one with scales stored in float32."""
PROBED = 1000
"""Examples, at most, on which the loss between members and the reference is measured."""


def canonicalize(zoo: Ref, params: CanonicalizeParams, ctx: Context) -> dict[str, Any]:
    """Derive the architecture's symmetry table, then store permutations (never moved weights) with each member's gain.

    Raises FunctionChanged naming the member and the tensors if an alignment changed what a network computes once it is
    completed as later stages do it, and UsageError for members with buffers that they couldn't complete.
    """
    started = time.monotonic()
    members = open_zoo(zoo)
    network, layout = network_of(members), members.layout
    module, example = build(network), example_input(network, params.probe_examples)
    check_network(module, example_input(network), "zoo.network")
    constants = stored_buffers(members, module).constants
    assign(module, constants)
    with torch_threads(1 if layout.size < VALUES // BLOCK else ctx.threads):  # small products
        derived = derive(module, example_input(network), constants)
        aligner = Aligner(derived.symmetry, params.method, params.residual_streams, params.max_sweeps)
        form = CanonicalForm(aligner, layout, params.balance_norms)
        aligned = _Passes(members, form, params, ctx).run()
    seconds = round(time.monotonic() - started, 3)
    with torch_threads(ctx.threads):
        data = _fitting_data(members, ctx)
        probe = data[0].inputs[: params.probe_examples] if data else example
        changes, pairwise_distance = _check(aligned, module, probe, constants)
        _store(aligned, changes, derived.notes, ctx)
        gain = 1 - changes.distance_after.mean() / changes.distance_before.mean().clamp_min(1e-12)
        return {
            "groups": len(derived.symmetry.groups),
            "log10_relabellings": round(derived.symmetry.log10_size, 1),
            "largest_output_gap": float(changes.output_gap.max()),
            "distance_gain": float(gain),
            "pairwise_distance": pairwise_distance,
            **(_barriers(aligned, module, params.barrier_members, *data) if data else {}),
            **({"left_unpermuted": list(derived.notes)} if derived.notes else {}),
            "matching_seconds": seconds,
        }


class _Block(NamedTuple):
    """Consecutive members: the first one's number, rows as trained and in canonical form, which are for training."""

    start: int
    original: Tensor
    canonical: Tensor
    train: Tensor


@dataclass(frozen=True)
class _Aligned:
    """The zoo's members with the alignment of each to a reference."""

    members: Shards
    form: CanonicalForm
    alignment: Alignment
    reference: Row

    def canonical(self, original: Tensor, start: int) -> Tensor:
        """Members `start`, `start + 1`, ... in canonical form."""
        return self.alignment.canonical(self.form.symmetry, self.form.layout, original, start)

    @cached_property
    def is_train(self) -> Tensor:
        """Which members later stages learn from; the others are held out."""
        return torch.from_numpy(self.members.facts("split") == "train")

    def blocks(self) -> Iterator[_Block]:
        """All members, a bounded number at a time."""
        for start, stop in _spans(self.members):
            original = self.members.rows(start, stop)
            yield _Block(start, original, self.canonical(original, start), self.is_train[start:stop])

    def distances(self, rows: Tensor, to: Tensor) -> Tensor:
        """L2 over the parameters, not the buffers."""
        size = self.form.layout.parameter_layout.size
        return (rows[:, :size].double() - to[:size]).norm(dim=1)


def _spans(members: Shards) -> Iterator[tuple[int, int]]:
    return spans(len(members), max(1, min(BLOCK, VALUES // members.layout.size)))


@dataclass(frozen=True)
class _Passes:
    """Alignment of all members to a reference, pass after pass where the reference is taken from aligned members."""

    members: Shards
    form: CanonicalForm
    params: CanonicalizeParams
    ctx: Context

    def run(self) -> _Aligned:
        """Align until the reference is the one asked for, or until no permutation changes."""
        aligned = self._pass(0, self.members.rows(0, 1)[0])
        for number in range(1, self._count()):
            before, aligned = aligned.alignment, self._pass(number, self._centre(aligned))
            if before.same_units(aligned.alignment):
                break
        return aligned

    def _count(self) -> int:
        if self.params.method == "none":
            return 1
        return {"first": 1, "medoid": 2, "mean": 1 + self.params.mean_rounds}[self.params.reference]

    def _centre(self, aligned: _Aligned) -> Row:
        """The mean of the aligned training members, or the member nearest to it."""
        total = torch.zeros(self.form.layout.size, dtype=torch.float64)
        for block in aligned.blocks():
            total += block.canonical[block.train].double().sum(0)
        training = aligned.is_train.nonzero().flatten()
        mean = total / len(training)
        if self.params.reference == "mean":
            return mean.float()
        distances = torch.cat([aligned.distances(block.canonical, mean) for block in aligned.blocks()])
        medoid = int(training[int(distances[training].argmin())])
        return self.members.rows(medoid, medoid + 1)[0]

    def _pass(self, number: int, reference: Row) -> _Aligned:
        """Align every member to the reference, block by block; finished blocks of an earlier run are read."""
        reference, parts = self.form.balanced(reference), []
        for start, stop in _spans(self.members):
            path = self.ctx.out / "passes" / f"{number}-{start:06d}.zarr"
            if not is_complete(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_arrays(path, "alignment", self._align(start, stop, reference).arrays(), {})
            parts.append(read_alignment(path))
            done = (number + stop / len(self.members)) / self._count()
            self.ctx.progress(done, f"pass {number + 1}, {stop} members aligned")
        return _Aligned(self.members, self.form, Alignment.concatenated(parts), reference)

    def _align(self, start: int, stop: int, reference: Row) -> Alignment:
        elements = []
        for i, row in enumerate(self.members.rows(start, stop), start):
            scales = self.form.scales(row)
            draw = generator(self.params.seed, "rebasin", i)
            element = self.form.element(reference, self.form.rescaled(row, scales), draw)
            elements.append(replace(element, scales=scales))
        return Alignment.stacked(elements)


class _Changes(NamedTuple):
    """What alignment changed, per member: outputs, relative to the largest, and L2 distance to the reference."""

    output_gap: Tensor
    distance_before: Tensor
    distance_after: Tensor


def _fitting_data(members: Shards, ctx: Context) -> tuple[Train, Validation] | None:
    """The data set of the zoo; None where there is none."""
    description = members.attrs["dataset"]
    return None if description is None else load_fitting(dataset_from(description), ctx.data_root)


def _check(
    aligned: _Aligned, module: nn.Module, probe: Tensor, constants: Mapping[str, Tensor]
) -> tuple[_Changes, float]:
    """Each member's changes, and the training members' root mean square distance to one another once aligned.

    Outputs are those of networks as later stages complete them: with the `constants` as they are, whatever moved.
    Raises FunctionChanged where they change beyond round-off.
    """
    changes, spread, layout = [], Spread(), aligned.form.layout
    for block in aligned.blocks():
        gaps = output_gaps(module, layout, block.original, with_constants(layout, block.canonical, constants), probe)
        _check_outputs(aligned, module, block, gaps, probe, constants)
        before, after = (aligned.distances(rows, aligned.reference) for rows in (block.original, block.canonical))
        changes.append(_Changes(gaps, before, after))
        spread.add(block.canonical[block.train, : aligned.form.layout.parameter_layout.size])
    return _Changes(*(torch.cat(values) for values in zip(*changes, strict=True))), spread.distance


def _check_outputs(
    aligned: _Aligned, module: nn.Module, block: _Block, gaps: Tensor, probe: Tensor, constants: Mapping[str, Tensor]
) -> None:
    form, allowed = aligned.form, ROUNDED if aligned.form.balance_norms else EXACT
    if (bad := (gaps > allowed).nonzero().flatten()).numel():
        i = int(bad[0])
        element = aligned.alignment.element(block.start + i)
        cause = culprit(module, form.layout, block.original[i], form.symmetry, element, probe, EXACT, constants)
        raise FunctionChanged(
            f"canonicalize: {aligned.members.names[block.start + i]} computes something else once aligned (relative "
            f"gap {gaps[i]:.1e}, allowed {allowed:.0e}), first at {cause}; the architecture's symmetry table is wrong"
        )


def _store(aligned: _Aligned, changes: _Changes, notes: tuple[str, ...], ctx: Context) -> None:
    """Write the alignment, the reference and each member's changes; remove the blocks of all passes."""
    arrays = {name: Named(("network",), values.numpy()) for name, values in changes._asdict().items()}
    arrays["network"] = Named(("network",), np.array(aligned.members.names, dtype=object))
    arrays["reference"] = Named(("parameter",), aligned.reference.numpy())
    attrs = aligner_json(aligned.form.aligner) | {"unpermuted": list(notes)}
    write_arrays(ctx.out / ALIGNMENT, "alignment", {**aligned.alignment.arrays(), **arrays}, attrs)
    shutil.rmtree(ctx.out / "passes")


def _barriers(
    aligned: _Aligned, module: nn.Module, count: int, train: Train, validation: Validation
) -> dict[str, float]:
    """The mean loss barrier to the reference of a few training members, as trained and aligned."""
    members, few = aligned.members, aligned.is_train.nonzero().flatten()[1 : 1 + count].tolist()
    if not few:
        return {}
    train = Train(train.inputs[:PROBED], train.targets[:PROBED])
    validation = Validation(validation.inputs[:PROBED], validation.targets[:PROBED])
    original = torch.cat([members.rows(i, i + 1) for i in few])
    canonical = torch.cat([aligned.canonical(row[None], i) for i, row in zip(few, original, strict=True)])
    before, after = (
        barriers(module, aligned.form.layout, rows, aligned.reference, train, validation)
        for rows in (original, canonical)
    )
    return {"barrier_before": float(before.mean()), "barrier_after": float(after.mean())}
