import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import TinyNet, assert_close, generators, tiny_net, tiny_nets

from stages.errors import LayoutMismatch
from stages.symmetry.table import Axis, Group, Symmetry

NET = tiny_net((3, 4, 5, 2))


def shifts(net: TinyNet) -> dict[str, torch.Tensor]:
    """An element that leaves no unit where it was."""
    return {name: torch.arange(group.size).roll(1) for name, group in net.symmetry.groups.items()}


def gap(net: TinyNet, weights: dict[str, torch.Tensor]) -> float:
    before, after = net.outputs(net.weights), net.outputs(weights)
    return float((after - before).abs().max() / before.abs().max())


@given(net=tiny_nets(), draw=generators())
def test_any_element_keeps_the_function(net, draw):
    element = net.symmetry.random(draw)
    assert_close(net.outputs(net.symmetry.act(element, net.weights)), net.outputs(net.weights))


@given(net=tiny_nets())
def test_elements_move_the_weights(net):
    moved = net.symmetry.act(shifts(net), net.weights)
    assert not any(torch.equal(moved[name], tensor) for name, tensor in net.weights.items() if name in touched(net))


def touched(net: TinyNet) -> set[str]:
    return set(net.symmetry.tensors)


@given(net=tiny_nets(), data=st.data())
def test_half_a_move_breaks_the_function(net, data):
    """Moving all axes of a group but any one of them is no symmetry: the table needs each of its entries."""
    group = data.draw(st.sampled_from(sorted(net.symmetry.groups)))
    size, axes = net.symmetry.groups[group].size, net.symmetry.groups[group].axes
    left_out = data.draw(st.integers(0, len(axes) - 1))
    half = Symmetry({group: Group(size, axes[:left_out] + axes[left_out + 1 :])})
    assert gap(net, half.act(shifts(net), net.weights)) > 1e-6
    first = Symmetry({group: Group(size, axes[:1])})
    assert gap(net, first.act(shifts(net), net.weights)) > 1e-6


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@given(net=tiny_nets(), one=generators(), two=generators(), three=generators())
def test_elements_form_a_group_and_act_as_one(net, one, two, three):
    s, w = net.symmetry, net.weights
    a, b, c = (s.random(draw) for draw in (one, two, three))
    unit = s.identity()
    assert equal(s.act(s.compose(a, b), w), s.act(b, s.act(a, w)))  # as if one after the other
    assert equal(s.compose(s.compose(a, b), c), s.compose(a, s.compose(b, c)))
    assert equal(s.compose(a, unit), a)
    assert equal(s.compose(unit, a), a)
    assert equal(s.compose(a, s.invert(a)), unit)
    assert equal(s.compose(s.invert(a), a), unit)
    assert equal(s.act(s.invert(a), s.act(a, w)), w)  # bit for bit
    assert equal(s.act(unit, w), w)


def test_order_of_composition_matters():
    s = Symmetry({"g": Group(3, (Axis("w", 0),))})
    a = {"g": torch.tensor([1, 2, 0])}
    b = {"g": torch.tensor([1, 0, 2])}
    assert s.compose(a, b)["g"].tolist() == [2, 1, 0]
    assert s.compose(b, a)["g"].tolist() == [0, 2, 1]


def test_act_is_spelled_out():
    weights = {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), "b": torch.tensor([7.0, 8.0, 9.0])}
    table = Symmetry({"g": Group(3, (Axis("w", 0), Axis("b", 0)))})
    moved = table.act({"g": torch.tensor([2, 0, 1])}, weights)
    assert moved["w"].tolist() == [[5, 6], [1, 2], [3, 4]]
    assert moved["b"].tolist() == [9, 7, 8]


def test_random_elements_are_permutations_and_differ():
    draw = torch.Generator().manual_seed(0)
    seen = {tuple(NET.symmetry.random(draw)["hidden1"].tolist()) for _ in range(300)}
    assert all(sorted(p) == [0, 1, 2, 3] for p in seen)
    assert len(seen) == 24  # every one of 4!


@given(net=tiny_nets(), draw=generators())
def test_positive_scales_keep_a_relu_network_s_function(net, draw):
    scales = {
        name: torch.empty(group.size, dtype=torch.float64).uniform_(0.1, 10, generator=draw)
        for name, group in net.symmetry.groups.items()
    }
    double = {name: tensor.double() for name, tensor in net.weights.items()}
    moved = net.symmetry.rescale(scales, double)
    assert_close(net.outputs(moved), net.outputs(net.weights), 1e-10)
    for name, group in net.symmetry.groups.items():
        half = Symmetry({name: Group(group.size, group.axes[:-1])})  # without the outgoing weights
        assert gap(net, half.rescale(scales, double)) > 1e-6


def test_negative_scales_are_no_symmetry_of_relu():
    scales = {name: -torch.ones(group.size, dtype=torch.float64) for name, group in NET.symmetry.groups.items()}
    assert gap(NET, NET.symmetry.rescale(scales, NET.weights)) > 1e-6


def test_axes_without_scale_symmetry_are_left_alone():
    table = Symmetry({"g": Group(2, (Axis("w", 0, 0),))})
    weights = {"w": torch.ones(2, 2)}
    assert equal(table.rescale({"g": torch.tensor([2.0, 3.0])}, weights), weights)


def test_nothing_is_changed_in_place():
    before = {name: tensor.clone() for name, tensor in NET.weights.items()}
    NET.symmetry.act(shifts(NET), NET.weights)
    NET.symmetry.rescale(
        {name: torch.full((group.size,), 2.0) for name, group in NET.symmetry.groups.items()}, NET.weights
    )
    assert equal(NET.weights, before)


@pytest.mark.parametrize(
    ("tensor", "shape", "named"),
    [
        ("1.bias", (3,), r"group 'hidden1': tensor '1.bias' axis 0 has length 3, expected 4 or more"),
        ("3.weight", (5, 2), r"group 'hidden1': tensor '3.weight' axis 1 has length 2, expected 4 or more"),
        ("3.bias", None, r"group 'hidden2': tensor '3.bias' axis 0 has length None, expected 5 or more"),
        ("1.weight", None, r"group 'hidden1': tensor '1.weight' axis 0 has length None"),
        ("3.weight", (5,), r"group 'hidden1': tensor '3.weight' axis 1"),
    ],
)
def test_a_table_that_does_not_fit_names_tensor_and_axis(tensor, shape, named):
    weights = dict(NET.weights)
    del weights[tensor]
    if shape is not None:
        weights[tensor] = torch.zeros(shape)
    with pytest.raises(LayoutMismatch, match=named):
        NET.symmetry.check(weights)
