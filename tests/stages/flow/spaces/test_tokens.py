"""Tokens of units and of pairs, the network that is blind to their order, and noise matched to them."""

from itertools import permutations as orders

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import generators, mlp_symmetry, random_rows, tiny_nets

from stages.flow.coupling import match_networks
from stages.flow.ode import integrate
from stages.flow.spaces.tokens import Shape, Tokens, split, tokens_of
from stages.flow.velocity.tokens import VelocityTokens
from stages.params.network import MLP
from stages.store.layout import Layout
from stages.symmetry.table import Symmetry


class Net:
    """A network's layout and symmetry, random networks of it, and their tokens."""

    def __init__(self, *widths: int, members: int = 9) -> None:
        self.table = mlp_symmetry(MLP(widths=widths))
        self.layout, self.rows = random_rows(MLP(widths=widths), members)
        self.tokens = tokens_of(self.layout, self.table, [self.rows])

    def relabelled(self, rows: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
        element = self.table.random(draw)
        return torch.stack([self.layout.flatten(self.table.act(element, self.layout.unflatten(r))) for r in rows])

    def velocity(self) -> VelocityTokens:
        """Not at its start, where it tells nothing apart."""
        torch.manual_seed(0)
        net = VelocityTokens(self.tokens.shapes, self.tokens.variance, 1.0, 3, width=16, depth=2, heads=2, pair_width=4)
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.2 * torch.randn_like(p))
        return net.double()


ONE, TWO, THREE = Net(4, 5, 3), Net(4, 5, 3, 2), Net(2, 3, 4, 3, 2)
NETS = [ONE, TWO, THREE]


def exact(tokens: Tokens) -> Tokens:
    """In double precision, so that equal is equal."""
    sets = [
        type(s)(s.positions, s.mean.double(), s.std.double(), s.axes.double(), s.variance, s.ends) for s in tokens.sets
    ]
    return Tokens(tuple(sets))


@given(net=tiny_nets(), count=st.integers(2, 5))
def test_networks_come_back_from_their_tokens(net, count):
    layout, rows = random_rows(net.network, count)
    tokens = tokens_of(layout, net.symmetry, [rows])
    points = tokens.encode_rows(rows)
    assert points.shape == (count, tokens.dim) == (count, layout.size)
    assert torch.allclose(tokens.decode_rows(points), rows, atol=1e-4)


@pytest.mark.parametrize("net", NETS)
def test_every_weight_is_in_exactly_one_token(net):
    places = torch.cat([s.positions.flatten() for s in net.tokens.sets])
    assert places.sort().values.tolist() == list(range(net.layout.size))


def test_a_neuron_is_a_token_and_a_weight_between_two_is_their_pairs():
    assert ONE.tokens.shapes == (Shape(5, 4 + 1 + 3), Shape(1, 3))  # incoming, bias, outgoing; the output's bias
    assert TWO.tokens.shapes == (Shape(5, 4 + 1), Shape(3, 1 + 2), Shape(1, 2), Shape(15, 1, (0, 1)))
    pair = TWO.tokens.sets[3].positions.reshape(5, 3)
    weight = next(slot for slot in TWO.layout.slots if slot.name == "3.weight")
    assert torch.equal(pair, weight.offset + torch.arange(15).reshape(3, 5).T)


def test_what_moves_with_the_same_pair_lies_in_one_set():
    """A residual stream and a block within it: both of the block's layers are between the two."""
    layout = Layout.of({"up": torch.zeros(2, 3), "down": torch.zeros(3, 2), "kernel": torch.zeros(2, 3, 5)})
    table = Symmetry.from_json(
        {
            "stream": {"size": 3, "axes": [["up", 1], ["down", 0], ["kernel", 1]], "within": None, "stream": True},
            "block": {"size": 2, "axes": [["up", 0], ["down", 1], ["kernel", 0]], "within": None, "stream": False},
        }
    )
    tokens = tokens_of(layout, table, [torch.randn(4, layout.size)])
    assert tokens.shapes == (Shape(3, 0), Shape(2, 0), Shape(6, 7, (0, 1)))


def test_axes_that_several_groups_share_are_cut_between_them():
    """Concatenated channels, and a bias of which one part moves with nothing."""
    layout = Layout.of({"read": torch.zeros(4, 6), "bias": torch.zeros(6)})
    axes = [
        {"size": 2, "axes": [["read", 1, 0, start], ["bias", 0, 0, start]], "within": None, "stream": False}
        for start in (0, 2)
    ]
    tokens = tokens_of(layout, Symmetry.from_json({"a": axes[0], "b": axes[1]}), [torch.randn(4, 30)])
    assert tokens.shapes == (Shape(2, 5), Shape(2, 5), Shape(1, 8), Shape(1, 2))


@pytest.mark.parametrize("net", NETS)
def test_features_vary_along_their_principal_axes_as_they_say(net):
    for part, s in zip(split(net.tokens.encode_rows(net.rows), net.tokens.shapes), net.tokens.sets, strict=True):
        values = part.flatten(0, 1)
        covariance = values.T @ values / len(values)
        assert torch.allclose(values.mean(0), torch.zeros(values.shape[1]), atol=1e-4)
        assert torch.allclose(covariance, torch.diag(covariance.diagonal()), atol=1e-3)
        assert torch.allclose(covariance.diagonal().clamp_min(1e-4), s.variance, atol=1e-3)
    assert net.tokens.variance.shape == (net.layout.size,)


def test_members_may_come_in_blocks():
    apart = tokens_of(TWO.layout, TWO.table, TWO.rows.split(2))
    assert torch.allclose(apart.variance, TWO.tokens.variance, atol=1e-5)


def test_weights_that_never_vary_keep_their_scale():
    same = ONE.rows.clone()
    same[:, ONE.layout.slots[-1].offset :] = 0.7
    tokens = tokens_of(ONE.layout, ONE.table, [same])
    assert torch.allclose(tokens.decode_rows(tokens.encode_rows(same)), same, atol=1e-5)


@given(draw=generators(), net=st.sampled_from(NETS))
def test_relabelled_networks_have_the_same_units_and_pairs_in_another_order(draw, net):
    tokens = exact(net.tokens)
    rows = net.rows.double()
    moved = net.relabelled(rows, draw)
    for a, b in zip(
        split(tokens.encode_rows(rows), tokens.shapes), split(tokens.encode_rows(moved), tokens.shapes), strict=True
    ):
        for one, other in zip(a, b, strict=True):
            nearest = torch.cdist(other, one).argmin(1)
            assert sorted(nearest.tolist()) == list(range(len(one)))
            assert torch.allclose(one[nearest], other, atol=1e-9)


@given(draw=generators(), net=st.sampled_from(NETS))
def test_relabelled_networks_have_relabelled_velocities(draw, net):
    velocity, tokens = net.velocity(), exact(net.tokens)
    t, seed = torch.rand(9, generator=draw).double(), int(torch.randint(1000, (1,), generator=draw))

    def moved(points: torch.Tensor) -> torch.Tensor:
        return tokens.encode_rows(net.relabelled(tokens.decode_rows(points), torch.Generator().manual_seed(seed)))

    x = torch.randn(9, tokens.dim, generator=draw).double()
    with torch.no_grad():
        before, after = velocity(x, t), velocity(moved(x), t)
    assert torch.allclose(after, moved(before) - moved(torch.zeros_like(before)), atol=1e-5)


def test_features_and_pairs_do_have_places():
    """The control: what is no relabelling does change more than the order."""
    velocity, x, t = TWO.velocity(), torch.randn(9, TWO.tokens.dim).double(), torch.rand(9).double()
    parts = split(x, TWO.tokens.shapes)
    swapped = torch.cat([*(p.flatten(1) for p in parts[:3]), parts[3].roll(1, 1).flatten(1)], 1)  # pairs without units
    with torch.no_grad():
        before, after = (split(velocity(z, t), TWO.tokens.shapes) for z in (x, swapped))
    assert not torch.allclose(before[0], after[0], atol=1e-3)
    assert not torch.allclose(before[3].roll(1, 1), after[3], atol=1e-3)


def test_the_whole_ode_keeps_the_order_of_its_noise():
    net, noise = ONE.velocity(), torch.randn(2, ONE.tokens.dim).double()
    neurons, bias = split(noise, ONE.tokens.shapes)
    turned = torch.cat([neurons.roll(1, 1).flatten(1), bias.flatten(1)], 1)
    with torch.no_grad():
        a, b = (split(integrate(net, x, "heun", 5), ONE.tokens.shapes)[0] for x in (noise, turned))
    assert torch.allclose(a.roll(1, 1), b, atol=1e-8)


@pytest.mark.parametrize("std", [0.5, 1.0])
def test_it_starts_as_the_velocity_of_independent_gaussians(std):
    """Without any training it scales noise, coordinate by coordinate, to the members' standard deviations."""
    tokens = TWO.tokens
    net = VelocityTokens(tokens.shapes, tokens.variance, std, 0, width=16, depth=2, heads=2, pair_width=4)
    x0 = std * torch.randn(5, tokens.dim, generator=torch.Generator().manual_seed(0))
    x1 = integrate(net, x0, "rk4", 50)
    assert torch.allclose(x1, x0 / std * tokens.variance.sqrt(), rtol=1e-2, atol=1e-4)


def test_it_tells_one_time_and_one_condition_from_another():
    net, x = ONE.velocity(), torch.randn(1, ONE.tokens.dim).double().expand(2, -1)
    early, late = net(x, torch.tensor([0.1, 0.9]).double()).detach()
    assert not torch.allclose(early, late, atol=1e-3)
    conditions = torch.tensor([[0, 0, 0], [1, 0, 0]]).double()
    one, other = net(x, torch.full((2,), 0.5).double(), conditions).detach()
    assert not torch.allclose(one, other, atol=1e-3)
    assert torch.allclose(one, net(x, torch.full((2,), 0.5).double())[0], atol=1e-12), "an unknown condition is zeros"


@given(draw=generators())
def test_matched_noise_lies_as_near_to_the_data_as_any_order_of_it(draw):
    x0, x1 = (torch.randn(3, ONE.tokens.dim, generator=draw) for _ in range(2))
    matched = ONE.tokens.match_units(x0, x1)
    before, after, data = (split(x, ONE.tokens.shapes) for x in (x0, matched, x1))
    for a, b, target in zip(before[0], after[0], data[0], strict=True):
        best = min(float((a[list(p)] - target).square().sum()) for p in orders(range(5)))
        assert float((b - target).square().sum()) == pytest.approx(best, rel=1e-4)
        assert sorted(map(tuple, a.tolist())) == sorted(map(tuple, b.tolist()))  # the same draws
    assert torch.equal(after[1], before[1])


@given(draw=generators(), net=st.sampled_from([TWO, THREE]))
def test_matched_noise_is_the_same_network_relabelled(draw, net):
    """Pairs move with both of their units: a relabelled copy of the noise is matched to the very same points."""
    tokens = exact(net.tokens)
    x1 = torch.randn(3, tokens.dim, generator=draw).double()
    x0 = torch.randn(3, tokens.dim, generator=draw).double()
    copy = tokens.encode_rows(net.relabelled(tokens.decode_rows(x0), draw))
    one, other = (tokens.match_units(x, x1) for x in (x0, copy))
    assert torch.allclose(one, other, atol=1e-4)


@given(draw=generators())
def test_matched_networks_are_the_nearest_pairing_of_the_batch(draw):
    x0, x1 = (torch.randn(4, 6, generator=draw) for _ in range(2))
    found = float((match_networks(x0, x1) - x1).square().sum())
    best = min(float((x0[list(p)] - x1).square().sum()) for p in orders(range(4)))
    assert found == pytest.approx(best, rel=1e-4)
