import numpy as np
import torch
from hypothesis import given
from strategies import TinyNet, tiny_nets

from stages.nets.mlp import build
from stages.nets.registry import build as build_any
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
        "1.weight": (7, 4),
        "1.bias": (7,),
        "3.weight": (3, 7),
        "3.bias": (3,),
    }
