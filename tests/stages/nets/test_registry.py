"""Every architecture: known sizes, outputs, export, and what a layout stores of it."""

import pytest
import torch
from strategies import assert_close
from torch import nn
from torch.func import functional_call

from stages.nets.registry import build, example_input
from stages.params.network import CNN, MLP, Bert, Model, Network, ResNet, ResNet18, ViT
from stages.store.layout import Layout

BASE = Bert(vocabulary=30522, length=512, dim=768, depth=12, heads=12, mlp=3072)
SIZES = [(ResNet(), 272_474), (ResNet18(), 11_173_962), (ViT(), 2_693_578), (BASE, 109_482_240 - 768 + 769)]
"""The literature's counts; BERT's without the second kind of segment, and with an output."""

SMALL = [
    MLP(widths=(6, 5, 4)),
    CNN(widths=(3, 5), channels=2, size=7, classes=4),
    ResNet(blocks=(1, 1), width=4, channels=1, size=12, classes=4),
    ResNet18(channels=1, size=16, classes=4),
    ViT(size=8, channels=2, dim=12, depth=2, classes=4),
    Bert(vocabulary=30, length=9, dim=16, mlp=20),
    Bert(vocabulary=30, length=9, dim=16, mlp=20, pool="mean"),
    Model(model="torchvision:mobilenet_v3_small", kwargs={"num_classes": 4}, input=(3, 32, 32)),
    Model(model="torch.nn:Linear", kwargs={"in_features": 6, "out_features": 4}, input=(6,)),
]
EACH = pytest.mark.parametrize("network", SMALL, ids=[f"{n.kind}{i}" for i, n in enumerate(SMALL)])


@pytest.mark.parametrize(("network", "parameters"), SIZES, ids=[n.kind for n, _ in SIZES])
def test_sizes_are_those_of_the_papers(network, parameters):
    with torch.device("meta"):  # no time or memory for weights
        module = build(network)
    assert sum(p.numel() for p in module.parameters()) == parameters


@EACH
def test_outputs_have_one_row_of_classes_or_one_number_per_example_and_nothing_random(network: Network):
    module, inputs = build(network).eval(), example_input(network, 3)
    found = module(inputs)
    assert found.shape == ((3,) if network.kind == "bert" else (3, 4))
    assert found.dtype == torch.float32
    assert torch.equal(found, module(inputs))
    assert float(found.detach().std(0).min()) > 0, "different examples, different outputs"


@EACH
def test_modules_come_from_their_seed_and_leave_torch_s_generator_alone(network: Network):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (build(network, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@EACH
def test_graphs_are_exported_and_compute_the_same(network: Network):
    module, inputs = build(network).eval(), example_input(network)
    exported = torch.export.export(module, (inputs,), strict=False).module()
    fresh = example_input(network).flip(0)
    assert_close(exported(fresh), module(fresh), 1e-6)


@EACH
def test_a_row_s_weights_make_the_outputs_and_only_batchnorm_stores_floating_buffers(network: Network):
    module, other, inputs = build(network, 0).eval(), build(network, 1).eval(), example_input(network)
    layout = Layout.of_module(module)
    state = {name: t for name, t in other.state_dict().items() if name in {s.name for s in layout.slots}}
    assert_close(functional_call(module, state, (inputs,)), other(inputs), 1e-6)
    assert not torch.equal(module(inputs), other(inputs))
    statistics = {
        f"{name}.{kind}"
        for name, layer in module.named_modules()
        if isinstance(layer, nn.BatchNorm2d)
        for kind in ("running_mean", "running_var")
    }
    assert {slot.name for slot in layout.slots if slot.buffer} == statistics
    assert bool(statistics) == (network.kind in ("resnet", "resnet18") or network.shape == (3, 32, 32))


@EACH
def test_every_parameter_matters_in_training(network: Network):
    """Each gets a gradient: none is drawn, stored and generated for nothing."""
    module = build(network, 3).train()
    outputs = module(example_input(network, 4))
    (outputs * torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert [name for name, p in module.named_parameters() if p.grad is None] == []


@EACH
def test_examples_are_always_the_same_ones_and_differ_within_a_batch(network: Network):
    one = example_input(network, 3)
    assert one.shape == (3, *network.shape)
    assert torch.equal(one, example_input(network, 3))
    assert not torch.equal(one[0], one[1])
    assert one.is_floating_point() == (network.kind != "bert")


@pytest.mark.parametrize("pool", ["first", "mean"])
def test_padding_changes_nothing_and_words_do(pool):
    module = build(Bert(vocabulary=30, length=9, dim=16, mlp=20, pool=pool)).eval()
    text = torch.tensor([[2, 7, 11, 3]])
    padded = torch.cat([text, torch.zeros(1, 5, dtype=torch.int64)], 1)
    assert_close(module(padded), module(text), 1e-5)
    assert not torch.allclose(module(torch.tensor([[2, 7, 12, 3]])), module(text), atol=1e-5)


def test_bert_s_dropout_is_off_unless_asked_for():
    ids = example_input(Bert(vocabulary=30, length=9, dim=16, mlp=20))
    for dropout, random in [(0.0, False), (0.5, True)]:
        module = build(Bert(vocabulary=30, length=9, dim=16, mlp=20, dropout=dropout)).train()
        assert torch.equal(module(ids), module(ids)) == (not random)


def test_resnet_stages_halve_the_image_and_double_the_channels():
    network = ResNet(blocks=(1, 2, 1), width=4, channels=1, size=16)
    seen = {}
    module = build(network)
    for name, layer in module.named_children():
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: tuple(out.shape[1:])}))
    module(example_input(network))
    assert list(seen.values())[3:7] == [(4, 16, 16), (8, 8, 8), (8, 8, 8), (16, 4, 4)]
