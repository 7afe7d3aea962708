from itertools import pairwise
from itertools import permutations as orders

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import TinyNet, generators, tiny_net, tiny_nets

from stages.symmetry.rebasin import match
from stages.symmetry.table import Group, Symmetry


def product(a, b) -> float:
    """Over what the table moves, so all but the output layer's bias."""
    return sum(float((a[name].double() * b[name].double()).sum()) for name in list(a)[:-1])


def another(net: TinyNet, seed: int) -> dict[str, torch.Tensor]:
    return tiny_net(net.network.widths, seed).weights


@given(net=tiny_nets(), seed=st.integers(0, 1000), draw=generators())
def test_matching_never_lowers_the_inner_product(net, seed, draw):
    other = another(net, seed)
    found = match(net.symmetry, net.weights, other, draw)
    aligned = net.symmetry.act(found.permutations, other)
    size = product(net.weights, net.weights)
    assert found.before == pytest.approx(product(net.weights, other), abs=1e-9 * size)
    assert found.after == pytest.approx(product(net.weights, aligned), abs=1e-9 * size)
    assert found.after >= found.before - 1e-9 * size


@given(net=tiny_nets(), seed=st.integers(0, 1000), draw=generators())
def test_no_sweep_lowers_the_inner_product(net, seed, draw):
    other, state = another(net, seed), draw.get_state()
    scores = []
    for sweeps in range(5):
        draw.set_state(state)  # so that every call takes the same first steps
        limited = match(net.symmetry, net.weights, other, draw, sweeps)
        scores.append(limited.after)
    assert scores[0] == pytest.approx(product(net.weights, other))
    assert all(b >= a - 1e-9 * abs(a) for a, b in pairwise(scores))


@given(net=tiny_nets(inputs=60, hidden=(1, 2)), relabel=generators(), draw=generators())
def test_a_relabelled_copy_is_recovered_bit_for_bit(net, relabel, draw):
    copy = net.symmetry.act(net.symmetry.random(relabel), net.weights)
    found = match(net.symmetry, net.weights, copy, draw)
    back = net.symmetry.act(found.permutations, copy)
    assert all(torch.equal(back[name], tensor) for name, tensor in net.weights.items())


@given(net=tiny_nets(inputs=12), draw=generators(), data=st.data())
def test_a_copy_moved_along_one_axis_only_is_not_recovered(net, draw, data):
    group = data.draw(st.sampled_from(sorted(net.symmetry.groups)))
    size = net.symmetry.groups[group].size
    axis = data.draw(st.sampled_from(net.symmetry.groups[group].axes))
    broken = Symmetry({group: Group(size, (axis,))}).act({group: torch.arange(size).roll(1)}, net.weights)
    found = match(net.symmetry, net.weights, broken, draw)
    back = net.symmetry.act(found.permutations, broken)
    assert not all(torch.equal(back[name], tensor) for name, tensor in net.weights.items())


@given(net=tiny_nets(hidden=(1, 1), units=4), seed=st.integers(0, 1000), draw=generators())
def test_one_hidden_layer_is_solved_to_the_optimum(net, seed, draw):
    other = another(net, seed)
    size = net.network.widths[1]
    every = [net.symmetry.act({"hidden1": torch.tensor(p)}, other) for p in orders(range(size))]
    best = max(product(net.weights, weights) for weights in every)
    assert match(net.symmetry, net.weights, other, draw).after == pytest.approx(best)


@given(net=tiny_nets(hidden=(2, 3), units=4), seed=st.integers(0, 1000), draw=generators())
def test_the_end_is_optimal_in_every_group_with_the_others_held(net, seed, draw):
    other = another(net, seed)
    found = match(net.symmetry, net.weights, other, draw)
    for name, group in net.symmetry.groups.items():
        for p in orders(range(group.size)):
            alone = {**found.permutations, name: torch.tensor(p)}
            score = product(net.weights, net.symmetry.act(alone, other))
            assert score <= found.after + 1e-8 * product(net.weights, net.weights)


@given(net=tiny_nets(), draw=generators())
def test_a_network_matches_itself_in_one_sweep(net, draw):
    found = match(net.symmetry, net.weights, net.weights, draw)
    assert found.sweeps == 1
    assert all(torch.equal(p, torch.arange(len(p))) for p in found.permutations.values())


@given(net=tiny_nets(), seed=st.integers(0, 1000), draw=generators())
def test_equal_generators_give_equal_matches(net, seed, draw):
    state = draw.get_state()
    first = match(net.symmetry, net.weights, another(net, seed), draw)
    draw.set_state(state)
    second = match(net.symmetry, net.weights, another(net, seed), draw)
    assert all(torch.equal(first.permutations[g], second.permutations[g]) for g in first.permutations)


def test_equal_units_do_not_keep_it_going():
    net = tiny_net((3, 4, 4, 2))
    flat = {name: torch.ones_like(tensor) for name, tensor in net.weights.items()}
    found = match(net.symmetry, flat, flat, torch.Generator())
    assert found.sweeps == 1


def test_a_network_without_hidden_layers_has_nothing_to_match():
    net = tiny_net((3, 2))
    assert match(net.symmetry, net.weights, net.weights, torch.Generator()).permutations == {}
