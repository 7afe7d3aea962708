"""Sampled networks are complete: plain torch loads and runs what is exported, BatchNorm's statistics included."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from strategies import assert_close
from torch import nn

from stages.artifacts.export import export_networks, whole_state
from stages.artifacts.members import WEIGHTS
from stages.context import Context
from stages.datasets import Train, Validation
from stages.errors import DwfError, UsageError
from stages.nets.initialise import initialise
from stages.nets.registry import build
from stages.nets.stacked import outputs
from stages.params.network import BatchNorm, Bert, Network, ResNet
from stages.sampling import completion as complete
from stages.sampling.completion import Completion, completion
from stages.seeds import generator
from stages.store.artifact import artifact_path, building, publish
from stages.store.checkpoints import load_tensors
from stages.store.files import FORMAT_VERSION
from stages.store.layout import Layout
from stages.store.weights import Weights, write_weights

RESNET = ResNet(blocks=(1, 1), width=4, channels=1, size=8, classes=3)
DRAW = torch.Generator().manual_seed(0)
TRAIN = Train(torch.randn(60, 1, 8, 8, generator=DRAW), torch.randint(3, (60,), generator=DRAW))
INPUTS = torch.randn(40, 1, 8, 8, generator=DRAW)
CTX = Context(Path("/nonexistent"))


@pytest.fixture(autouse=True)
def _images(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(complete, "load_fitting", lambda *_: (TRAIN, Validation(TRAIN.inputs, TRAIN.targets)))


def drawn(network: Network, count: int = 3) -> tuple[Layout, torch.Tensor]:
    layout = Layout.of_module(build(network)).parameter_layout
    states = [initialise(network, "torch", generator("test", i)) for i in range(count)]
    return layout, torch.stack([layout.flatten({s.name: one[s.name] for s in layout.slots}) for one in states])


def store(
    path: Path,
    network: Network,
    layout: Layout,
    rows: torch.Tensor,
    dataset: str | None = "iris",
    several: dict[str, Any] | None = None,
) -> Weights:
    described = None if dataset is None else {"name": dataset}
    attrs = {"network": network.model_dump(mode="json"), "dataset": described, "stage": "sample"}
    attrs |= {"datasets": several} if several else {}
    write_weights(path, layout, [f"n{i}" for i in range(len(rows))], rows, {"seed": np.arange(len(rows))}, attrs)
    return Weights(path)


def artifact(root: Path, network: Network, layout: Layout, rows: torch.Tensor) -> Path:
    with building(root, "sample", "k") as work:
        work.mkdir(parents=True)
        store(work / WEIGHTS, network, layout, rows)
        facts = {name: {} for name in ("params", "upstream", "code", "versions", "summary")}
        about = {
            "format_version": FORMAT_VERSION,
            "stage": "sample",
            "key": "k",
            "experiment": "test",
            "created": "now",
            "seconds": 1.0,
            "peak_memory_mb": 1.0,
            "device": "cpu",
            "threads": 1,
        }
        publish(work, artifact_path(root, "sample", "k"), about | facts)
    return artifact_path(root, "sample", "k")


def completed(tmp_path: Path, dataset: str | None = "iris") -> tuple[Completion, torch.Tensor]:
    layout, rows = drawn(RESNET)
    return completion(
        store(tmp_path / "packed.zarr", RESNET, layout, rows, dataset), BatchNorm(images=60, batch=20), CTX
    ), rows


def test_an_exported_resnet_loads_strictly_and_computes_what_was_evaluated(tmp_path):
    done, rows = completed(tmp_path)
    path = artifact(tmp_path / "root", RESNET, done.layout, done.rows(rows))
    assert export_networks(path, tmp_path / "nets") == 3
    evaluated = outputs(build(RESNET), done.layout.parameter_layout, rows, INPUTS, done.measured(rows))
    for i in range(3):
        plain = build(RESNET)
        plain.load_state_dict(load_tensors(tmp_path / "nets" / f"n{i}.safetensors")[0], strict=True)
        assert_close(plain.eval()(INPUTS).detach(), evaluated[i], 1e-5)


def test_the_statistics_are_what_torch_measures_with_cumulative_averages(tmp_path):
    done, rows = completed(tmp_path)
    plain = build(RESNET)
    plain.load_state_dict(whole_state(build(RESNET), done.layout.unflatten(done.rows(rows)[1])))
    norms = [layer for layer in plain.modules() if isinstance(layer, nn.BatchNorm2d)]
    expected = [layer.running_var.clone() for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
    with torch.no_grad():
        for part in TRAIN.inputs.split(20):
            plain.train()(part)
    for layer, value in zip(norms, expected, strict=True):
        assert_close(layer.running_var, value, 1e-5)
        assert float((value - 1).abs().max()) > 0.01, "as BatchNorm starts, they would be 1"


def test_without_data_statistics_are_the_reference_s(tmp_path):
    done, rows = completed(tmp_path, dataset=None)
    assert done.data is None
    assert all(torch.equal(found, done.copied(rows)[name]) for name, found in done.measured(rows).items())


def test_outputs_are_of_the_given_statistics_or_of_those_measured_anew(tmp_path):
    done, rows = completed(tmp_path)
    given, anew = done.outputs(rows, INPUTS, done.copied(rows)), done.outputs(rows, INPUTS)
    for buffers, found in ((done.copied(rows), given), (done.measured(rows), anew)):
        plain = build(RESNET)
        plain.load_state_dict(
            whole_state(
                plain,
                done.layout.unflatten(
                    done.layout.flatten(done.layout.parameter_layout.unflatten(rows) | dict(buffers))[1]
                ),
            )
        )
        assert_close(plain.eval()(INPUTS).detach(), found[1], 1e-5)
    assert float((given - anew).abs().max()) > 0.01, "this test could not tell them apart"


def test_rows_without_statistics_are_not_exported(tmp_path):
    layout, rows = drawn(RESNET)
    path = artifact(tmp_path / "root", RESNET, layout, rows)
    with pytest.raises(DwfError, match="lack BatchNorm's running statistics"):
        export_networks(path, tmp_path / "nets")


def test_tied_weights_are_written_under_each_of_their_names():
    tied = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    tied["b"].weight = tied["a"].weight
    layout = Layout.of_module(tied)
    values = layout.unflatten(torch.arange(float(layout.size)))
    whole = whole_state(tied, values)
    assert set(whole) == {"a.weight", "a.bias", "b.weight", "b.bias"}
    assert torch.equal(whole["b.weight"], values["a.weight"])
    assert whole["a.weight"].data_ptr() != whole["b.weight"].data_ptr()


def test_an_exported_bert_loads_strictly(tmp_path):
    network = Bert(vocabulary=50, length=8, dim=16, depth=1, heads=2, mlp=16)
    layout, rows = drawn(network, 2)
    done = completion(store(tmp_path / "packed.zarr", network, layout, rows), BatchNorm(), CTX)
    export_networks(artifact(tmp_path / "root", network, done.layout, done.rows(rows)), tmp_path / "nets")
    plain = build(network)
    plain.load_state_dict(load_tensors(tmp_path / "nets" / "n1.safetensors")[0], strict=True)
    tokens = torch.randint(1, 50, (4, 8), generator=torch.Generator().manual_seed(0))
    assert_close(plain.eval()(tokens).detach(), outputs(build(network), layout, rows, tokens)[1], 1e-5)


def test_of_several_data_sets_statistics_are_measured_on_the_one_that_is_named(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(complete, "load_fitting", lambda dataset, _: (read.append(dataset.train), (TRAIN, None))[1])
    layout, rows = drawn(RESNET)
    packed = store(
        tmp_path / "packed.zarr",
        RESNET,
        layout,
        rows,
        None,
        {"a": {"name": "iris"}, "b": {"name": "iris", "train": 99}},
    )
    completion(packed, BatchNorm(), CTX, {"dataset": "b"})
    assert read == [99]
    with pytest.raises(UsageError, match="of a and b; say which"):
        completion(packed, BatchNorm(), CTX)
