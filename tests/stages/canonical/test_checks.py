"""Checks of a canonical form: outputs are kept; distances and barriers are what they are said to be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import mlp_symmetry, random_rows
from torch import nn

from stages.canonical.checks import Spread, barriers, culprit, losses, output_gaps
from stages.datasets import Train, Validation
from stages.nets.registry import build
from stages.params.network import MLP
from stages.store.layout import Layout
from stages.symmetry.element import Element
from stages.symmetry.table import Group, Symmetry

NETWORK = MLP(widths=(4, 6, 3))
LAYOUT, ROWS = random_rows(NETWORK, 5)
MODULE = build(NETWORK)
TABLE = mlp_symmetry(NETWORK)
INPUTS = torch.randn(40, 4)
DATA = Train(INPUTS, torch.randint(3, (40,))), Validation(torch.randn(30, 4), torch.randint(3, (30,)))


def relabelled(row: torch.Tensor, table: Symmetry = TABLE) -> torch.Tensor:
    element = {name: torch.arange(group.size).roll(1) for name, group in TABLE.groups.items()}
    return LAYOUT.flatten(table.act(element, LAYOUT.unflatten(row)))


def test_a_relabelling_leaves_no_gap_and_half_of_one_does():
    whole = torch.stack([relabelled(row) for row in ROWS])
    group = TABLE.groups["hidden1"]
    half = torch.stack([relabelled(row, Symmetry({"hidden1": Group(6, group.axes[:1])})) for row in ROWS])
    assert float(output_gaps(MODULE, LAYOUT, ROWS, whole, INPUTS).max()) < 1e-12
    assert float(output_gaps(MODULE, LAYOUT, ROWS, half, INPUTS).min()) > 1e-3


def test_outputs_that_stop_or_begin_to_be_defined_are_a_gap():
    layout, module = Layout.of({"weight": torch.zeros(2, 2)}), nn.Linear(2, 2, bias=False)
    rows = torch.tensor([[torch.nan, 0, 0, 2], [1, 0, 0, 2], [torch.inf, 0, 0, 2]])
    inputs = torch.tensor([[1.0, 0.5]])
    assert output_gaps(module, layout, rows, rows, inputs).tolist() == [0, 0, 0]
    for i, j in [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2)]:
        assert output_gaps(module, layout, rows[[i]], rows[[j]], inputs).tolist() == [torch.inf]


def test_gaps_are_relative_to_the_largest_output():
    layout, module = Layout.of({"weight": torch.zeros(2, 2)}), nn.Linear(2, 2, bias=False)
    before, after = torch.tensor([[4.0, 0, 0, 2]]), torch.tensor([[4.0, 0, 0, 3]])
    assert output_gaps(module, layout, before, after, torch.eye(2)).tolist() == [0.25]


def test_the_group_that_breaks_the_function_is_named_with_its_tensors():
    wrong = Symmetry({"hidden1": Group(6, TABLE.groups["hidden1"].axes[:2])})
    element = Element({"hidden1": torch.arange(6).roll(1)})
    assert (
        culprit(MODULE, LAYOUT, ROWS[0], wrong, element, INPUTS, 1e-9)
        == "group 'hidden1' (1.weight axis 0, 1.bias axis 0)"
    )
    assert culprit(MODULE, LAYOUT, ROWS[0], TABLE, element, INPUTS, 1e-9) == "the rescaling"


@given(count=st.integers(1, 6), cut=st.integers(0, 6))
def test_the_spread_is_the_root_mean_square_distance_of_all_pairs(count, cut):
    rows, spread = torch.randn(count, 7) + 5, Spread()
    for part in (rows[:cut], rows[cut:]):
        if len(part):
            spread.add(part)
    expected = float(torch.pdist(rows.double()).square().mean().sqrt()) if count > 1 else 0.0
    assert spread.distance == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_between_linear_models_there_is_no_barrier():
    """Their loss is convex in the weights (Jensen), strictly lower half way between different ones."""
    network = MLP(widths=(4, 3))
    layout, rows = random_rows(network, 6)
    assert float(barriers(build(network), layout, rows[1:], rows[0], *DATA).max()) < 0


def test_a_network_has_no_barrier_to_itself_and_one_to_its_relabelled_copy():
    itself, copy = ROWS[:1], relabelled(ROWS[0])[None]
    assert float(barriers(MODULE, LAYOUT, itself, ROWS[0], *DATA).abs()) < 1e-6
    assert float(barriers(MODULE, LAYOUT, copy, ROWS[0], *DATA).abs()) > 0.01
    assert torch.allclose(losses(MODULE, LAYOUT, itself, *DATA), losses(MODULE, LAYOUT, copy, *DATA), atol=1e-5)


def test_losses_of_numbers_are_squared_errors():
    layout, rows = random_rows(MLP(widths=(4, 3)), 1)
    module = nn.Sequential(build(MLP(widths=(4, 3))), nn.Flatten(0))
    train = Train(INPUTS, torch.zeros(120))
    layout = Layout.of({f"0.{name}": t for name, t in layout.unflatten(rows[0]).items()})
    weights = layout.unflatten(rows[0])
    expected = float((INPUTS @ weights["0.1.weight"].T + weights["0.1.bias"]).square().mean())
    validation = Validation(INPUTS, torch.zeros(120))
    assert float(losses(module, layout, rows, train, validation)) == pytest.approx(expected, rel=1e-5)
