"""Losses and scores, against torch, scipy and counting."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr
from torch.nn import functional as F

from stages.members.task import appraise, loss, score_name
from stages.ranks import ranks, spearman


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 10_000))
def test_spearman_is_scipy_s_ties_included(seed):
    targets = draws(30, seed=seed).round(decimals=1)
    predictions = draws(3, 30, seed=seed + 1).round(decimals=1) + targets
    expected = [spearmanr(one, targets).statistic for one in predictions.numpy()]
    assert spearman(predictions, targets).tolist() == pytest.approx(expected)
    assert ranks(predictions)[0].tolist() == pytest.approx(rankdata(predictions[0]).tolist())


def test_a_constant_prediction_has_no_correlation():
    assert spearman(torch.ones(1, 5), torch.arange(5.0)).tolist() == [0.0]


def test_losses_are_summed_over_members_of_means_over_the_batch():
    logits, targets = draws(2, 5, 3), torch.tensor([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])
    expected = sum(F.cross_entropy(a, b, label_smoothing=0.1) for a, b in zip(logits, targets, strict=True))
    assert float(loss(logits, targets, 0.1)) == pytest.approx(float(expected))
    numbers, wanted = draws(2, 5), draws(2, 5, seed=1)
    assert float(loss(numbers, wanted)) == pytest.approx(float((numbers - wanted).square().mean(1).sum()), rel=1e-5)


@pytest.mark.parametrize("split", [4, 10])
def test_appraising_in_parts_changes_nothing(split):
    logits, classes = draws(3, 10, 4), torch.arange(10) % 4
    score, nats = appraise(zip(logits.split(split, 1), classes.split(split), strict=True))
    assert score.tolist() == pytest.approx((logits.argmax(-1) == classes).float().mean(1).tolist())
    assert nats.tolist() == pytest.approx([float(F.cross_entropy(one, classes)) for one in logits], rel=1e-5)
    numbers, wanted = draws(3, 10), draws(10, seed=1)
    score, squares = appraise(zip(numbers.split(split, 1), wanted.split(split), strict=True))
    assert score.tolist() == pytest.approx(spearman(numbers, wanted).tolist())
    assert squares.tolist() == pytest.approx((numbers - wanted).square().mean(1).tolist(), rel=1e-5)


def test_targets_tell_the_task():
    assert score_name(torch.tensor([1, 2])) == "accuracy"
    assert score_name(torch.tensor([1.0, 2.0])) == "spearman"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("classes", [3, 10, 15, 40])
def test_losses_and_gradients_are_those_of_plain_cross_entropy(classes, smoothing):
    """Any number of examples, of few classes and of many; gradients are laid out as outputs are."""
    outputs, targets = 3 * draws(5, 7, classes), draws(5, 7).argsort(0) % classes
    ours, theirs = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    laid_out, made = [], ours * 1  # a leaf's own gradient is laid out as the leaf is, whatever comes
    made.register_hook(lambda grad: laid_out.append(grad.is_contiguous()))
    found = loss(made, targets, smoothing)
    each = [F.cross_entropy(o, t, label_smoothing=smoothing) for o, t in zip(theirs, targets, strict=True)]
    expected = torch.stack(each).sum()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    found.backward()
    expected.backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-5, atol=1e-7)
    assert laid_out == [True]
