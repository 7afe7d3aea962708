"""Scores and losses, against torch, scipy and counting."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch.nn import functional as F

from stages.scores import score_and_loss, score_name, spearman


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 10_000))
def test_spearman_is_scipy_s_ties_included(seed):
    targets = draws(30, seed=seed).round(decimals=1)
    predictions = draws(3, 30, seed=seed + 1).round(decimals=1) + targets
    expected = [spearmanr(row, targets).statistic for row in predictions.numpy()]
    assert spearman(predictions, targets).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("constant", [1.0, float("nan"), float("inf")])
def test_a_constant_prediction_has_no_correlation(constant):
    predictions = torch.stack([torch.full((5,), constant), torch.arange(5.0)])
    assert spearman(predictions, torch.arange(5.0)).tolist() == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize("split", [4, 10])
def test_scoring_in_blocks_changes_nothing(split):
    logits, classes = draws(3, 10, 4), torch.arange(10) % 4
    score, nats = score_and_loss(zip(logits.split(split, 1), classes.split(split), strict=True))
    assert score.tolist() == pytest.approx((logits.argmax(-1) == classes).float().mean(1).tolist())
    assert nats.tolist() == pytest.approx([float(F.cross_entropy(row, classes)) for row in logits], rel=1e-5)
    numbers, targets = draws(3, 10), draws(10, seed=1)
    score, squares = score_and_loss(zip(numbers.split(split, 1), targets.split(split), strict=True))
    assert score.tolist() == pytest.approx(spearman(numbers, targets).tolist())
    assert squares.tolist() == pytest.approx((numbers - targets).square().mean(1).tolist(), rel=1e-5)


def test_targets_say_which_score():
    assert score_name(torch.tensor([1, 2])) == "accuracy"
    assert score_name(torch.tensor([1.0, 2.0])) == "spearman"
