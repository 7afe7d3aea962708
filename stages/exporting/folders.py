"""Folders of exported networks: plain files with a card beside them, or one folder for each as a model hub wants it."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.artifacts.export import Exportable, export_networks, exportable, writing
from stages.datasets import pixel_normalization
from stages.exporting.audit import Audit, Scores, audit_of, scores_of
from stages.exporting.model_card import model_card
from stages.exporting.snippet import loading
from stages.params.dataset import Images
from stages.params.network import Model
from stages.store.checkpoints import save_tensors

WEIGHTS = "model.safetensors"
"""What hubs call a network's file."""


def export_files(artifact: Path, folder: Path, names: Sequence[str] = ()) -> int:
    """Write each network as `<name>.safetensors`, with config.json, README.md and, if there are scores, scores.csv.

    Returns how many. Raises as `export_networks` does.
    """
    networks = exportable(artifact)
    chosen, audit = networks.chosen(names), audit_of(networks)
    scores = scores_of(networks, audit)
    count = export_networks(artifact, folder, chosen, scores)
    snippet = loading(networks.network, networks.module, f"{chosen[0]}.safetensors")
    own = scores[chosen[0]] if len(chosen) == 1 else {}
    with writing(folder):
        (folder / "README.md").write_text(model_card(networks, audit, chosen, snippet, own), encoding="utf-8")
        _write_scores(folder / "scores.csv", {name: scores[name] for name in chosen})
    return count


def export_hub(artifact: Path, folder: Path, names: Sequence[str] = ()) -> int:
    """Write config.json, model.safetensors and README.md of each network into a folder named after it.

    A single network's are in `folder` itself. timm's networks are as timm reads them from a hub or a local folder.
    Returns how many. Raises as `export_networks` does.
    """
    networks = exportable(artifact)
    chosen, audit = networks.chosen(names), audit_of(networks)
    scores = scores_of(networks, audit)
    for name in chosen:
        _write_hub(networks, audit, name, folder if len(chosen) == 1 else folder / name, scores[name])
    return len(chosen)


def _write_hub(networks: Exportable, audit: Audit | None, name: str, folder: Path, own: Mapping[str, float]) -> None:
    snippet = loading(networks.network, networks.module, WEIGHTS, folder=True)
    config = networks.facts | {"name": name, "scores": dict(own)} | timm_config(networks)
    with writing(folder):
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_tensors(folder / WEIGHTS, networks.state(name), networks.facts | {"scores": dict(own)})
        (folder / "README.md").write_text(model_card(networks, audit, [name], snippet, own), encoding="utf-8")


def timm_config(networks: Exportable) -> dict[str, Any]:
    """What timm reads of a hub's config.json; empty for other networks."""
    network, dataset = networks.network, networks.dataset
    if not isinstance(network, Model) or not network.model.startswith("timm:"):
        return {}
    pretrained: dict[str, Any] = {"input_size": list(network.input)}
    if isinstance(dataset, Images):
        pretrained |= _scaling(dataset, network.input[0])
    others = {name: value for name, value in network.kwargs.items() if name != "num_classes"}
    config: dict[str, Any] = {"architecture": network.model.partition(":")[2], "model_args": others}
    if (classes := getattr(networks.module, "num_classes", None)) is not None:
        config["num_classes"] = pretrained["num_classes"] = classes
    return config | {"pretrained_cfg": pretrained}


def _scaling(dataset: Images, channels: int) -> dict[str, list[float]]:
    """Mean and standard deviation of pixels in [0, 1], by channel of the input."""
    by = pixel_normalization(dataset)
    values = {"mean": np.atleast_1d(by.mean), "std": np.atleast_1d(by.std)}
    listed = {name: [round(float(v), 6) for v in value] for name, value in values.items()}  # float32 has no more digits
    return {name: value * channels if len(value) == 1 else value for name, value in listed.items()}


def _write_scores(path: Path, scores: Scores) -> None:
    """A line per network; no file where nothing is known of any."""
    columns = list(dict.fromkeys(name for own in scores.values() for name in own))
    if not columns:
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["network", *columns])
        for network, own in scores.items():
            writer.writerow([network, *(own.get(name, "") for name in columns)])
