"""Stage 3: write the members in canonical form as rows of one chunked array, with their spectrum beside them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.members import OWN_BUFFERS, WEIGHTS, network_of, open_zoo, runs_of
from stages.artifacts.pca import fact_names, statistics
from stages.canonical.alignment import ALIGNMENT, Alignment, read_alignment, read_reference, read_symmetry
from stages.canonical.buffers import stored_buffers
from stages.context import Context, torch_threads
from stages.errors import UsageError
from stages.flow.spaces.codes import effective_rank
from stages.nets.registry import build
from stages.params.pack import PackParams
from stages.store.arrays import Named
from stages.store.chunks import spans
from stages.store.refs import Ref
from stages.store.weights import Shards, Weights, WeightsWriter, is_train
from stages.symmetry.table import Symmetry

BLOCK = 64
"""Members whose own buffers are read at once."""


def pack(zoo: Ref, canonical: Ref, params: PackParams, ctx: Context) -> dict[str, Any]:
    """Stream members through their permutations into `weights[network, parameter]`, then measure their statistics.

    Mean, per-tensor statistics and spectrum are over the training members; the Gram matrix covers held-out members
    too, centred on the training mean, so that they can be encoded without having shaped the codes. Where there are
    fewer parameters than networks, the principal directions are stored instead. Rows hold parameters; the reference's
    buffers (BatchNorm's running statistics) are stored beside them once, and each member's where they are its own.

    Raises UsageError if at least half of the training members are copies of one another, or none differ.
    """
    members, path = open_zoo(zoo), canonical.path / ALIGNMENT
    data = {name: members.attrs[name] for name in ("dataset", "datasets", "facts", "group") if name in members.attrs}
    attrs = {"network": network_of(members).model_dump(mode="json"), "stage": "pack", **data}
    parameter_layout, buffers = members.layout.parameter_layout, members.layout.buffer_layout
    alignment, symmetry = read_alignment(path), read_symmetry(path)
    attrs |= {"buffers": buffers.to_json(), "symmetry": symmetry.to_json()}
    writer = WeightsWriter(ctx.out / WEIGHTS, parameter_layout, members.names, attrs, params.compression)
    for start, stop in list(writer.missing()):
        rows = alignment.canonical(symmetry, members.layout, members.rows(start, stop), start)
        writer.write(start, rows[:, : parameter_layout.size])
        ctx.progress(0.8 * stop / len(members), f"{stop} of {len(members)} rows")
    facts = {name: members.facts(name) for name in fact_names(members)}
    with torch_threads(ctx.threads):
        extra = statistics(writer, facts["split"])
    if buffers.slots:
        extra["buffers"] = Named(("buffer",), read_reference(path)[parameter_layout.size :].numpy())
        extra |= _own_buffers(members, symmetry, alignment)
    writer.finish(facts, extra)
    _check_different(Weights(ctx.out / WEIGHTS))
    variance = torch.from_numpy(extra["pca/variance"].values)
    return {
        "networks": len(members),
        "parameters": parameter_layout.size,
        "effective_rank": effective_rank(variance),
        "flatness": float(variance[0] / variance.median()),
    }


def _check_different(packed: Weights) -> None:
    """Raise UsageError if half of the training members or more are, relabelled, one of another run: novelty is measured
    in the median distance between members, which is 0 then. Also if they have no variance at all.
    """
    train = is_train(packed).numpy()
    runs = runs_of(packed)
    run = np.arange(len(packed)) if runs is None else runs.numpy()
    found: dict[bytes, set[int]] = {}
    contents = [bytes(digest) for digest in packed.facts("sha256")[train]]
    for content, number in zip(contents, run[train].tolist(), strict=True):
        found.setdefault(content, set()).add(number)
    copies = sum(len(found[content]) > 1 for content in contents)
    if copies > (len(contents) - 1) // 2:
        raise UsageError(
            f"pack: {copies} of {len(contents)} members are copies of one another once their units are in one order, "
            "so novelty would have no unit; leave copies out of the zoo, or name the fact that tells runs apart as "
            "zoo.group"
        )
    if not packed.facts("pca/variance").sum() > 0:
        raise UsageError(
            "pack: the members' weights don't differ by more than round-off, or by less than single precision can "
            "square; a flow needs members that differ"
        )


def _own_buffers(members: Shards, symmetry: Symmetry, alignment: Alignment) -> dict[str, Named]:
    """Each member's own buffers in canonical form, [network, value] by `own_buffers/` and their name."""
    names = stored_buffers(members, build(network_of(members))).own
    blocks: dict[str, list[Tensor]] = {name: [] for name in names}
    for start, stop in spans(len(members), BLOCK) if names else ():
        canonical = alignment.canonical(symmetry, members.layout, members.rows(start, stop), start)
        tensors = members.layout.unflatten(canonical)
        for name, block in blocks.items():
            block.append(tensors[name].flatten(1))
    return {
        f"{OWN_BUFFERS}/{name}": Named(("network", name), torch.cat(block).numpy()) for name, block in blocks.items()
    }
