"""What a data set asks of a network, told by its targets: integers are classes, floats are to be predicted."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.ranks import spearman

FEW = 16
"""Numbers in a vector of a processor; with fewer classes, losses are six times as fast by class, and the same to the bit."""
IGNORED = -100
"""The class that torch's cross-entropy leaves out."""


def score_name(targets: Tensor) -> str:
    """How good a network is: `accuracy` (classes) or `spearman` (numbers), 1 being perfect for both."""
    return "spearman" if targets.is_floating_point() else "accuracy"


def loss(outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Each member's mean over its batch, cross-entropy (nats) or squared error, summed over members.

    `outputs` are [members, batch, classes] or [members, batch], `targets` [members, batch].
    """
    if targets.is_floating_point():
        return F.mse_loss(outputs, targets, reduction="sum") / targets.shape[1]
    logits, classes = outputs.flatten(0, 1), targets.flatten()
    if logits.shape[1] < FEW:
        logits, classes = _by_class(logits, classes)
    return F.cross_entropy(logits, classes, reduction="sum", label_smoothing=smoothing) / targets.shape[1]


def _by_class(logits: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """The same as [1, classes, examples] and [1, examples], which fill a processor's vectors as short rows don't.

    Further examples, which no loss counts, fill the last vector, and gradients come back laid out as `logits` are: else
    both would be rounded in another way.
    """
    if logits.requires_grad:
        logits.register_hook(Tensor.contiguous)
    rest = -len(classes) % FEW
    return F.pad(logits.T, (0, rest))[None], F.pad(classes, (0, rest), value=IGNORED)[None]


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
