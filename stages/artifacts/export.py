"""Networks out of a store, each as a file that plain torch loads."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from stages.artifacts.members import WEIGHTS, network_of
from stages.datasets import describe_inputs
from stages.errors import DwfError, UsageError, did_you_mean
from stages.nets.normalisation import normalisers
from stages.nets.registry import assign, build
from stages.params.dataset import Dataset, dataset_from
from stages.params.network import Network
from stages.params.own_data import OwnDataset
from stages.store.checkpoints import save_tensors
from stages.store.manifest import Manifest, read_manifest
from stages.store.weights import Shards, Weights


@dataclass(frozen=True)
class Exportable:
    """Complete networks of a packed or a sampled artifact, and the module that they are weights of."""

    artifact: Path
    manifest: Manifest
    store: Weights
    module: nn.Module

    @property
    def network(self) -> Network:
        """Their architecture."""
        return network_of(self.store)

    @property
    def dataset(self) -> Dataset | None:
        """Their data, if these are known."""
        description = self.store.attrs["dataset"]
        return dataset_from(description) if description else None

    @property
    def facts(self) -> dict[str, Any]:
        """What holds of all of them, as JSON has it: architecture, data, inputs, where they are from."""
        return network_facts(self.store, self.manifest.stage, self.manifest.key)

    def chosen(self, names: Sequence[str]) -> list[str]:
        """These networks, or all if none is named. Raises UsageError for a name that no network has."""
        known = self.store.names
        for name in names:
            if name not in known:
                span = f"there are {known[0]} to {known[-1]}"
                raise UsageError(f"{name}: no network of {self.artifact}; {span}{did_you_mean(name, known)}")
        return list(names) or known

    def state(self, name: str) -> dict[str, Tensor]:
        """A network's whole state dict, which `load_state_dict(strict=True)` takes."""
        row = self.store.names.index(name)
        return whole_state(self.module, self.store.layout.unflatten(self.store.rows(row, row + 1)[0]))


def network_facts(store: Shards | Weights, stage: str, key: str) -> dict[str, Any]:
    """What holds of all networks of an artifact's store, as JSON has it; nothing of where their data lie."""
    dataset = dataset_from(store.attrs["dataset"]) if store.attrs["dataset"] else None
    shown = dataset.placeless() if isinstance(dataset, OwnDataset) else dataset
    return {
        "network": store.attrs["network"],
        "dataset": shown.model_dump(mode="json") if shown else None,
        "inputs": describe_inputs(dataset) if dataset else None,
        "stage": stage,
        "key": key,
    }


def exportable(artifact: Path) -> Exportable:
    """The networks of an artifact.

    Raises NotComplete if the artifact isn't finished, DwfError if it holds no complete networks.
    """
    manifest = read_manifest(artifact)
    if not (artifact / WEIGHTS).exists():
        raise DwfError(f"{artifact}: a {manifest.stage} artifact holds no rows of networks; export a sampled one")
    store = Weights(artifact / WEIGHTS)
    module = build(network_of(store))
    if normalisers(module) and not any(slot.buffer for slot in store.layout.slots):
        raise DwfError(
            f"{artifact}: the rows of a {manifest.stage} artifact lack BatchNorm's running statistics; "
            "export a sampled one"
        )
    return Exportable(artifact, manifest, store, module)


def export_networks(
    artifact: Path, folder: Path, names: Sequence[str] = (), scores: Mapping[str, Mapping[str, float]] | None = None
) -> int:
    """Write networks as `<name>.safetensors`, all or those named, with `config.json` beside them. Returns how many.

    A file's header has the facts that `config.json` has, and the network's own `scores`. Raises as `exportable` and
    `chosen` do, and DwfError if the folder can't be written.
    """
    networks = exportable(artifact)
    chosen, facts = networks.chosen(names), networks.facts
    with writing(folder):
        (folder / "config.json").write_text(json.dumps(facts, indent=2) + "\n")
        for name in chosen:
            own = {"scores": dict(found)} if (found := (scores or {}).get(name)) else {}
            save_tensors(folder / f"{name}.safetensors", networks.state(name), facts | own)
    return len(chosen)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A block that writes into a folder, which is made. Raises DwfError naming it if that isn't possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DwfError(f"{folder}: can't write here ({error.strerror}); name another folder") from error


def whole_state(module: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The module's state dict with these tensors in it: tied weights under each of their names, counters as they are.

    Every tensor has memory of its own and the type that the module gives it. The module's own tensors are overwritten.
    """
    assign(module, tensors)
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
