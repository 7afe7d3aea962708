import pytest
import torch
from strategies import assert_close, random_rows
from torch.func import functional_call

from stages.nets.mlp import build
from stages.nets.stacked import forward, outputs, stackable
from stages.params.network import MLP

NETWORK = MLP(widths=(6, 5, 4, 3))
LAYOUT, ROWS = random_rows(NETWORK, 7)
INPUTS = torch.randn(11, 6, generator=torch.Generator().manual_seed(3))


def one_by_one(inputs):
    module = build(NETWORK)
    return torch.stack(
        [functional_call(module, LAYOUT.unflatten(row), (x,)) for row, x in zip(ROWS, inputs, strict=True)]
    )


@pytest.mark.parametrize("block", [1, 2 * 11 * 5, 3 * 11 * 5, 2**27])
def test_outputs_equal_those_of_each_network_alone(block):
    """Whatever number of networks is taken at once: one, two, three, or all."""
    found = outputs(build(NETWORK), LAYOUT, ROWS, INPUTS, block=block)
    assert found.shape == (7, 11, 3)
    assert not found.requires_grad
    assert_close(found, one_by_one([INPUTS] * 7), 1e-5)


def test_networks_can_have_inputs_of_their_own():
    own = torch.randn(7, 11, 6, generator=torch.Generator().manual_seed(4))
    found = forward(build(NETWORK), LAYOUT.unflatten(ROWS), own, shared=False)
    assert_close(found, one_by_one(own), 1e-5)


def test_outputs_are_taken_in_evaluation_mode():
    module = torch.nn.Sequential(*build(NETWORK), torch.nn.Dropout(0.9))
    module.train()
    found = outputs(module, LAYOUT, ROWS, INPUTS)
    assert_close(found, one_by_one([INPUTS] * 7), 1e-5)


def test_gradients_of_a_sum_are_each_network_s_own():
    stacked = {name: tensor.clone().requires_grad_() for name, tensor in LAYOUT.unflatten(ROWS).items()}
    forward(build(NETWORK), stacked, INPUTS, shared=True).square().sum().backward()
    for i in (0, 3):
        alone = {name: tensor.clone().requires_grad_() for name, tensor in LAYOUT.unflatten(ROWS[i]).items()}
        functional_call(build(NETWORK), alone, (INPUTS,)).square().sum().backward()
        for name, tensor in alone.items():
            ours, theirs = stacked[name].grad, tensor.grad
            assert ours is not None
            assert theirs is not None
            assert_close(ours[i], theirs, 1e-4)


def test_networks_that_are_not_stacked_give_the_same_outputs():
    """More examples than one pass takes, and a module that isn't a chain of plain layers."""
    many = torch.randn(600, 6, generator=torch.Generator().manual_seed(5))
    wrapped = torch.nn.Sequential(*build(NETWORK), torch.nn.Dropout(0.5))
    assert stackable(build(NETWORK))
    assert not stackable(wrapped)
    assert_close(outputs(wrapped, LAYOUT, ROWS, many), outputs(build(NETWORK), LAYOUT, ROWS, many), 1e-5)


@pytest.mark.parametrize(
    "module",
    [
        torch.nn.Sequential(torch.nn.Conv2d(16, 70, 3)),
        torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)),
        torch.nn.Sequential(torch.nn.Linear(600, 600)),
        torch.nn.Linear(2, 2),
    ],
)
def test_large_layers_batchnorm_and_unknown_forwards_are_not_stacked(module):
    assert not stackable(module)
