"""Networks: the trained zoo, the packed and the sampled ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.errors import UsageError
from stages.params.dataset import Dataset, dataset_from
from stages.params.network import Network, network_from
from stages.store.refs import Ref
from stages.store.weights import Shards, Weights

WEIGHTS = "weights.zarr"
UNKNOWN = "unknown"
"""The initialisation of members that somebody else trained, and their data set where none is given."""


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


def described(datasets: Mapping[str, Dataset]) -> dict[str, Any]:
    """What a store says of its networks' data: `dataset`, or None and all `datasets` by name where there are several."""
    each = {name: one.model_dump(mode="json") for name, one in datasets.items()}
    return {"dataset": None, "datasets": each} if len(each) > 1 else {"dataset": each.popitem()[1]}


def dataset_of(store: Weights, condition: Mapping[str, str | float] | None = None) -> Dataset | None:
    """The data of a store's networks, of several data sets the one that a condition names; None: there are no data.

    Raises UsageError if there are several and it names none of them.
    """
    several, told = store.attrs.get("datasets"), (condition or {}).get("dataset")
    if several and told not in several:
        raise UsageError(
            f"sample.condition: the zoo's networks are of {' and '.join(several)}; say which are wanted, e.g. "
            f"{{dataset: {next(iter(several))}}}, which the flow is told by fit.condition: [dataset]"
        )
    found = several[told] if several else store.attrs["dataset"]
    return dataset_from(found) if found else None


def is_train(store: Weights) -> Tensor:
    """Which packed networks the flow may learn from."""
    return torch.from_numpy(store.facts("split") == "train")
