"""What a set of networks does on the test data, block by block, so that no set's outputs are held at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from stages.evaluation import performance
from stages.evaluation.ensemble import Ensembles
from stages.ranks import spearman

SKETCHED, LARGEST = 200, 1e4
"""Test examples whose outputs are kept of every network, for tests of two samples; larger outputs count as this."""


@dataclass(frozen=True)
class Outcome:
    """Per network its score, its loss, how far off it is on every example, and its outputs on the first few.

    `errors` are 0 and 1 for classes, absolute errors for numbers. `ensemble` is the score of all together, `curve` of
    groups by their size. `further` are more figures per network; `per_class` are accuracies, None where there are none.
    """

    scores: Float[Tensor, " networks"]
    losses: Float[Tensor, " networks"]
    errors: Shaped[Tensor, "networks examples"]
    sketch: Float[Tensor, "networks outputs"]
    ensemble: float
    further: dict[str, Tensor] = field(default_factory=dict)
    per_class: Float[Tensor, "networks classes"] | None = None
    curve: dict[str, list[float]] = field(default_factory=dict)


Figures = dict[str, Tensor]


def outcome(blocks: Iterable[Tensor], targets: Tensor, sizes: Sequence[int] = ()) -> Outcome:
    """The outcome of networks whose outputs [networks, examples, ...] come in blocks; what overflowed counts as large.

    `sizes` are those of the ensembles to be judged.
    """
    numbers = targets.is_floating_point()
    judge = _numbers if numbers else _classes
    groups, parts, total = Ensembles(sizes, partial(_together, targets=targets)), [], torch.zeros(())
    for block in map(torch.nan_to_num, blocks):
        told = block if numbers else block.log_softmax(-1)
        parts.append(judge(told, targets) | {"sketch": block[:, :SKETCHED].flatten(1).clamp(-LARGEST, LARGEST)})
        votes = told if numbers else told.exp()
        groups.add(votes)
        total = total + votes.sum(0)
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    own = {name: found.pop(name) for name in ("scores", "losses", "errors", "sketch")}
    together = float(_together(total[None] / len(own["scores"]), targets)["score"])
    classes = found.pop("per_class", None)
    return Outcome(**own, ensemble=together, further=found, per_class=classes, curve=groups.curve())


def _classes(log_probabilities: Tensor, targets: Tensor) -> Figures:
    wrong = performance.wrong(log_probabilities, targets)
    return {
        "scores": performance.accuracy(wrong),
        "losses": performance.negative_log_likelihood(log_probabilities, targets),
        "errors": wrong,
        "ece": performance.calibration_error(log_probabilities.amax(-1).exp(), wrong),
        "per_class": performance.per_class(wrong, targets, log_probabilities.shape[-1]),
    }


def _numbers(predictions: Tensor, targets: Tensor) -> Figures:
    errors = (predictions - targets).abs()
    squares = errors.double().square().mean(1)
    return {
        "scores": spearman(predictions, targets),
        "losses": squares,
        "errors": errors,
        "r2": 1 - squares / targets.double().var(correction=0),
        "mae": errors.double().mean(1),
    }


def _together(votes: Tensor, targets: Tensor) -> Figures:
    """Of ensembles, from their mean votes [ensembles, examples, ...]."""
    if targets.is_floating_point():
        found = _numbers(votes, targets)
        return {"score": found["scores"], "loss": found["losses"]}
    found = _classes(votes.clamp_min(1e-30).log(), targets)
    return {"score": found["scores"], "loss": found["losses"], "ece": found["ece"]}
