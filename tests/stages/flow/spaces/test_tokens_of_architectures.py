"""Units and pairs of residual networks and transformers: relabelled networks have relabelled velocities there, too."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import generators

from stages.flow.spaces.tokens import Tokens, tokens_of
from stages.flow.velocity.tokens import VelocityTokens
from stages.nets.registry import build, example_input
from stages.params.network import network_from
from stages.store.layout import Layout
from stages.symmetry.derive import derive
from stages.symmetry.table import Symmetry

NETWORKS = {
    "mlp": {"kind": "mlp", "widths": [3, 4, 4, 4, 2]},
    "cnn": {"kind": "cnn", "size": 8, "channels": 1, "classes": 3, "widths": [3, 4]},
    "resnet": {"kind": "resnet", "size": 8, "channels": 1, "classes": 3, "blocks": [1, 1], "width": 2},
    "vit": {"kind": "vit", "size": 8, "channels": 1, "classes": 3, "patch": 4, "dim": 4, "depth": 1, "heads": 2},
    "bert": {"kind": "bert", "vocabulary": 5, "length": 4, "dim": 4, "depth": 1, "heads": 2, "mlp": 6},
}


@cache
def made(name: str) -> tuple[Layout, Symmetry, torch.Tensor, Tokens]:
    """A tiny network's layout, its outer groups, random members, and their tokens."""
    network = network_from(NETWORKS[name])
    modules = [build(network, seed) for seed in range(6)]
    layout = Layout.of_module(modules[0]).parameter_layout
    table = derive(modules[0], example_input(network)).symmetry.restricted_to([slot.name for slot in layout.slots])
    rows = torch.stack([layout.flatten(dict(module.named_parameters())) for module in modules])
    rows = rows.detach() + 0.1 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    sets = tokens_of(layout, table, [rows]).sets
    exact = [type(s)(s.positions, *(x.double() for x in (s.mean, s.std, s.axes, s.variance)), s.ends) for s in sets]
    return layout, table.only(list(table.children)), rows.double(), Tokens(tuple(exact))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_is_in_exactly_one_token_and_comes_back(name: str):
    layout, _, rows, tokens = made(name)
    places = torch.cat([s.positions.flatten() for s in tokens.sets])
    assert places.sort().values.tolist() == list(range(layout.size))
    assert torch.allclose(tokens.decode_rows(tokens.encode_rows(rows)), rows, atol=1e-5)


@pytest.mark.parametrize("name", ["cnn", "resnet", "vit", "bert"])
def test_units_are_channels_heads_and_streams_and_most_weights_lie_between_two(name: str):
    layout, table, _, tokens = made(name)
    units = [s for s in tokens.sets if s.ends is None]
    assert {s.positions.shape[0] for s in units} >= {group.size for group in table.groups.values()}
    assert sum(s.positions.numel() for s in tokens.sets if s.ends) > 0.4 * layout.size


@given(draw=generators(), name=st.sampled_from(sorted(NETWORKS)))
@settings(max_examples=10)
def test_relabelled_networks_have_relabelled_velocities(draw: torch.Generator, name: str):
    layout, table, _, tokens = made(name)
    torch.manual_seed(0)
    net = VelocityTokens(tokens.shapes, tokens.variance, 1.0, 0, width=8, depth=1, heads=2, pair_width=4).double()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.2 * torch.randn_like(p))
    element = table.random(draw)

    def moved(points: torch.Tensor) -> torch.Tensor:
        rows = tokens.decode_rows(points)
        return tokens.encode_rows(
            torch.stack([layout.flatten(table.act(element, layout.unflatten(row))) for row in rows])
        )

    x, t = torch.randn(2, tokens.dim, generator=draw).double(), torch.rand(2, generator=draw).double()
    with torch.no_grad():
        before, after = net(x, t), net(moved(x), t)
    assert torch.allclose(after, moved(before) - moved(torch.zeros_like(before)), atol=1e-4)
    assert not torch.allclose(after, before, atol=1e-3) or torch.equal(moved(x), x), "the control"
