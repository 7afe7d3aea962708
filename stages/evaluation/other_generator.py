"""Networks that another generator made: brought to canonical form, and which of them are copies."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stages.canonical.alignment import read_form, read_reference
from stages.canonical.checks import output_gaps, with_constants
from stages.errors import FunctionChanged
from stages.evaluation.aligned_distance import AlignedDistance, distances
from stages.evaluation.figure_parts import OtherGenerator
from stages.evaluation.metrics.spread import SAME
from stages.nets.normalisation import running_statistics
from stages.nets.registry import build, example_input
from stages.nets.spectral_norm import singular_vector_names
from stages.params.network import Network
from stages.seeds import generator
from stages.store.chunks import spans
from stages.store.weights import Weights

BLOCK = 64
"""Networks whose outputs are compared at once."""
PROBED = 32
"""Examples that outputs are compared on."""
ROUNDED = 1e-4
"""Largest relative change of an output: units may have been rescaled, in single precision."""
Rows = Float[Tensor, "networks parameters"]
Others = Float[Tensor, "_ parameters"]


def canonical_rows(
    sampled: Weights, alignment: Path, network: Network, inputs: Tensor | None, seed: int
) -> Float[Tensor, "networks values"]:
    """Complete networks, parameters before buffers, in the members' canonical form.

    Outputs are compared on a few of the `inputs`, or of random ones for None. Raises FunctionChanged naming a network
    that computes something else then.
    """
    module, form, reference = build(network), read_form(alignment, sampled.layout), read_reference(alignment)
    probe = example_input(network, PROBED) if inputs is None else inputs[:PROBED]
    moving = running_statistics(module) | singular_vector_names(module)
    constants = [slot.name for slot in sampled.layout.slots if slot.buffer and slot.name not in moving]
    canonical = []
    for start, stop in spans(len(sampled), BLOCK):
        rows = sampled.rows(start, stop)
        draws = (generator(seed, "generated", i) for i in range(start, stop))
        moved = torch.stack([form.applied(reference, row, draw) for row, draw in zip(rows, draws, strict=True)])
        tensors = sampled.layout.unflatten(rows[0])
        moved = with_constants(sampled.layout, moved, {name: tensors[name] for name in constants})
        gaps = output_gaps(module, sampled.layout, rows, moved, probe)
        if (bad := (~(gaps <= ROUNDED)).nonzero().flatten()).numel():
            i = int(bad[0])
            raise FunctionChanged(
                f"evaluate: {sampled.names[start + i]} ({sampled.facts('file')[start + i]}) computes something else "
                f"with its units in the members' order (relative gap {gaps[i]:.1e}, allowed {ROUNDED:.0e}); leave it "
                "out with sample.skip"
            )
        canonical.append(moved)
    return torch.cat(canonical)


def found_among(
    rows: Rows, members: Others, heldout: Others, distance: AlignedDistance, tau: float, counts: Mapping[str, Any]
) -> OtherGenerator:
    """The numbers of networks that are members, held-out members or earlier ones, relabelled; beside other counts."""
    near = SAME * tau
    return OtherGenerator(
        **counts,
        members=int(within(rows, members, distance, near).sum()),
        heldout=int(within(rows, heldout, distance, near).sum()),
        repeated=int(within(rows, rows, distance, near, earlier=True).sum()),
    )


def within(
    rows: Rows, others: Others, distance: AlignedDistance, near: float, *, earlier: bool = False
) -> Bool[Tensor, " networks"]:
    """Which networks lie within `near` of one of the others, relabelled to fit; with `earlier`, of one before them.

    Only those are aligned that no lower bound rules out.
    """
    close = distances(distance.signatures_of(rows), distance.signatures_of(others)) <= near
    close = close.tril(-1) if earlier else close
    found = torch.zeros(len(rows), dtype=torch.bool)
    for i in close.any(1).nonzero().flatten().tolist():
        candidates = others[close[i]]
        alone = replace(distance, members=candidates, measured=None, runs=torch.arange(len(candidates)))
        found[i] = bool(alone.nearest(rows[i : i + 1]).distance <= near)
    return found


def cautions(found: OtherGenerator | None) -> Iterator[str]:
    """A line for each thing found that makes the figures of another generator's networks look better than they are."""
    if found is None:
        return
    judged = found.read - found.not_finite
    if found.not_finite:
        yield (
            f"{found.not_finite:,} of {found.read:,} networks of another generator have weights that aren't finite: "
            f"all figures are of the other {judged:,} alone"
        )
    if found.members:
        yield f"copies: {found.members:,} of {judged:,} generated networks are members, but for the order of units"
    if found.heldout:
        yield (
            f"copies: {found.heldout:,} of {judged:,} generated networks are held-out members, but for the order of "
            "units: their generator has seen these, so that no comparison with them means anything"
        )
