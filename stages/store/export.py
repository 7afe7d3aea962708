"""Networks out of a store, each as a file that plain torch loads."""

import json
from pathlib import Path

from stages.errors import DwfError
from stages.store.artifact import read_manifest
from stages.store.checkpoints import save_tensors
from stages.store.weights import Weights


def export_networks(artifact: Path, folder: Path) -> int:
    """Write every network of a packed or sampled artifact as `<name>.safetensors`, with `config.json` beside them.

    Raises NotComplete if the artifact isn't finished, DwfError if it holds no networks or the folder can't be written.
    """
    manifest = read_manifest(artifact)
    if not (artifact / "weights.zarr").exists():
        raise DwfError(f"{artifact}: a {manifest.stage} artifact holds no rows of networks; export a sampled one")
    store = Weights(artifact / "weights.zarr")
    config = {name: store.attrs[name] for name in ("network", "dataset")} | {
        "stage": manifest.stage,
        "key": manifest.key,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        for i, name in enumerate(store.names):
            tensors = store.layout.unflatten(store.rows(i, i + 1)[0])
            save_tensors(folder / f"{name}.safetensors", tensors, config)
    except OSError as error:
        raise DwfError(f"{folder}: can't write here ({error.strerror}); name another folder") from error
    return len(store)
