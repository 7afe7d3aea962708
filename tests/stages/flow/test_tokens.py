"""Neuron tokens, the network that is blind to their order, and noise matched to them."""

from itertools import permutations as orders

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import generators, mlp_symmetry, random_rows, tiny_nets

from stages.flow.coupling import match_tokens
from stages.flow.ode import integrate
from stages.flow.tokens import split, tokens_of
from stages.flow.velocity_tokens import VelocityTokens
from stages.params.network import MLP

NETWORK = MLP(widths=(4, 5, 3))
TABLE = mlp_symmetry(NETWORK)
LAYOUT, ROWS = random_rows(NETWORK, 9)
TOKENS = tokens_of(LAYOUT, TABLE, ROWS)


def velocity() -> VelocityTokens:
    """Not at its start, where all is zero."""
    torch.manual_seed(0)
    net = VelocityTokens(TOKENS.shapes, width=16, depth=2, heads=2)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return net.double()


def relabelled(rows: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    return torch.stack([LAYOUT.flatten(TABLE.act(TABLE.random(draw), LAYOUT.unflatten(row))) for row in rows])


@given(net=tiny_nets(), count=st.integers(2, 5))
def test_networks_come_back_from_their_tokens(net, count):
    layout, rows = random_rows(net.network, count)
    tokens = tokens_of(layout, net.symmetry, rows)
    points = tokens.encode(rows)
    assert points.shape == (count, tokens.dim)
    assert torch.allclose(tokens.decode(points), rows, atol=1e-5)


def test_a_hidden_neuron_is_one_token_and_what_no_neuron_has_is_its_own():
    assert TOKENS.shapes == ((5, 4 + 1 + 3), (1, 3))  # incoming, bias, outgoing; the output's bias
    places = torch.cat([s.positions.flatten() for s in TOKENS.sets])
    assert places.sort().values.tolist() == list(range(LAYOUT.parameters))


def test_features_are_standardized_over_members_and_neurons_together():
    neurons, _ = split(TOKENS.encode(ROWS), TOKENS.shapes)
    assert torch.allclose(neurons.mean((0, 1)), torch.zeros(8), atol=1e-5)
    assert torch.allclose(neurons.std((0, 1), correction=0), torch.ones(8), atol=1e-5)
    assert float(neurons.mean(0).abs().max()) > 0.1  # not neuron by neuron


def test_weights_that_never_vary_keep_their_scale():
    same = ROWS.clone()
    same[:, LAYOUT.slots[-1].offset :] = 0.7
    tokens = tokens_of(LAYOUT, TABLE, same)
    assert torch.allclose(tokens.decode(tokens.encode(same)), same, atol=1e-6)


@given(draw=generators())
def test_relabelled_networks_have_the_same_tokens_in_another_order(draw):
    moved = relabelled(ROWS, draw)
    before, after = (split(TOKENS.encode(rows), TOKENS.shapes)[0] for rows in (ROWS, moved))
    for a, b in zip(before, after, strict=True):
        nearest = torch.cdist(b, a).argmin(1)
        assert sorted(nearest.tolist()) == list(range(5))
        assert torch.equal(a[nearest], b)


@given(draw=generators())
def test_reordered_neurons_have_reordered_velocities(draw):
    net, t = velocity(), torch.rand(9, generator=draw).double()
    neurons, bias = split(torch.randn(9, TOKENS.dim, generator=draw).double(), TOKENS.shapes)
    order = torch.randperm(5, generator=draw)
    x = torch.cat([neurons.flatten(1), bias.flatten(1)], 1)
    y = torch.cat([neurons[:, order].flatten(1), bias.flatten(1)], 1)
    before, after = (split(net(z, t).detach(), TOKENS.shapes) for z in (x, y))
    assert torch.allclose(after[0], before[0][:, order], atol=1e-12)
    assert torch.allclose(after[1], before[1], atol=1e-12)
    swapped = torch.cat([neurons.flip(-1).flatten(1), bias.flatten(1)], 1)  # the control: features do have places
    assert not torch.allclose(split(net(swapped, t).detach(), TOKENS.shapes)[0], before[0].flip(-1), atol=1e-3)


def test_the_whole_ode_keeps_the_order_of_its_noise():
    net, noise = velocity(), torch.randn(2, TOKENS.dim).double()
    neurons, bias = split(noise, TOKENS.shapes)
    turned = torch.cat([neurons.roll(1, 1).flatten(1), bias.flatten(1)], 1)
    with torch.no_grad():
        a, b = (split(integrate(net, x, "heun", 5), TOKENS.shapes)[0] for x in (noise, turned))
    assert torch.allclose(a.roll(1, 1), b, atol=1e-10)


def test_it_starts_as_no_velocity_at_all():
    net = VelocityTokens(TOKENS.shapes, width=16, depth=2, heads=2)
    assert not net(torch.randn(3, TOKENS.dim), torch.rand(3)).detach().any()


def test_it_tells_one_time_from_another():
    net, x = velocity(), torch.randn(1, TOKENS.dim).double().expand(2, -1)
    early, late = net(x, torch.tensor([0.1, 0.9]).double()).detach()
    assert not torch.allclose(early, late, atol=1e-3)


@given(draw=generators())
def test_matched_noise_lies_as_near_to_the_data_as_any_order_of_it(draw):
    x0, x1 = (torch.randn(3, TOKENS.dim, generator=draw) for _ in range(2))
    matched = match_tokens(x0, x1, TOKENS.shapes)
    before, after, data = (split(x, TOKENS.shapes) for x in (x0, matched, x1))
    for a, b, target in zip(before[0], after[0], data[0], strict=True):
        best = min(float((a[list(p)] - target).square().sum()) for p in orders(range(5)))
        assert float((b - target).square().sum()) == pytest.approx(best, rel=1e-4)
        assert sorted(map(tuple, a.tolist())) == sorted(map(tuple, b.tolist()))  # the same draws
    assert torch.equal(after[1], before[1])
