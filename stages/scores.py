"""Scores and losses of networks: accuracy and cross-entropy of classes, rank correlation and squared error of numbers.

The targets' type says which: integers are classes, floats are numbers to predict.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor


def score_name(targets: Tensor) -> Literal["accuracy", "spearman"]:
    """`accuracy` for classes, `spearman` for numbers; 1 is perfect for both."""
    return "spearman" if targets.is_floating_point() else "accuracy"


def chance(targets: Tensor) -> float:
    """The score of guessing the most frequent class; 0 for numbers to predict."""
    return 0.0 if targets.is_floating_point() else float(targets.bincount().max() / len(targets))


def score_and_loss(blocks: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Score and mean loss [networks] from blocks of (outputs [networks, examples, ...], targets [examples])."""
    correct = losses = torch.zeros(())
    examples, predictions, numbers = 0, [], []
    for outputs, targets in blocks:
        examples += len(targets)
        if targets.is_floating_point():
            predictions.append(outputs)
            numbers.append(targets)
            losses = losses + (outputs - targets).square().sum(1)
        else:
            correct = correct + (outputs.argmax(-1) == targets).sum(1)
            classes = targets.expand(len(outputs), -1).unsqueeze(-1)
            losses = losses - outputs.log_softmax(-1).gather(-1, classes).sum((1, 2))
    if predictions:
        return spearman(torch.cat(predictions, 1), torch.cat(numbers)).float(), losses / examples
    return correct / examples, losses / examples


def spearman(
    predictions: Float[Tensor, "networks examples"], targets: Float[Tensor, " examples"]
) -> Float[Tensor, " networks"]:
    """Spearman's rank correlation of every network, in [-1, 1]; ties have their mean rank.

    0 where it isn't defined: predictions that are all equal, or NaN.
    """
    from scipy.stats import rankdata  # slow to import, and only numbers need it

    a, b = (torch.from_numpy(rankdata(values.cpu().numpy(), axis=1)) for values in (predictions, targets[None]))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    correlation = (a * b).sum(1) / (a.norm(dim=1) * b.norm()).clamp_min(1e-12)
    return correlation.nan_to_num(0.0).to(predictions.device)
