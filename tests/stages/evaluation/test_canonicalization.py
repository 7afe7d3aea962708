"""Effects of canonicalization on networks small enough to know the answer."""

import pytest
import torch

from stages.canonical.alignment import Alignment
from stages.evaluation.canonicalization import flatness, round_trip_scores, scores_before_after
from stages.evaluation.figure_parts import Flatness
from stages.store.layout import Layout
from stages.symmetry.table import Axis, Group, Symmetry

LAYOUT = Layout.of({"up": torch.zeros(3, 2), "down": torch.zeros(1, 3)})
TABLE = Symmetry({"hidden": Group(3, (Axis("up", 0, 1), Axis("down", 1, -1)))})


def outputs(rows: torch.Tensor) -> torch.Tensor:
    """Outputs of linear networks for one input: unchanged by any relabelling or rescaling of hidden units."""
    weights = LAYOUT.unflatten(rows.double())
    return (weights["down"] @ weights["up"]).sum((1, 2))


def random_rows(count: int = 4) -> torch.Tensor:
    return torch.randn(count, LAYOUT.size, generator=torch.Generator().manual_seed(0))


def test_a_true_symmetry_changes_no_score_and_all_comes_back_bit_for_bit():
    moves = Alignment({"hidden": torch.tensor([[2, 0, 1], [1, 0, 2]])}, {})
    effects = scores_before_after(random_rows(2), [0, 1], moves, TABLE, LAYOUT, outputs)
    assert effects["score_before"] == pytest.approx(effects["score_after"], abs=1e-12)
    assert effects["score_undone"] == effects["score_before"]
    assert effects["largest_change"] < 1e-12
    assert effects["bit_exact"] is True


def test_half_a_symmetry_is_seen_in_the_scores():
    half = Symmetry({"hidden": Group(3, (Axis("up", 0, 1),))})
    effects = scores_before_after(
        random_rows(2), [0, 1], Alignment({"hidden": torch.tensor([[2, 0, 1], [1, 0, 2]])}, {}), half, LAYOUT, outputs
    )
    assert effects["largest_change"] > 0.1


def test_rescaled_members_come_back_to_round_off_only():
    scales = torch.tensor([[1.1, 0.3, 7.0], [0.9, 3.3, 0.7]])
    moves = Alignment({"hidden": torch.tensor([[2, 0, 1], [1, 0, 2]])}, {"hidden": scales})
    effects = scores_before_after(random_rows(2), [0, 1], moves, TABLE, LAYOUT, outputs)
    assert effects["largest_change"] < 1e-5
    assert effects["bit_exact"] is False


def test_a_flat_spectrum_has_full_rank_and_a_single_direction_rank_one():
    flat = flatness(torch.ones(6))
    assert flat == Flatness(ev0_over_median=1.0, effective_rank=flat.effective_rank, k=6)
    assert flat.effective_rank == pytest.approx(6)
    assert flatness(torch.tensor([4.0, 1e-9, 1e-9])).effective_rank == pytest.approx(1, abs=1e-6)


def test_a_round_trip_is_the_projection_onto_the_leading_components():
    members, others = random_rows(6), random_rows(9)[6:]
    mean = members.mean(0)
    _, _, v = torch.linalg.svd((members - mean).double(), full_matrices=False)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return (rows - others).double().square().sum(1)

    by_size = round_trip_scores(members, others, (1, 3, 5, 9), loss)
    assert list(by_size) == [1, 3, 5], "six members have five components"
    for k, value in by_size.items():
        centred = (others - mean).double()
        left = centred - centred @ v[:k].T @ v[:k]
        assert value == pytest.approx(float(left.square().sum(1).mean()), rel=1e-4)


def test_members_themselves_come_back_from_all_their_components():
    members = random_rows(6)
    by_size = round_trip_scores(members, members, (5,), lambda rows: (rows - members).abs().amax(1))
    assert by_size[5] < 1e-4
