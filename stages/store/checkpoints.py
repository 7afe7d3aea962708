"""Tensors in safetensors files, written whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stages.errors import Damaged
from stages.store.files import replacing
from stages.store.sealed import sealed


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> None:
    """Write tensors, and JSON facts in the header, under another name first, then renamed."""
    stored = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    with replacing(path) as partial:
        save_file(stored, partial, metadata={"facts": json.dumps(dict(facts or {}), sort_keys=True)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts of a file.

    Raises Damaged naming the file if it isn't whole or, within an artifact, not as it was written.
    """
    if artifact := sealed(path):
        artifact.compare(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping, only keys()
            facts = (file.metadata() or {}).get("facts", "{}")
        return tensors, json.loads(facts)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise Damaged(f"{path}: not a whole safetensors file of ours ({error})") from error


def load_metadata(path: Path) -> dict[str, str]:
    """The metadata in a file's header, as text by name; nothing else of it is read.

    Raises Damaged naming the file if it isn't whole.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise Damaged(f"{path}: not a whole safetensors file ({error})") from error
