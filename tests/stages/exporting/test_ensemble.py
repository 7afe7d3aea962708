"""Ensembles in ONNX: their outputs are the means of their networks', for any number of examples."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from sampled_artifacts import sampled_artifact

from stages.errors import UsageError
from stages.exporting import ensemble
from stages.exporting.ensemble import export_ensemble
from stages.nets.registry import build, example_input
from stages.params.network import CNN, MLP, Network

IRIS = {"name": "iris"}


def outputs(file: Path, network: Network, examples: int) -> tuple[np.ndarray, torch.Tensor]:
    inputs = example_input(network, examples)
    return np.asarray(ReferenceEvaluator(str(file)).run(None, {"inputs": inputs.numpy()})[0]), inputs


def test_probabilities_are_averaged(tmp_path: Path):
    network = CNN(widths=(2,), channels=1, size=6, classes=3)
    path = sampled_artifact(tmp_path / "root", network, 3, IRIS)
    assert export_ensemble(path, tmp_path / "new" / "ensemble.onnx") == 3
    for examples in (1, 5):
        found, inputs = outputs(tmp_path / "new" / "ensemble.onnx", network, examples)
        expected = torch.stack([build(network, i).eval()(inputs).softmax(-1) for i in range(3)]).mean(0)
        np.testing.assert_allclose(found, expected.detach(), atol=1e-6)
    model = onnx.load(tmp_path / "new" / "ensemble.onnx")
    onnx.checker.check_model(model)
    assert [node.name for node in model.graph.output] == ["probabilities"]
    told = {prop.key: prop.value for prop in model.metadata_props}
    assert told == {"networks": "n0 n1 n2", "inputs": "(x - [6, 3, 4, 1]) / [1, 0.5, 2, 1]", "key": "k"}


def test_without_data_outputs_are_averaged_as_they_are_and_networks_can_be_chosen(tmp_path: Path):
    network = MLP(widths=(4, 5, 3))
    path = sampled_artifact(tmp_path / "root", network, 3)
    assert export_ensemble(path, tmp_path / "some.onnx", ["n2", "n0"]) == 2
    found, inputs = outputs(tmp_path / "some.onnx", network, 2)
    expected = torch.stack([build(network, i).eval()(inputs) for i in (0, 2)]).mean(0)
    np.testing.assert_allclose(found, expected.detach(), atol=1e-6)
    assert onnx.load(tmp_path / "some.onnx").graph.output[0].name == "mean"


def test_without_the_library_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ensemble, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="--onnx needs onnx and onnxscript; install the extra: uv sync --extra onnx"):
        export_ensemble(tmp_path, tmp_path / "x.onnx")
