"""Networks out of a store, each as a file that plain torch loads."""

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from stages.artifacts.members import WEIGHTS, network_of
from stages.datasets import describe_inputs
from stages.errors import DwfError
from stages.nets.normalisation import normalisers
from stages.nets.registry import assign, build
from stages.params.dataset import dataset_from
from stages.params.own_data import OwnDataset
from stages.store.artifact import read_manifest
from stages.store.checkpoints import save_tensors
from stages.store.weights import Weights


def export_networks(artifact: Path, folder: Path) -> int:
    """Write every network of a packed or sampled artifact as `<name>.safetensors`, with `config.json` beside them.

    Each file is a whole state dict, which `load_state_dict(strict=True)` takes.

    Raises NotComplete if the artifact isn't finished, DwfError if it holds no complete networks or the folder can't be
    written.
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
    dataset = dataset_from(store.attrs["dataset"]) if store.attrs["dataset"] else None
    shown = dataset.placeless() if isinstance(dataset, OwnDataset) else dataset
    config = {
        "network": store.attrs["network"],
        "dataset": shown.model_dump(mode="json") if shown else None,
        "inputs": describe_inputs(dataset) if dataset else None,
        "stage": manifest.stage,
        "key": manifest.key,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        for i, name in enumerate(store.names):
            tensors = store.layout.unflatten(store.rows(i, i + 1)[0])
            save_tensors(folder / f"{name}.safetensors", whole_state(module, tensors), config)
    except OSError as error:
        raise DwfError(f"{folder}: can't write here ({error.strerror}); name another folder") from error
    return len(store)


def whole_state(module: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The module's state dict with these tensors in it: tied weights under each of their names, counters as they are.

    Every tensor has memory of its own and the type that the module gives it. The module's own tensors are overwritten.
    """
    assign(module, tensors)
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
