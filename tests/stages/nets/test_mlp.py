import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import TinyNet, tiny_net, tiny_nets
from torch import nn

from stages.nets.initialise import FILLS, initialise
from stages.nets.mlp import build
from stages.nets.registry import build as build_any
from stages.nets.registry import symmetry_of
from stages.params.network import MLP


def by_hand(net: TinyNet) -> np.ndarray:
    """The network in numpy, from its state dict's names alone."""
    x = net.inputs.numpy()
    last = len(net.network.widths) - 2
    for layer in range(last + 1):
        w, b = (net.weights[f"{2 * layer + 1}.{kind}"].double().numpy() for kind in ("weight", "bias"))
        x = x @ w.T + b
        if layer < last:
            x = np.maximum(x, 0)
    return x


@given(net=tiny_nets())
def test_outputs_equal_numpy_s(net):
    assert np.allclose(net.outputs(net.weights).numpy(), by_hand(net), rtol=1e-12, atol=1e-12)


def test_images_are_flattened():
    module = build(MLP(widths=(12, 5, 3)))
    images = torch.randn(2, 1, 3, 4)
    assert torch.equal(module(images), module(images.flatten(1)))


def test_the_registry_builds_what_is_described():
    network = MLP(widths=(4, 7, 3))
    state = build_any(network).state_dict()
    assert {name: tuple(t.shape) for name, t in state.items()} == {
        "1.weight": (7, 4), "1.bias": (7,), "3.weight": (3, 7), "3.bias": (3,),
    }  # fmt: skip


@given(net=tiny_nets())
def test_the_table_covers_every_hidden_unit_and_nothing_else(net):
    table = symmetry_of(net.network).axes_of()
    layers = len(net.network.widths) - 1
    for layer in range(layers):
        weight, bias = table.get(f"{2 * layer + 1}.weight", {}), table.get(f"{2 * layer + 1}.bias", {})
        assert (1 in weight) == (layer > 0), "inputs stay where they are, hidden units' columns move"
        assert (0 in weight) == (layer < layers - 1), "outputs stay where they are, hidden units' rows move"
        assert (0 in bias) == (layer < layers - 1)
    assert set(table) <= set(net.weights)
    assert list(symmetry_of(net.network).sizes(net.weights).values()) == list(net.network.widths[1:-1])


def test_no_hidden_layer_no_symmetry():
    assert symmetry_of(MLP(widths=(4, 3))).groups == {}


KINDS = ["torch", *FILLS]


@pytest.mark.parametrize("how", KINDS)
def test_initial_weights_come_from_the_generator_alone(how):
    module = build(MLP(widths=(4, 7, 3)))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    draw = lambda seed: torch.Generator().manual_seed(seed)  # noqa: E731
    a, b, c = (initialise(module, how, draw(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["1.weight"], c["1.weight"])
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())
    assert list(a) == list(before)


@pytest.mark.parametrize(("how", "std"), [
    ("torch", 1 / np.sqrt(3 * 400)),
    ("kaiming_uniform", np.sqrt(2 / 400)),
    ("xavier_uniform", np.sqrt(2 / (400 + 300))),
    ("uniform", 1 / np.sqrt(12)),
    ("normal", 0.5),
])  # fmt: skip
def test_spreads_are_as_their_names_say(how, std):
    state = initialise(build(MLP(widths=(400, 300, 2))), how, torch.Generator().manual_seed(0))
    assert float(state["1.weight"].std()) == pytest.approx(std, rel=0.02)
    assert float(state["1.weight"].mean()) == pytest.approx(0, abs=0.02 * std)
    assert bool((state["1.bias"] == 0).all()) == (how != "torch")


def test_torch_s_initialisation_is_torch_s_own():
    """The same bounds as Linear's constructor draws from, for weights and biases."""
    torch.manual_seed(0)
    layer = nn.Linear(50, 2000)
    state = initialise(build(MLP(widths=(50, 2000, 2))), "torch", torch.Generator().manual_seed(0))
    for ours, theirs in [(state["1.weight"], layer.weight.detach()), (state["1.bias"], layer.bias.detach())]:
        assert float(ours.abs().max()) == pytest.approx(float(theirs.abs().max()), rel=0.01)
        assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.05)


def test_every_tiny_net_differs():
    assert not torch.equal(tiny_net((3, 4, 2), 0).weights["1.weight"], tiny_net((3, 4, 2), 1).weights["1.weight"])
