"""Stored buffers, told apart by the members' values."""

from pathlib import Path

import pytest
import torch
from strategies import assert_close
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from stages.canonical.buffers import stored_buffers
from stages.errors import UsageError
from stages.store.layout import Layout
from stages.store.weights import Shards, write_weights
from stages.symmetry.derive import derive


class WithBuffers(nn.Module):
    """A buffer of every sort that a state dict may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = spectral_norm(nn.Linear(4, 6))
        self.norm = nn.BatchNorm1d(6)
        self.register_buffer("positions", torch.arange(6.0))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("mask", torch.ones(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.layer(x) + self.positions) * self.scale * self.mask


def members(folder: Path, changed: str | None = None, count: int = 5) -> Shards:
    """Two shards of networks; `changed`: a buffer of which the last network has other values."""
    states = []
    for seed in range(count):
        torch.manual_seed(seed)
        module = WithBuffers()
        module.train()(torch.randn(20, 4))
        states.append(module.state_dict())
    if changed:
        states[-1][changed] = states[-1][changed] + 1
    layout = Layout.of_module(WithBuffers())
    rows = torch.stack([layout.flatten({slot.name: state[slot.name] for slot in layout.slots}) for state in states])
    for number, part in enumerate(((0, 2), (2, count))):
        names = [f"net{i}" for i in range(*part)]
        write_weights(folder / f"{number}.zarr", layout, names, rows[slice(*part)], {}, {})
    return Shards([folder / "0.zarr", folder / "1.zarr"])


def test_what_all_members_share_is_constant_and_what_follows_from_weights_is_their_own(tmp_path):
    found = stored_buffers(members(tmp_path), WithBuffers())
    assert set(found.constants) == {"positions", "scale", "mask"}
    assert_close(found.constants["positions"], torch.arange(6.0), 0)
    assert {name.rpartition(".")[2] for name in found.own} == {"_u", "_v"}


@pytest.mark.parametrize("name", ["positions", "scale", "mask"])
def test_a_buffer_that_differs_is_refused_by_name_with_the_way_out(tmp_path, name):
    with pytest.raises(UsageError, match=rf"buffer '{name}' differs .* first in net4, .*make it an nn\.Parameter"):
        stored_buffers(members(tmp_path, name), WithBuffers())


def test_networks_without_buffers_have_none(tmp_path):
    layout = Layout.of_module(nn.Linear(2, 2))
    write_weights(tmp_path / "0.zarr", layout, ["a", "b"], torch.zeros(2, 6), {}, {})
    found = stored_buffers(Shards([tmp_path / "0.zarr"]), nn.Linear(2, 2))
    assert (found.constants, found.own) == ({}, ())


class Added(nn.Module):
    """Units to which a constant is added."""

    def __init__(self, constant: torch.Tensor) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 6), nn.Linear(6, 2)
        self.register_buffer("constant", constant)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x) + self.constant))


def test_units_that_a_constant_tells_apart_keep_their_order():
    def groups(constant: torch.Tensor, names: tuple[str, ...]) -> int:
        return len(derive(Added(constant), torch.zeros(2, 3), names).symmetry.groups)

    assert groups(torch.arange(6.0), ("constant",)) == 0
    assert groups(torch.arange(6.0), ()) == 1, "a network's own buffer moves with its units"
    assert groups(torch.full((6,), 2.0), ("constant",)) == 1, "units that all have the same value may move"
    assert groups(torch.arange(2.0)[:, None].expand(2, 6)[:1].clone(), ("constant",)) == 1
