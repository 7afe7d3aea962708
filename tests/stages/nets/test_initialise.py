"""Initial weights: drawn from the generator alone, spread as named; norms and tokens keep the architecture's own."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.nets.initialise import FILLS, initialise
from stages.nets.registry import build
from stages.params.network import MLP, Bert, Model, Network, ResNet, ViT
from stages.store.layout import Layout

KINDS = ["torch", *FILLS]
NETWORKS = [
    MLP(widths=(4, 7, 3)),
    ResNet(blocks=(1, 1), width=4),
    ViT(size=8, dim=12, depth=1),
    Bert(vocabulary=30, dim=16),
    Model(model="torchvision:shufflenet_v2_x0_5", input=(3, 32, 32)),
]


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("network", NETWORKS, ids=[n.kind for n in NETWORKS])
def test_initial_weights_come_from_the_generator_alone(network: Network, how):
    torch.manual_seed(1)
    a = initialise(network, how, draw(1))
    torch.manual_seed(2)
    b, c = initialise(network, how, draw(1)), initialise(network, how, draw(2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)
    layout = Layout.of_module(build(network))
    assert list(a) == [slot.name for slot in layout.slots]
    assert [tuple(t.shape) for t in a.values()] == [slot.shape for slot in layout.slots]
    assert not any(t.requires_grad for t in a.values())


KNOWN = {
    "torch": (-0.003743410110473633, 0.26822179555892944),
    "kaiming_uniform": (-0.009169445373117924, 0.657006561756134),
    "xavier_uniform": (-0.006931448820978403, 0.4966502785682678),
    "uniform": (-0.003743410110473633, 0.26822179555892944),
    "normal": (0.7704980373382568, -0.146714448928833),
}
"""From the first release: zoos of MLPs start where they always started."""


@pytest.mark.parametrize("how", KINDS)
def test_mlps_start_where_they_always_started(how):
    state = initialise(MLP(widths=(4, 3, 2)), how, draw(0))
    assert tuple(state["1.weight"][0, :2].tolist()) == KNOWN[how]


@pytest.mark.parametrize(
    ("how", "std"),
    [
        ("torch", 1 / np.sqrt(3 * 400)),
        ("kaiming_uniform", np.sqrt(2 / 400)),
        ("xavier_uniform", np.sqrt(2 / (400 + 300))),
        ("uniform", 1 / np.sqrt(12)),
        ("normal", 0.5),
    ],
)
def test_spreads_are_as_their_names_say(how, std):
    state = initialise(MLP(widths=(400, 300, 2)), how, draw(0))
    assert float(state["1.weight"].std()) == pytest.approx(std, rel=0.02)
    assert float(state["1.weight"].mean()) == pytest.approx(0, abs=0.02 * std)
    assert bool((state["1.bias"] == 0).all()) == (how != "torch")


def test_torch_s_initialisation_is_torch_s_own():
    """The same bounds as Linear's constructor draws from, for weights and biases."""
    torch.manual_seed(0)
    layer = nn.Linear(50, 2000)
    state = initialise(MLP(widths=(50, 2000, 2)), "torch", draw(0))
    for ours, theirs in [(state["1.weight"], layer.weight.detach()), (state["1.bias"], layer.bias.detach())]:
        assert float(ours.abs().max()) == pytest.approx(float(theirs.abs().max()), rel=0.01)
        assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.05)


def test_convolutions_spread_by_what_they_take_in():
    state = initialise(ResNet(width=32, blocks=(2,)), "kaiming_uniform", draw(0))
    assert float(state["3.conv1.weight"].std()) == pytest.approx(np.sqrt(2 / (32 * 9)), rel=0.02)


def changed(network: Network, how) -> set[str]:
    """Parameters that differ in spread or in being zero from the architecture's own."""
    own, state = initialise(network, "torch", draw(0)), initialise(network, how, draw(0))

    def facts(t: Tensor) -> tuple[float, float]:
        return float(t.abs().mean()), float(t.abs().max())

    return {name for name in own if facts(own[name]) != pytest.approx(facts(state[name]), rel=0.2, abs=1e-9)}


@pytest.mark.parametrize("network", NETWORKS[1:], ids=[n.kind for n in NETWORKS[1:]])
def test_norms_embeddings_and_tokens_stay_the_architecture_s_own(network: Network):
    module, touched = build(network), changed(network, "normal")
    layers, state = dict(module.named_modules()), initialise(network, "normal", draw(0))
    for slot in Layout.of_module(module).parameter_layout.slots:
        owner, _, kind = slot.name.rpartition(".")
        filled = isinstance(layers[owner], nn.Linear | nn.Conv2d)
        if filled and kind == "bias":
            assert bool((state[slot.name] == 0).all()), slot.name
        else:
            assert (slot.name in touched) == filled, slot.name


@pytest.mark.parametrize("network", NETWORKS[1:], ids=[n.kind for n in NETWORKS[1:]])
def test_torch_is_the_architecture_s_own(network: Network):
    """Spread as in a module built directly."""
    state, direct = initialise(network, "torch", draw(0)), dict(build(network, 7).named_parameters())
    for name, tensor in direct.items():
        if tensor.numel() > 1000:
            assert float(state[name].std()) == pytest.approx(float(tensor.detach().std()), rel=0.25, abs=1e-9)
