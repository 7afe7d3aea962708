"""Another generator's files as complete networks: what they may lack, what they keep, and what is refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_checkpoints import convnet, save, trained
from pydantic import ValidationError

from stages.context import Context
from stages.datasets import Train
from stages.errors import Diverged, DwfError
from stages.params.imported_sample import ImportedSample
from stages.params.network import BatchNorm, Model
from stages.sampling.completion import Completion
from stages.sampling.sources import source_of
from stages.sampling.sources.checkpoints import ReadNetworks, open_networks
from stages.store.weights import Weights, write_weights

NETWORK = Model(kind="model", model="foreign_checkpoints:convnet", input=(1, 8, 8))
INPUTS = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
TRAIN = Train(INPUTS, torch.zeros(40, dtype=torch.long))
COMPLETE = Completion(
    convnet().eval(),
    {name: b for name, b in convnet().named_buffers() if b.ndim},
    TRAIN,
    BatchNorm(images=40, batch=20),
)
LAYOUT = COMPLETE.layout


@pytest.fixture
def packed(tmp_path: Path) -> Weights:
    rows, facts = torch.zeros(1, LAYOUT.size), {"seed": np.zeros(1)}
    write_weights(tmp_path / "packed", LAYOUT, ["member"], rows, facts, {"network": NETWORK.model_dump(mode="json")})
    return Weights(tmp_path / "packed")


def opened(packed: Weights, folder: Path, **params: Any) -> ReadNetworks:
    asked = ImportedSample(source="checkpoints", files=str(folder / "theirs/*"), **params)
    return open_networks(asked, packed, None, COMPLETE, Context(folder))


def test_statistics_are_measured_anew_unless_they_are_to_be_kept(packed: Weights, tmp_path: Path):
    net = trained(1)
    save(tmp_path / "theirs/a.pt", net.state_dict())
    tensors = {
        how: LAYOUT.unflatten(opened(packed, tmp_path, **asked).rows(0, 1)[0])
        for how, asked in (("anew", {}), ("own", {"batchnorm": "own"}))
    }
    assert torch.equal(tensors["own"]["1.running_mean"], net.state_dict()["1.running_mean"])
    expected = torch.stack([net[0](part).mean((0, 2, 3)) for part in INPUTS.split(20)]).mean(0)
    torch.testing.assert_close(tensors["anew"]["1.running_mean"], expected, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(t["0.weight"], net.state_dict()["0.weight"]) for t in tensors.values())


def test_a_file_of_parameters_alone_is_enough_unless_statistics_are_to_be_kept(packed: Weights, tmp_path: Path):
    save(tmp_path / "theirs/a.safetensors", dict(trained(1).named_parameters()))
    assert bool(torch.isfinite(opened(packed, tmp_path).rows(0, 1)).all())
    with pytest.raises(DwfError, match=r"a.safetensors: buffer '1.running_mean' \(4,\) of zoo.network is missing"):
        opened(packed, tmp_path, batchnorm="own")


def test_networks_that_are_not_finite_are_counted_and_copies_are_kept(packed: Weights, tmp_path: Path):
    state = trained(1).state_dict()
    for name in ("a", "b"):
        save(tmp_path / f"theirs/{name}.pt", state)
    save(tmp_path / "theirs/c.pt", {**state, "5.bias": torch.tensor([0.0, torch.inf, 0.0])})
    networks = opened(packed, tmp_path)
    assert networks.facts["file"].tolist() == ["a.pt", "b.pt"]
    assert networks.attrs["generator"] == {"read": 3, "not_finite": 1, "own_statistics": False}
    assert networks.attrs["canonical"] is False
    with pytest.raises(Diverged, match="none of 1 networks has finite weights"):
        opened(packed, tmp_path, skip=["a.pt", "b.pt"])


def test_all_that_cannot_be_read_is_one_line_that_names_keys_of_sample(packed: Weights, tmp_path: Path):
    save(tmp_path / "theirs/good.pt", trained(1).state_dict())
    for name in ("bad1", "bad2"):
        save(tmp_path / f"theirs/{name}.pt", {**trained(1).state_dict(), "extra": torch.zeros(2)})
    with pytest.raises(DwfError) as caught:
        opened(packed, tmp_path)
    text = str(caught.value)
    assert "sample.skip: ['bad1.pt', 'bad2.pt'] leaves them out" in text
    assert "sample.ignore" in text
    assert "zoo.network" in text
    assert not {"zoo.skip", "zoo.ignore"} & set(text.replace(":", " ").split())
    assert "\n" not in text
    assert len(opened(packed, tmp_path, ignore=["extra"])) == 3


def test_a_constant_that_members_do_not_have_is_refused_and_half_precision_is_not(packed: Weights, tmp_path: Path):
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    module.register_buffer("positions", torch.linspace(0.1, 1, 3))
    complete = Completion(module, {"positions": torch.linspace(0.1, 1, 3)}, None, BatchNorm())
    params = ImportedSample(source="checkpoints", files=str(tmp_path / "theirs/*"))
    save(tmp_path / "theirs/a.pt", {n: t.half() for n, t in module.state_dict().items()})
    assert len(open_networks(params, packed, None, complete, Context(tmp_path)).rows(0, 1)) == 1
    save(tmp_path / "theirs/b.pt", {**module.state_dict(), "positions": torch.zeros(3)})
    with pytest.raises(DwfError, match=r"b.pt: buffer 'positions' has other values than the members'"):
        open_networks(params, packed, None, complete, Context(tmp_path)).rows(0, 2)


def test_the_key_covers_what_the_files_hold_and_the_source_alone(tmp_path: Path):
    params = ImportedSample(source="checkpoints", files=str(tmp_path / "theirs/*"))
    save(tmp_path / "theirs/a.pt", trained(1).state_dict())
    before = params.fingerprint()
    save(tmp_path / "theirs/a.pt", trained(2).state_dict())
    assert params.fingerprint() != before
    assert params.modules() == ("stages.sampling.sources.checkpoints",)
    assert source_of(params).__name__ == params.modules()[0]  # type: ignore[attr-defined]
    assert params.below(Path("/elsewhere")).files == params.files
    with pytest.raises(ValidationError):
        ImportedSample(source="checkpoints", files="a", batchnorm="theirs")  # type: ignore[arg-type]
