"""What canonicalization is worth, and that it costs nothing."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stages.canonical.alignment import Alignment
from stages.flow.spaces.codes import effective_rank, principal_codes
from stages.store.layout import Layout
from stages.symmetry.table import Symmetry

Rows = Float[Tensor, "networks parameters"]
Scores = Callable[[Tensor], Float[Tensor, " networks"]]
"""How good complete networks are, given as rows with their buffers."""


def kept(
    rows: Rows, numbers: Sequence[int], alignment: Alignment, symmetry: Symmetry, layout: Layout, scores: Scores
) -> dict[str, Any]:
    """The mean score of members before and after they are brought to canonical form, and once brought back.

    `rows` are complete members as they were trained, `numbers` their places in the alignment. `bit_exact` says whether
    all came back bit for bit, as they must unless units were rescaled; `largest_change` is that of any single score.
    """
    original = [layout.unflatten(row) for row in rows]
    moved = [alignment.apply(symmetry, i, weights) for i, weights in zip(numbers, original, strict=True)]
    undone = [alignment.undo(symmetry, i, weights) for i, weights in zip(numbers, moved, strict=True)]
    after, back = (torch.stack([layout.flatten(weights) for weights in some]) for some in (moved, undone))
    found = [scores(some).double() for some in (rows, after, back)]
    means = dict(zip(("score_before", "score_after", "score_undone"), (float(f.mean()) for f in found), strict=True))
    change = max(float((f - found[0]).abs().max()) for f in found[1:])
    return means | {"largest_change": change, "bit_exact": torch.equal(back, rows)}


def flatness(variance: Float[Tensor, " k"]) -> dict[str, float]:
    """How far a spectrum is from flat: its first variance over the median, and its effective rank out of k."""
    first = float(variance[0] / variance.median().clamp_min(1e-30))
    return {"ev0_over_median": first, "effective_rank": effective_rank(variance), "k": len(variance)}


def round_trip(
    members: Rows, others: Float[Tensor, "others parameters"], sizes: Sequence[int], scores: Callable[[Tensor], Tensor]
) -> dict[int, float]:
    """Mean score of networks rebuilt from their first k principal coordinates, by k; the components are the members'."""
    mean = members.mean(0)
    centred = members - mean
    codes = principal_codes((centred @ centred.T).double(), None, whiten=False)
    found = codes.encode((others - mean) @ centred.T)
    return {
        k: float(scores(_rebuilt(found[:, :k], codes.basis[:, :k], mean, centred)).mean())
        for k in sizes
        if k <= codes.components
    }


def _rebuilt(codes: Tensor, basis: Tensor, mean: Tensor, centred: Tensor) -> Tensor:
    return mean + (codes.double() @ basis.T).float() @ centred
