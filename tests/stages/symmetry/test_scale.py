import torch
from hypothesis import given
from strategies import assert_close, generators, tiny_net, tiny_nets

from stages.symmetry.scale import balance
from stages.symmetry.table import Axis, Group, Symmetry


def double(weights):
    return {name: tensor.double() for name, tensor in weights.items()}


def balanced(net, weights):
    return net.symmetry.rescale(balance(net.symmetry, weights), weights)


def random_scales(net, draw):
    return {
        name: torch.empty(group.size, dtype=torch.float64).uniform_(0.1, 10, generator=draw)
        for name, group in net.symmetry.groups.items()
    }


@given(net=tiny_nets())
def test_incoming_and_outgoing_norms_become_equal(net):
    weights = balanced(net, double(net.weights))
    for hidden in range(1, len(net.network.widths) - 1):
        below, above = 2 * hidden - 1, 2 * hidden + 1
        incoming = torch.cat([weights[f"{below}.weight"], weights[f"{below}.bias"][:, None]], 1).norm(dim=1)
        outgoing = weights[f"{above}.weight"].norm(dim=0)
        assert_close(incoming, outgoing, 1e-7)


@given(net=tiny_nets())
def test_the_function_is_kept(net):
    assert_close(net.outputs(balanced(net, double(net.weights))), net.outputs(net.weights), 1e-10)


@given(net=tiny_nets())
def test_a_balanced_network_keeps_its_scales(net):
    again = balance(net.symmetry, balanced(net, double(net.weights)))
    assert all(float((s - 1).abs().max()) < 1e-7 for s in again.values())


@given(net=tiny_nets(), draw=generators())
def test_the_balanced_form_does_not_depend_on_where_it_started(net, draw):
    weights = double(net.weights)
    other = net.symmetry.rescale(random_scales(net, draw), weights)
    a, b = balanced(net, weights), balanced(net, other)
    for name in a:
        assert_close(b[name], a[name], 1e-6)


@given(net=tiny_nets(), draw=generators())
def test_balancing_commutes_with_relabelling(net, draw):
    element = net.symmetry.random(draw)
    weights = double(net.weights)
    a = net.symmetry.act(element, balanced(net, weights))
    b = balanced(net, net.symmetry.act(element, weights))
    for name in a:
        assert_close(b[name], a[name], 1e-7)


def test_dead_units_keep_scale_one():
    net = tiny_net((3, 4, 4, 2))
    weights = double(net.weights)
    weights["1.weight"][2], weights["1.bias"][2] = 0, 0  # nothing comes in
    weights["5.weight"][:, 1] = 0  # nothing goes out
    scales = balance(net.symmetry, weights)
    assert scales["hidden1"][2] == 1
    assert scales["hidden2"][1] == 1
    assert all(bool(torch.isfinite(s).all()) and bool((s > 0).all()) for s in scales.values())


def test_groups_without_scale_symmetry_are_left_out():
    table = Symmetry({"g": Group(3, (Axis("w", 0), Axis("v", 1)))})
    assert balance(table, {"w": torch.randn(3, 2), "v": torch.randn(2, 3)}) == {}
