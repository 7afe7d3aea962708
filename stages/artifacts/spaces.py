"""Where a flow lives: on rows of weights, on their principal codes, or on neuron tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.artifacts.components import components, encoded
from stages.artifacts.members import is_train
from stages.flow.codes import Codes
from stages.flow.tokens import Tokens, TokenSet, tokens_of
from stages.params.fit import NeuronTokens, Pca, Raw
from stages.store.checkpoints import load_tensors, save_tensors
from stages.store.weights import Weights
from stages.symmetry.table import Symmetry

SPACE = "space.safetensors"
Space = Codes | Tokens | None
"""None: rows as they are."""


def enter(packed: Weights, params: Raw | Pca | NeuronTokens) -> tuple[Tensor, Space]:
    """All packed networks as points [networks, dim], and the way back; made from the training members alone."""
    fits = is_train(packed)
    if isinstance(params, Pca):
        codes = components(packed, params.components, params.whiten)
        return encoded(packed, codes), codes
    rows = packed.rows()
    if isinstance(params, Raw):
        return rows, None
    tokens = tokens_of(packed.layout, Symmetry.from_json(packed.attrs["symmetry"]), rows[fits])
    return tokens.encode(rows), tokens


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
        tensors = {
            f"{i}.{name}": getattr(s, name) for i, s in enumerate(space.sets) for name in TokenSet.__annotations__
        }
        save_tensors(folder / SPACE, tensors, {"kind": "tokens", "parameters": space.parameters})


def read_space(folder: Path) -> Space:
    """The space that a flow was trained on."""
    if not (folder / SPACE).exists():
        return None
    tensors, facts = load_tensors(folder / SPACE)
    if facts["kind"] == "codes":
        return Codes(tensors["basis"], tensors["scale"], facts["direct"])
    return _tokens(tensors, facts)


def _tokens(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Tokens:
    count = len({name.partition(".")[0] for name in tensors})
    parts = [{name: tensors[f"{i}.{name}"] for name in TokenSet.__annotations__} for i in range(count)]
    return Tokens(tuple(TokenSet(**part) for part in parts), facts["parameters"])
