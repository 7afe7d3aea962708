"""Sampled artifacts of freshly initialised networks of any architecture, for what reads them."""

from pathlib import Path
from typing import Any

import torch

from stages.artifacts.members import WEIGHTS
from stages.nets.registry import build
from stages.params.network import Network
from stages.store.artifact import artifact_path, building, publish
from stages.store.files import FORMAT_VERSION
from stages.store.layout import Layout
from stages.store.weights import write_weights


def sampled_artifact(
    root: Path,
    network: Network,
    count: int = 2,
    dataset: dict[str, Any] | None = None,
    fitted: bool = True,
    params: dict[str, Any] | None = None,
) -> Path:
    """An artifact of `count` networks, named n0, n1, ..., as if a flow had drawn them, or as if none had."""
    modules = [build(network, seed) for seed in range(count)]
    layout = Layout.of_module(modules[0])
    states = [module.state_dict() for module in modules]
    rows = torch.stack([layout.flatten({slot.name: state[slot.name] for slot in layout.slots}) for state in states])
    attrs = {"network": network.model_dump(mode="json"), "dataset": dataset, "stage": "sample"}
    upstream = {"packed": "p"} | ({"fitted": "f"} if fitted else {})
    facts: dict[str, Any] = {name: {} for name in ("code", "versions")}
    facts |= {"upstream": upstream, "params": params or {}, "summary": {"networks": count}}
    about = {"format_version": FORMAT_VERSION, "stage": "sample", "key": "k", "experiment": "test", "created": "now"}
    about |= {"seconds": 1.0, "peak_memory_mb": 1.0, "device": "cpu", "threads": 1}
    with building(root, "sample", "k") as work:
        work.mkdir(parents=True)
        write_weights(work / WEIGHTS, layout, [f"n{i}" for i in range(count)], rows, {}, attrs)
        publish(work, artifact_path(root, "sample", "k"), about | facts)
    return artifact_path(root, "sample", "k")
