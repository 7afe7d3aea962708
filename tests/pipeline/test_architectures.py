"""Every architecture through the whole dag, on data made up in the formats that are read."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from pipeline.config import load
from pipeline.runner import Runner, run_directly
from stages.artifacts.export import export_networks
from stages.nets.registry import build
from stages.params.network import network_from
from stages.store.refs import Ref

WORDS = {-3: "bad awful dull sad", 3: "good great fine glad"}
IMAGES = {"name": "mnist", "validation": 0.2}
RECIPE = {"optimizer": "sgd", "lr": 0.05, "batch": 16, "epochs": 2}
ZOOS: dict[str, dict[str, Any]] = {
    "resnet": {
        "dataset": IMAGES,
        "recipe": RECIPE | {"augmentation": {"crop": 2, "flip": True}},
        "network": {"kind": "resnet", "blocks": [1, 1], "width": 4, "size": 28, "channels": 1, "classes": 10},
    },
    "vit": {
        "dataset": IMAGES,
        "recipe": {"optimizer": "adamw", "lr": 0.003, "batch": 16, "epochs": 2},
        "network": {
            "kind": "vit",
            "size": 28,
            "patch": 14,
            "channels": 1,
            "classes": 10,
            "dim": 16,
            "depth": 2,
            "heads": 2,
        },
    },
    "bert": {
        "dataset": {"name": "reviews", "vocabulary": 64, "length": 8, "validation": 0.2},
        "recipe": {"optimizer": "adamw", "lr": 0.003, "batch": 16, "epochs": 2},
        "network": {"kind": "bert", "vocabulary": 64, "length": 8, "dim": 16, "depth": 2, "heads": 2, "mlp": 32},
    },
}
REST = {
    "canonicalize": {"method": "transfusion", "barrier_members": 1},
    "fit": {
        "velocity": {"hidden": 32, "time_dim": 8, "dropout": 0.0},
        "steps": 30,
        "batch": 8,
        "check_every_steps": 15,
    },
    "sample": {"networks": 3, "method": "euler", "steps": 3, "batchnorm": {"images": 32, "batch": 16}},
    "evaluate": {"baseline_networks": 2, "noise_levels": [0.1], "interpolation_fractions": [0.5], "soup_sizes": [2]},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits that are bright squares at ten places, and reviews of a few good or bad words."""
    root, draw = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (root / "MNIST" / "raw").mkdir(parents=True)
    for prefix, count in (("train", 80), ("t10k", 30)):
        labels = np.arange(count) % 10
        pixels = draw.integers(0, 40, (count, 28, 28))
        for image, label in zip(pixels, labels, strict=True):
            image[2 * label : 2 * label + 6, 2 * label : 2 * label + 6] += 200
        for name, values in ((f"{prefix}-images-idx3-ubyte", pixels), (f"{prefix}-labels-idx1-ubyte", labels)):
            header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            (root / "MNIST" / "raw" / name).write_bytes(header + values.astype(np.uint8).tobytes())
    (root / "reviews").mkdir()
    for source in ("movie", "amazon"):
        lines = []
        for i in range(60):
            rating = (-3, 3)[int(draw.integers(2))]
            words = " ".join(draw.choice(WORDS[rating].split(), 4))
            lines.append(f"{i if source == 'movie' else f'{i}_1'}\t{rating + draw.normal() / 3:.4f}\t{words} {i}")
        (root / "reviews" / f"{source}ReviewSnippets_GroundTruth.txt").write_bytes("\r\n".join(lines).encode())
    return root


@pytest.fixture(
    scope="module", params=["vit", *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet", "bert"))]
)
def made(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One architecture's run: its name, what each stage made, and the figures."""
    folder = tmp_path_factory.mktemp(request.param)
    zoo = {"members": 4, "heldout": 2, "initialisations": ["torch"], "shard_size": 3, **ZOOS[request.param]}
    (folder / "own.yaml").write_text(yaml.safe_dump({"zoo": zoo, **REST}))
    refs: dict[str, Ref] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DWF_OFFLINE", "1")
        experiment = load(folder / "own.yaml", store=folder / "store", data=data)
        run_directly(Runner(experiment), lambda stage, ref, _: refs.update({stage: ref}))
    figures = json.loads((refs["evaluate"].path / "figures.json").read_text())
    return {"name": request.param, "refs": refs, "figures": figures, "folder": folder}


def summary(made: dict[str, Any], stage: str) -> dict[str, Any]:
    return json.loads((made["refs"][stage].path / "manifest.json").read_text())["summary"]


def test_every_member_computes_what_it_did_once_it_is_aligned(made: dict[str, Any]):
    found = summary(made, "canonicalize")
    assert found["largest_output_gap"] < 1e-9
    assert found["distance_gain"] > 0
    assert found["groups"] >= 3


def test_sets_are_scored_in_the_measure_of_their_task(made: dict[str, Any]):
    assert made["figures"]["score"] == ("spearman" if made["name"] == "bert" else "accuracy")
    for role in ("members", "held-out", "generated", "noise 0.1", "fresh"):
        assert -1 <= made["figures"]["sets"][role]["score"]["mean"] <= 1


def test_copied_statistics_are_reported_where_there_is_batchnorm(made: dict[str, Any]):
    copied = made["figures"]["sets"]["generated"].get("with_reference_statistics")
    assert (copied is not None) == (made["name"] == "resnet")


def test_generated_networks_load_strictly_into_a_fresh_module(made: dict[str, Any]):
    export_networks(made["refs"]["sample"].path, made["folder"] / "new")
    module = build(network_from(ZOOS[made["name"]]["network"]))
    for file in (made["folder"] / "new").glob("*.safetensors"):
        module.load_state_dict(load_file(file))
    assert len(list((made["folder"] / "new").glob("*.safetensors"))) == 3
    assert all(bool(torch.isfinite(p).all()) for p in module.parameters())
