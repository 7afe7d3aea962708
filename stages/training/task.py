"""What a data set asks of a network, told by its targets: integers are classes, floats are to be predicted."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.ranks import spearman


def score_name(targets: Tensor) -> str:
    """How good a network is: `accuracy` (classes) or `spearman` (numbers), 1 being perfect for both."""
    return "spearman" if targets.is_floating_point() else "accuracy"


def loss(outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Each member's mean over its batch, cross-entropy (nats) or squared error, summed over members.

    `outputs` are [members, batch, classes] or [members, batch], `targets` [members, batch].
    """
    if targets.is_floating_point():
        return F.mse_loss(outputs, targets, reduction="sum") / targets.shape[1]
    each = F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="sum", label_smoothing=smoothing)
    return each / targets.shape[1]


def appraise(parts: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Score and mean loss of every network, from (outputs [networks, examples, ...], targets [examples]) in parts."""
    right = losses = torch.zeros(())
    examples, predicted, wanted = 0, [], []
    for outputs, targets in parts:
        examples += len(targets)
        if targets.is_floating_point():
            predicted.append(outputs)
            wanted.append(targets)
            losses = losses + (outputs - targets).square().sum(1)
        else:
            right = right + (outputs.argmax(-1) == targets).sum(1)
            chosen = targets.expand(len(outputs), -1).unsqueeze(-1)
            losses = losses - outputs.log_softmax(-1).gather(-1, chosen).sum((1, 2))
    score = spearman(torch.cat(predicted, 1), torch.cat(wanted)).float() if predicted else right / examples
    return score, losses / examples
