"""Networks of a run as a sequence of torch modules."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

import dwf
from stages.store.layout import Layout
from stages.store.refs import Ref
from stages.store.weights import Weights, write_weights

ends = st.none() | st.integers(-10, 10)


def numbers() -> nn.Module:
    """A regressor with running statistics: numbers [examples] out of [examples, 4]."""
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1), nn.Flatten(0))


@pytest.fixture(scope="module")
def regressors(tmp_path_factory: pytest.TempPathFactory) -> tuple[dwf.Networks, list[nn.Module]]:
    """Three of them with statistics of their own, and the modules that they are to be."""
    torch.manual_seed(0)
    modules = [numbers().eval() for _ in range(3)]
    for module in modules:
        module[1].running_mean.normal_()  # type: ignore[operator, union-attr, index]
    layout, folder = Layout.of_module(modules[0]), tmp_path_factory.mktemp("regressors")
    rows = torch.stack([layout.flatten({s.name: m.state_dict()[s.name] for s in layout.slots}) for m in modules])
    network = {"kind": "model", "model": "regressors_of_a_test:numbers", "input": [4]}
    attrs = {"network": network, "dataset": None, "stage": "sample"}
    write_weights(folder / "weights.zarr", layout, [f"net-{i}" for i in range(3)], rows, {}, attrs)
    ref = Ref(stage="sample", key="0" * 16, path=folder, digest="")
    return dwf.Networks(ref, Weights(folder / "weights.zarr")), modules


@settings(max_examples=10)
@given(ends, ends, st.none() | st.integers(-3, 3).filter(bool))
def test_slices_are_those_of_a_list(run: dwf.Run, start: int | None, stop: int | None, step: int | None):
    networks, part = run.generated, slice(start, stop, step)
    names = [f"generated-{i:05d}" for i in range(8)]
    assert networks[part].names == tuple(names[part])
    assert len(networks[part]) == len(names[part])
    assert torch.equal(networks[part].weights, networks.weights[list(range(8))[part]])


def test_it_is_a_sequence_of_modules_in_evaluation_mode(run: dwf.Run):
    networks = run.generated
    assert [network.name for network in networks] == list(networks.names)
    assert all(isinstance(network, nn.Module) and not network.training for network in networks)
    assert networks[-1].name == networks[7].name == "generated-00007"
    with pytest.raises(IndexError):
        networks[8]


def test_a_module_has_the_weights_of_its_row(run: dwf.Run):
    state = run.generated[2].module.state_dict()
    assert torch.equal(run.generated.layout.flatten(state), run.generated.weights[2])


def test_what_is_done_to_a_module_changes_no_network(run: dwf.Run):
    before = run.generated.weights.clone()
    nn.init.zeros_(run.generated[0].module[1].weight)  # type: ignore[index, arg-type]
    assert run.generated[0].module[1].weight.any()  # type: ignore[index, operator, union-attr]
    assert torch.equal(run.generated.weights, before)


def test_outputs_and_the_ensemble_are_those_of_the_modules(run: dwf.Run):
    networks, x = run.generated[1:6:2], torch.randn(9, 4)
    one_by_one = torch.stack([network(x) for network in networks])
    assert torch.allclose(networks.outputs(x), one_by_one, atol=1e-5)
    assert torch.allclose(networks.ensemble(x), one_by_one.softmax(-1).mean(0), atol=1e-5)
    assert not torch.allclose(networks.ensemble(x), one_by_one.mean(0).softmax(-1), atol=1e-3)  # not of the logits


def test_members_are_the_zoo_s_and_apart_from_held_out_ones(run: dwf.Run):
    assert (len(run.members), len(run.heldout)) == (12, 4)
    assert {*run.members.names} & {*run.heldout.names} == set()
    x, y = run.validation.inputs, run.validation.targets
    assert float((run.members.ensemble(x).argmax(-1) == y).double().mean()) > 0.5


def test_predicted_numbers_and_running_statistics(
    regressors: tuple[dwf.Networks, list[nn.Module]], monkeypatch: pytest.MonkeyPatch
):
    networks, modules = regressors
    monkeypatch.setitem(sys.modules, "regressors_of_a_test", SimpleNamespace(numbers=numbers))
    x = torch.randn(6, 4)
    expected = torch.stack([module(x) for module in modules]).detach()
    assert torch.allclose(torch.stack([network(x) for network in networks]), expected, atol=1e-6)
    assert torch.allclose(networks.ensemble(x), expected.mean(0), atol=1e-6)


def loaded(path: Path) -> nn.Module:
    """A network out of a file, by torch alone."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    network.load_state_dict(load_file(path))
    return network


def test_a_pushed_network_is_a_folder_that_plain_torch_loads(run: dwf.Run, tmp_path: Path):
    network, x = run.generated[3], torch.randn(2, 4)
    path = network.push(tmp_path / "networks")
    assert path == tmp_path / "networks" / "generated-00003"
    assert {file.name for file in path.iterdir()} == {"model.safetensors", "config.json"}
    assert torch.equal(loaded(path / "model.safetensors")(x), network(x))
    config = json.loads((path / "config.json").read_text())
    assert (config["name"], config["stage"], config["key"]) == ("generated-00003", "sample", run.stage("sample").key)
    assert config["network"]["widths"] == [4, 8, 3]
    assert config["inputs"] == "(x - [6, 3, 4, 1]) / [1, 0.5, 2, 1]"


def test_saved_networks_lie_side_by_side(run: dwf.Run, tmp_path: Path):
    run.generated[:2].save(tmp_path / "all")
    names = {file.name for file in (tmp_path / "all").iterdir()}
    assert names == {"config.json", "generated-00000.safetensors", "generated-00001.safetensors"}
    x = torch.randn(2, 4)
    assert torch.equal(loaded(tmp_path / "all" / "generated-00001.safetensors")(x), run.generated[1](x))


def test_a_folder_that_can_t_be_written_is_named(run: dwf.Run, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(dwf.DwfError, match=r"file.*: can't write here .*; name another folder"):
        run.generated[0].push(tmp_path / "file")


def test_it_says_what_it_is(run: dwf.Run):
    assert repr(run.generated[:3]) == f"<3 networks of sample {run.stage('sample').key}: mlp>"
