"""Small convolutional networks: what plain torch makes of their weights, one by one and stacked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from strategies import assert_close
from torch import Tensor, nn
from torch.func import functional_call

from stages.context import Context
from stages.datasets import Train
from stages.members.loop import train_members
from stages.nets.cnn import build
from stages.nets.initialise import initialise
from stages.nets.registry import example_input
from stages.nets.stacked import forward, outputs, stackable
from stages.params.network import CNN
from stages.params.zoo import Recipe, ZooParams
from stages.store.layout import Layout
from stages.symmetry.derive import derive
from stages.symmetry.prove import vacuous_groups

NETWORK = CNN(widths=(4, 3), channels=2, size=7, classes=5)
IMAGES = example_input(NETWORK, 11)


def members(count: int) -> tuple[Layout, Tensor]:
    layout, draw = Layout.of_module(build(NETWORK)), torch.Generator().manual_seed(0)
    return layout, torch.stack([layout.flatten(initialise(NETWORK, "torch", draw)) for _ in range(count)])


LAYOUT, ROWS = members(6)


def alone(row: Tensor, images: Tensor) -> Tensor:
    return functional_call(build(NETWORK), LAYOUT.unflatten(row), (images,))


def test_an_exported_network_is_plain_torch():
    net = nn.Sequential(
        nn.Flatten(),
        nn.Unflatten(1, (2, 7, 7)),
        nn.Conv2d(2, 4, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(4, 3, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(3 * 2 * 2, 5),
    )
    net.load_state_dict(LAYOUT.unflatten(ROWS[0]))
    assert_close(outputs(build(NETWORK), LAYOUT, ROWS[:1], IMAGES)[0], net(IMAGES), 1e-6)


def test_images_may_come_as_rows_of_pixels():
    assert torch.equal(alone(ROWS[0], IMAGES.flatten(1)), alone(ROWS[0], IMAGES))


@pytest.mark.parametrize("block", [1, 2 * 11 * 64, 2**27])
def test_stacked_outputs_equal_those_of_each_network_alone(block):
    assert stackable(build(NETWORK))
    found = outputs(build(NETWORK), LAYOUT, ROWS, IMAGES, block=block)
    assert_close(found, torch.stack([alone(row, IMAGES) for row in ROWS]), 1e-5)


def test_as_many_networks_are_taken_at_once_as_the_widest_activations_allow(monkeypatch):
    taken = []
    monkeypatch.setattr(
        "stages.nets.stacked.forward", lambda m, part, x, **how: taken.append(part) or forward(m, part, x, **how)
    )
    outputs(build(NETWORK), LAYOUT, ROWS, IMAGES, block=3 * 11 * 4 * 4 * 4)  # 4 channels of 4 x 4
    assert [len(part["2.bias"]) for part in taken] == [3, 3]


def test_stacked_gradients_are_each_network_s_own():
    own = torch.randn(6, *IMAGES.shape, generator=torch.Generator().manual_seed(1))
    stacked = {name: tensor.clone().requires_grad_() for name, tensor in LAYOUT.unflatten(ROWS).items()}
    forward(build(NETWORK), stacked, own, shared=False).square().sum().backward()
    for i in range(6):
        row = ROWS[i].clone().requires_grad_()
        alone(row, own[i]).square().sum().backward()
        assert row.grad is not None
        found = {name: tensor.grad[i] for name, tensor in stacked.items() if tensor.grad is not None}
        assert_close(LAYOUT.flatten(found), row.grad, 1e-5)


def test_a_diverged_network_leaves_its_neighbours_alone():
    broken = ROWS.clone()
    broken[2] = torch.nan
    found, sound = (outputs(build(NETWORK), LAYOUT, rows, IMAGES) for rows in (broken, ROWS))
    assert found[2].isnan().all()
    others = [0, 1, 3, 4, 5]
    assert torch.equal(found[others], sound[others])


def test_a_member_trained_in_a_stack_is_the_one_trained_alone():
    recipe = Recipe(optimizer="sgd", lr=0.1, momentum=0.9, batch=4, epochs=3)
    params = ZooParams(dataset={"name": "digits"}, network=NETWORK, recipe=recipe, members=4, heldout=2)
    data, ctx = Train(IMAGES, torch.arange(11) % 5), Context(Path("/nonexistent"))
    found = train_members(build(NETWORK), params, np.arange(6), 0, data, ctx)
    for member in (0, 5):
        one = train_members(build(NETWORK), params, np.array([member]), 0, data, ctx)
        assert_close(found[member], one[0], 1e-4)
    assert float(torch.pdist(found).min()) > 0.1, "members differ"


def test_fresh_weights_are_spread_as_torch_spreads_them():
    wide = CNN(widths=(64, 64), channels=3, size=8)
    found, own = initialise(wide, "torch", torch.Generator().manual_seed(0)), build(wide).state_dict()
    for name in ("2.weight", "4.weight", "4.bias"):
        assert float(found[name].abs().max()) == pytest.approx(float(own[name].abs().max()), rel=0.1)


def test_every_channel_s_group_is_derived_with_all_its_positions():
    found = derive(build(NETWORK), IMAGES)
    assert found.notes == ()
    places = {name: [(a.tensor, a.axis, a.power, a.width) for a in g.axes] for name, g in found.symmetry.groups.items()}
    assert places == {
        "2": [("2.weight", 0, 1, 1), ("2.bias", 0, 1, 1), ("4.weight", 1, -1, 1)],
        "4": [("4.weight", 0, 1, 1), ("4.bias", 0, 1, 1), ("7.weight", 1, -1, 4)],
    }
    assert vacuous_groups(build(NETWORK), IMAGES, found.symmetry) == []
