"""Where a flow lives: on rows of weights, on their principal codes, or on neuron tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.components import components, encoded
from stages.artifacts.members import is_train
from stages.flow.spaces.codes import Codes
from stages.flow.spaces.tokens import Tokens, TokenSet, tokens_of
from stages.params.fit import NeuronTokens, Pca, Raw
from stages.store.checkpoints import load_tensors, save_tensors
from stages.store.chunks import spans
from stages.store.weights import Weights
from stages.symmetry.table import Symmetry

SPACE = "space.safetensors"
BLOCK = 256
"""Networks read at once while the space is made."""
OF_TOKENS = ("positions", "mean", "std", "axes", "variance")
"""What is stored of a set of tokens."""
Space = Codes | Tokens | None
"""None: rows as they are."""


def space_of(packed: Weights, params: Raw | Pca | NeuronTokens) -> Space:
    """The space that parameters name, made from the training members alone, which are read block by block."""
    if isinstance(params, Pca):
        return components(packed, params.components, params.whiten)
    if isinstance(params, Raw):
        return None
    fits = is_train(packed)
    blocks = (packed.rows(start, stop)[fits[start:stop]] for start, stop in spans(len(packed), BLOCK))
    return tokens_of(packed.layout, Symmetry.from_json(packed.attrs["symmetry"]), blocks)


def located(packed: Weights, space: Space, index: np.ndarray) -> Tensor:
    """Packed networks as points of a space, [index, dim]."""
    if isinstance(space, Codes):
        return encoded(packed, space, index)
    rows = packed.pick(index)
    return rows if space is None else space.encode(rows)


def leave(points: Tensor, space: Space, packed: Weights) -> Tensor:
    """Rows of weights from points: as they are, from tokens, or as mixtures of the training members."""
    if space is None:
        return points
    if isinstance(space, Tokens):
        return space.decode(points)
    mean, fits = torch.from_numpy(packed.facts("pca/mean")), is_train(packed)
    rows = torch.empty(len(points), packed.layout.parameters)
    blocks = ((start, stop, block[fits]) for start, stop, block in packed.columns())
    for start, stop, part in space.decode(points, mean, blocks):
        rows[:, start:stop] = part
    return rows


def save_space(folder: Path, space: Space) -> None:
    """Keep it in a fitted artifact's folder; rows need nothing."""
    if isinstance(space, Codes):
        save_tensors(
            folder / SPACE, {"basis": space.basis, "scale": space.scale}, {"kind": "codes", "direct": space.direct}
        )
    elif isinstance(space, Tokens):
        tensors = {f"{i}.{name}": getattr(one, name) for i, one in enumerate(space.sets) for name in OF_TOKENS}
        save_tensors(folder / SPACE, tensors, {"kind": "tokens", "ends": [one.ends for one in space.sets]})


def read_space(folder: Path) -> Space:
    """The space that a flow was trained on."""
    if not (folder / SPACE).exists():
        return None
    tensors, facts = load_tensors(folder / SPACE)
    if facts["kind"] == "codes":
        return Codes(tensors["basis"], tensors["scale"], facts["direct"])
    return _tokens(tensors, facts)


def _tokens(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Tokens:
    ends = [(pair[0], pair[1]) if pair else None for pair in facts["ends"]]
    stored = [{name: tensors[f"{i}.{name}"] for name in OF_TOKENS} for i in range(len(ends))]
    return Tokens(tuple(TokenSet(**values, ends=pair) for values, pair in zip(stored, ends, strict=True)))
