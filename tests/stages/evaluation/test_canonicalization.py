"""Canonicalization's worth on networks small enough to know the answer."""

import pytest
import torch

from stages.canonical.alignment import Alignment
from stages.evaluation import worth
from stages.store.layout import Layout
from stages.symmetry.table import Axis, Group, Symmetry

LAYOUT = Layout.of({"up": torch.zeros(3, 2), "down": torch.zeros(1, 3)})
TABLE = Symmetry({"hidden": Group(3, (Axis("up", 0, 1), Axis("down", 1, -1)))})


def computed(rows: torch.Tensor) -> torch.Tensor:
    """What linear networks compute of one input: unchanged by any relabelling or rescaling of hidden units."""
    weights = LAYOUT.unflatten(rows.double())
    return (weights["down"] @ weights["up"]).sum((1, 2))


def drawn(count: int = 4) -> torch.Tensor:
    return torch.randn(count, LAYOUT.parameters, generator=torch.Generator().manual_seed(0))


def test_a_true_symmetry_changes_no_score_and_all_comes_back_bit_for_bit():
    moves = Alignment({"hidden": torch.tensor([[2, 0, 1], [1, 0, 2]])}, {})
    found = worth.kept(drawn(2), [0, 1], moves, TABLE, LAYOUT, computed)
    assert found["score_before"] == pytest.approx(found["score_after"], abs=1e-12)
    assert found["score_undone"] == found["score_before"]
    assert found["largest_change"] < 1e-12
    assert found["bit_exact"] is True


def test_half_a_symmetry_is_seen_in_the_scores():
    half = Symmetry({"hidden": Group(3, (Axis("up", 0, 1),))})
    found = worth.kept(
        drawn(2), [0, 1], Alignment({"hidden": torch.tensor([[2, 0, 1], [1, 0, 2]])}, {}), half, LAYOUT, computed
    )
    assert found["largest_change"] > 0.1


def test_rescaled_members_come_back_to_round_off_only():
    scales = torch.tensor([[1.1, 0.3, 7.0], [0.9, 3.3, 0.7]])
    moves = Alignment({"hidden": torch.tensor([[2, 0, 1], [1, 0, 2]])}, {"hidden": scales})
    found = worth.kept(drawn(2), [0, 1], moves, TABLE, LAYOUT, computed)
    assert found["largest_change"] < 1e-5
    assert found["bit_exact"] is False


def test_a_flat_spectrum_has_full_rank_and_a_single_direction_rank_one():
    assert worth.flatness(torch.ones(6)) == {"ev0_over_median": 1.0, "effective_rank": pytest.approx(6), "k": 6}
    assert worth.flatness(torch.tensor([4.0, 1e-9, 1e-9]))["effective_rank"] == pytest.approx(1, abs=1e-6)


def test_a_round_trip_is_the_projection_onto_the_leading_components():
    members, others = drawn(6), drawn(9)[6:]
    mean = members.mean(0)
    _, _, v = torch.linalg.svd((members - mean).double(), full_matrices=False)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return (rows - others).double().square().sum(1)

    found = worth.round_trip(members, others, (1, 3, 5, 9), loss)
    assert list(found) == [1, 3, 5], "six members have five components"
    for k, value in found.items():
        centred = (others - mean).double()
        left = centred - centred @ v[:k].T @ v[:k]
        assert value == pytest.approx(float(left.square().sum(1).mean()), rel=1e-4)


def test_members_themselves_come_back_from_all_their_components():
    members = drawn(6)
    found = worth.round_trip(members, members, (5,), lambda rows: (rows - members).abs().amax(1))
    assert found[5] < 1e-4
