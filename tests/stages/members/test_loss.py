"""The training loss, against torch's own."""

import pytest
import torch
from torch.nn import functional as F

from stages.members.loop import loss


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_losses_are_summed_over_members_of_means_over_the_batch():
    logits, targets = draws(2, 5, 3), torch.tensor([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])
    expected = sum(F.cross_entropy(a, b, label_smoothing=0.1) for a, b in zip(logits, targets, strict=True))
    assert float(loss(logits, targets, 0.1)) == pytest.approx(float(expected))
    predictions, numbers = draws(2, 5), draws(2, 5, seed=1)
    expected = (predictions - numbers).square().mean(1).sum()
    assert float(loss(predictions, numbers)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("classes", [3, 10, 15, 40])
def test_losses_and_gradients_are_those_of_plain_cross_entropy(classes, smoothing):
    """Any number of examples, of few classes and of many; gradients are laid out as outputs are."""
    outputs, targets = 3 * draws(5, 7, classes), draws(5, 7).argsort(0) % classes
    ours, theirs = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    contiguous, logits = [], ours * 1  # a leaf's own gradient is laid out as the leaf is, whatever comes
    logits.register_hook(lambda grad: contiguous.append(grad.is_contiguous()))
    total = loss(logits, targets, smoothing)
    each = [F.cross_entropy(o, t, label_smoothing=smoothing) for o, t in zip(theirs, targets, strict=True)]
    expected = torch.stack(each).sum()
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    total.backward()
    expected.backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-5, atol=1e-7)
    assert contiguous == [True]
