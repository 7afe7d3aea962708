import pytest
import torch
from strategies import assert_close, random_rows
from torch import nn
from torch.func import functional_call

from stages.nets.mlp import build
from stages.nets.normalisation import reestimate
from stages.nets.stacked import forward, outputs, stackable
from stages.params.network import MLP
from stages.store.layout import Layout

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


class Caching(nn.Module):
    """Keeps what it computed from its weights until its mode changes, as attention biases in LeViT are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.norm, self.cache = nn.Parameter(torch.ones(3)), nn.BatchNorm1d(3), dict[str, torch.Tensor]()

    def train(self, mode: bool = True):
        if mode:
            self.cache = {}
        return super().train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training and "scale" not in self.cache:
            self.cache["scale"] = 2 * self.scale
        return self.norm(x * (2 * self.scale if self.training else self.cache["scale"]))


def test_nothing_that_a_module_keeps_of_one_network_is_used_for_the_next():
    module, inputs = Caching(), torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    layout = Layout.of_module(module)
    rows = torch.stack(
        [layout.flatten({s.name: torch.full(s.shape, float(i + 1)) for s in layout.slots}) for i in range(3)]
    )
    together = outputs(module, layout, rows, inputs)
    statistics = reestimate(module, layout, rows, inputs, 20)
    for i, row in enumerate(rows):
        assert torch.equal(together[i], outputs(Caching(), layout, row[None], inputs)[0])
        alone = reestimate(Caching(), layout, row[None], inputs, 20)
        assert all(torch.equal(values[i], alone[name][0]) for name, values in statistics.items())
    assert not torch.equal(together[0], together[1])
