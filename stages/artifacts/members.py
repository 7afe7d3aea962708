"""Networks: the trained zoo, the packed and the sampled ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from stages.errors import UsageError
from stages.params.dataset import Dataset, dataset_from
from stages.params.network import Network, network_from
from stages.store.layout import Layout
from stages.store.refs import Ref
from stages.store.weights import Shards, Weights

WEIGHTS = "weights.zarr"
OWN_BUFFERS = "own_buffers"
"""Where a packed store has the buffers that differ between its members, apart from running statistics."""


def open_zoo(ref: Ref) -> Shards:
    """The trained members, shard after shard."""
    return Shards(sorted((ref.path / "shards").glob("*.zarr"), key=_number))


def _number(shard: Path) -> int:
    return int(shard.stem)


def open_weights(ref: Ref) -> Weights:
    """The packed or the sampled networks."""
    return Weights(ref.path / WEIGHTS)


def own_buffers(packed: Weights) -> dict[str, Tensor]:
    """The packed members' own buffers in canonical form, [networks, ...] by name; empty where they have none."""
    if not packed.has(OWN_BUFFERS):
        return {}
    shapes = {slot.name: slot.shape for slot in Layout.from_json(packed.attrs["buffers"]).slots}
    stored = {name: f"{OWN_BUFFERS}/{name}" for name in shapes if packed.has(f"{OWN_BUFFERS}/{name}")}
    return {n: torch.from_numpy(packed.facts(path)).reshape(-1, *shapes[n]) for n, path in stored.items()}


def runs_of(store: Shards | Weights) -> Int[Tensor, " networks"] | None:
    """The training runs of a store's networks, numbered; None where each network is a run of its own."""
    if (group := store.attrs.get("group")) is None:
        return None
    runs = [str(run) for run in store.facts(group)]
    return torch.from_numpy(np.unique(runs, return_inverse=True)[1])


def network_of(store: Shards | Weights) -> Network:
    """The architecture that a store's rows belong to."""
    return network_from(store.attrs["network"])


def described(datasets: Mapping[str, Dataset]) -> dict[str, Any]:
    """A store's attributes on its networks' data: `dataset`, or None and, of several, all `datasets` by name."""
    descriptions = {name: dataset.model_dump(mode="json") for name, dataset in datasets.items()}
    if len(descriptions) > 1:
        return {"dataset": None, "datasets": descriptions}
    return {"dataset": next(iter(descriptions.values()), None)}


def datasets_of(store: Shards | Weights) -> dict[str, Dataset]:
    """All data sets of a store's networks by name; empty if there are none."""
    several, one = store.attrs.get("datasets"), store.attrs["dataset"]
    found = {name: dataset_from(description) for name, description in (several or {}).items()}
    return found or ({(dataset := dataset_from(one)).name: dataset} if one else {})


def dataset_of(store: Weights, condition: Mapping[str, str | float] | None = None) -> Dataset | None:
    """The data of a store's networks, of several data sets the one that a condition names; None: there are no data.

    Raises UsageError if there are several and it names none of them.
    """
    datasets, name = store.attrs.get("datasets"), (condition or {}).get("dataset")
    if datasets and name not in datasets:
        raise UsageError(
            f"sample.condition: the zoo's networks are of {' and '.join(datasets)}; say which are wanted, e.g. "
            f"{{dataset: {next(iter(datasets))}}}, which needs fit.condition: [dataset]"
        )
    description = datasets[name] if datasets else store.attrs["dataset"]
    return dataset_from(description) if description else None
