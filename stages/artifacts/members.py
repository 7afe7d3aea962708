"""Networks: the trained zoo, the packed and the sampled ones."""

from pathlib import Path

import torch
from torch import Tensor

from stages.params.network import Network, network_from
from stages.store.refs import Ref
from stages.store.weights import Shards, Weights

WEIGHTS = "weights.zarr"
UNKNOWN = "unknown"
"""The initialisation of members that somebody else trained."""


def open_zoo(ref: Ref) -> Shards:
    """The trained members, shard after shard."""
    return Shards(sorted((ref.path / "shards").glob("*.zarr"), key=_number))


def _number(shard: Path) -> int:
    return int(shard.stem)


def open_weights(ref: Ref) -> Weights:
    """The packed or the sampled networks."""
    return Weights(ref.path / WEIGHTS)


def network_of(store: Shards | Weights) -> Network:
    """The architecture that a store's rows belong to."""
    return network_from(store.attrs["network"])


def is_train(store: Weights) -> Tensor:
    """Which packed networks the flow may learn from."""
    return torch.from_numpy(store.facts("split") == "train")
