"""How well networks do: one small function per figure, over all networks at once."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

Logits = Float[Tensor, "networks examples classes"]
Targets = Int[Tensor, " examples"]


def wrong(logits: Logits, targets: Targets) -> Bool[Tensor, "networks examples"]:
    """Which predictions are wrong."""
    return logits.argmax(-1) != targets


def accuracy(mistakes: Bool[Tensor, "networks examples"]) -> Float[Tensor, " networks"]:
    """Share of right predictions."""
    return 1 - mistakes.double().mean(1)


def negative_log_likelihood(logits: Logits, targets: Targets) -> Float[Tensor, " networks"]:
    """Mean cross-entropy in nats."""
    chosen = targets.expand(len(logits), -1).unsqueeze(-1)
    return -logits.double().log_softmax(-1).gather(-1, chosen).squeeze(-1).mean(1)
