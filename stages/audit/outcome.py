"""What a set of networks does on the test data, block by block, so that no set's outputs are held at once."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from stages.audit import performance
from stages.ranks import spearman


@dataclass(frozen=True)
class Outcome:
    """Per network its score, its loss, and how far off it is on every example; and the score of all together.

    `errors` are 0 and 1 for classes, absolute errors for numbers. `further` are more figures per network.
    """

    scores: Float[Tensor, " networks"]
    losses: Float[Tensor, " networks"]
    errors: Shaped[Tensor, "networks examples"]
    ensemble: float
    further: dict[str, Tensor]


def outcome(blocks: Iterable[Tensor], targets: Tensor) -> Outcome:
    """The outcome of networks whose outputs [networks, examples, ...] come in blocks; what overflowed counts as large."""
    judge = _numbers if targets.is_floating_point() else _classes
    parts, votes, networks = [], torch.zeros(()), 0
    for block in blocks:
        part, vote = judge(torch.nan_to_num(block), targets)
        parts.append(part)
        votes, networks = votes + vote, networks + len(block)
    together = judge((votes / networks)[None], targets)[0].scores
    further = {name: torch.cat([p.further[name] for p in parts]) for name in parts[0].further}
    stacked = [torch.cat([getattr(p, name) for p in parts]) for name in ("scores", "losses", "errors")]
    return Outcome(*stacked, ensemble=float(together), further=further)


def _classes(logits: Tensor, targets: Tensor) -> tuple[Outcome, Tensor]:
    """Of classifiers, and the sum of their predicted probabilities."""
    wrong = performance.wrong(logits, targets)
    loss = performance.negative_log_likelihood(logits, targets)
    return Outcome(performance.accuracy(wrong), loss, wrong, 0.0, {}), logits.softmax(-1).sum(0)


def _numbers(predictions: Tensor, targets: Tensor) -> tuple[Outcome, Tensor]:
    """Of regressors, and the sum of their predictions."""
    errors = (predictions - targets).abs()
    squares = errors.double().square().mean(1)
    r2 = 1 - squares / targets.double().var(correction=0)
    scores = spearman(predictions, targets)
    return Outcome(scores, squares, errors, 0.0, {"r2": r2, "mae": errors.double().mean(1)}), predictions.sum(0)
