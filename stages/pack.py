"""Stage 3: write the members in canonical form as rows of one chunked array, with their spectrum beside them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.alignment import ALIGNMENT, read_alignment, read_reference, read_symmetry
from stages.artifacts.members import WEIGHTS, network_of, open_zoo
from stages.context import Context, torch_threads
from stages.flow.codes import effective_rank, mean_and_covariance, mean_and_gram, principal_directions, spectrum
from stages.params.pack import PackParams
from stages.store.arrays import Named
from stages.store.layout import Layout
from stages.store.plan import spans
from stages.store.refs import Ref
from stages.store.weights import WeightsWriter

FACTS = ("seed", "split", "initialisation", "train_score", "train_loss", "validation_score", "validation_loss")


def pack(zoo: Ref, canonical: Ref, params: PackParams, ctx: Context) -> dict[str, Any]:
    """Stream members through their permutations into `weights[network, parameter]`, then reduce them.

    Mean, per-tensor statistics and spectrum are over the training members; the Gram matrix covers held-out members
    too, centred on the training mean, so that they can be encoded without their having shaped the codes. Where there
    are fewer parameters than networks, their principal directions are stored instead. Rows hold parameters; what the
    reference measured itself (BatchNorm's running statistics) is kept beside them once.
    """
    members = open_zoo(zoo)
    network = network_of(members)
    attrs = {"network": network.model_dump(mode="json"), "dataset": members.attrs["dataset"], "stage": "pack"}
    drawn, measured = members.layout.drawn, members.layout.measured
    alignment, symmetry = read_alignment(canonical.path / ALIGNMENT), read_symmetry(canonical.path / ALIGNMENT)
    attrs |= {"buffers": measured.to_json(), "symmetry": symmetry.to_json()}
    writer = WeightsWriter(ctx.out / WEIGHTS, drawn, members.names, attrs, params.compression)
    for start, stop in list(writer.missing()):
        rows = alignment.canonical(symmetry, members.layout, members.rows(start, stop), start)
        writer.write(start, rows[:, : drawn.parameters])
        ctx.progress(0.8 * stop / len(members), f"{stop} of {len(members)} rows")
    facts = {name: members.facts(name) for name in FACTS}
    train = torch.from_numpy(facts["split"] == "train")
    with torch_threads(ctx.threads):
        extra = _reduced(writer, train, drawn.parameters)
    values = torch.from_numpy(extra["pca/variance"].values)
    extra |= _tensor_statistics(writer, train, drawn)
    if measured.slots:
        buffers = read_reference(canonical.path / ALIGNMENT)[drawn.parameters :]
        extra["buffers"] = Named(("buffer",), buffers.numpy())
    writer.finish(facts, extra)
    rank = effective_rank(values)
    return {"networks": len(members), "parameters": drawn.parameters, "effective_rank": rank,
            "flatness": float(values[0] / values.median())}  # fmt: skip


def _reduced(writer: WeightsWriter, train: Tensor, parameters: int) -> dict[str, Named]:
    """Mean, spectrum, and what codes are made from, never larger than the smaller side of the rows squared."""
    if parameters < len(train):
        mean, covariance = mean_and_covariance(_rows(writer), train, parameters)
        values, directions = principal_directions(covariance, int(train.sum()) - 1)
        basis = {"pca/directions": Named(("parameter", "component"), directions.contiguous().numpy())}
    else:
        mean, gram = mean_and_gram(writer.columns(), train, parameters)
        values = spectrum(gram[train][:, train])
        basis = {"pca/gram": Named(("network", "other_network"), gram.numpy())}
    return basis | {
        "pca/mean": Named(("parameter",), mean.numpy()),
        "pca/variance": Named(("component",), values.numpy()),
    }


def _rows(writer: WeightsWriter) -> Iterator[tuple[int, int, Tensor]]:
    for start, stop in spans(len(writer.names), writer.step):
        yield start, stop, torch.from_numpy(np.asarray(writer.array[start:stop]))


def _tensor_statistics(writer: WeightsWriter, train: Tensor, layout: Layout) -> dict[str, Named]:
    """Mean and standard deviation of each tensor's values over all training members."""
    total = torch.zeros(2, layout.parameters, dtype=torch.float64)
    for start, stop, block in writer.columns():
        values = block[train].double()
        total[0, start:stop], total[1, start:stop] = values.mean(0), values.square().mean(0)
    parts = [layout.unflatten(line) for line in total]
    means = np.array([float(parts[0][s.name].mean()) for s in layout.slots])
    squares = np.array([float(parts[1][s.name].mean()) for s in layout.slots])
    spread = np.sqrt(np.maximum(squares - means**2, 0))
    return {"layout/mean": Named(("tensor",), means), "layout/std": Named(("tensor",), spread)}
