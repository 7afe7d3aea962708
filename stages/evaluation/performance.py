"""How well networks do: one small function per figure, over all networks at once."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Logits = Float[Tensor, "networks examples classes"]
Targets = Int[Tensor, " examples"]
Mistakes = Bool[Tensor, "networks examples"]
BINS = 15
"""Bins of equal width for the calibration error, as is usual."""


def wrong(logits: Logits, targets: Targets) -> Mistakes:
    """Which predictions are wrong."""
    return logits.argmax(-1) != targets


def accuracy(mistakes: Mistakes) -> Float[Tensor, " networks"]:
    """Share of right predictions."""
    return 1 - mistakes.double().mean(1)


def per_class(mistakes: Mistakes, targets: Targets, classes: int) -> Float[Tensor, "networks classes"]:
    """Share of right predictions among the examples of each class; nan for a class that no example has."""
    of_class = torch.nn.functional.one_hot(targets, classes).double()
    return (~mistakes).double() @ of_class / of_class.sum(0)


def negative_log_likelihood(log_probabilities: Logits, targets: Targets) -> Float[Tensor, " networks"]:
    """Mean cross-entropy in nats."""
    chosen = targets.expand(len(log_probabilities), -1).unsqueeze(-1)
    return -log_probabilities.gather(-1, chosen).squeeze(-1).double().mean(1)


def calibration_error(
    confidence: Float[Tensor, "networks examples"], mistakes: Mistakes, bins: int = BINS
) -> Float[Tensor, " networks"]:
    """Expected calibration error: the mean gap between confidence and accuracy, over bins of confidence.

    Confidence is a network's largest probability; bins are of equal width, weighted by the examples in them. Source:
    Guo et al., arXiv 1706.04599, equation 3.
    """
    bin_of = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gaps = torch.zeros(len(mistakes), bins, dtype=torch.float64)
    gaps.scatter_add_(1, bin_of, confidence.double() - (~mistakes).double())
    return gaps.abs().sum(1) / mistakes.shape[1]
