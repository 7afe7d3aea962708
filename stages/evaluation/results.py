"""Results of a set of networks on the test data, computed block by block so that no set's outputs are held at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from stages.evaluation.outliers import energy, outlier_quantities
from stages.scores import spearman

Logits = Float[Tensor, "networks examples classes"]
Mistakes = Bool[Tensor, "networks examples"]
Quantities = dict[str, Tensor]
BINS = 15
"""Bins of equal width for the calibration error, as is usual."""
SKETCH_EXAMPLES, LARGEST = 200, 1e4
"""Test examples whose outputs are kept of every network, for two-sample tests; larger outputs count as this."""


@dataclass(frozen=True)
class Results:
    """Per network its score, its loss, its error on every example, and its outputs on the first few examples.

    `errors` are 0 and 1 for classes, absolute errors in a regression. `ensemble_score` is of all networks averaged,
    `ensemble_curve` of groups by their size. `further` are more quantities per network; `per_class` accuracies, None in
    a regression.
    """

    scores: Float[Tensor, " networks"]
    losses: Float[Tensor, " networks"]
    errors: Shaped[Tensor, "networks examples"]
    sketch: Float[Tensor, "networks outputs"]
    ensemble_score: float
    further: Quantities = field(default_factory=dict)
    per_class: Float[Tensor, "networks classes"] | None = None
    ensemble_curve: dict[str, list[float]] = field(default_factory=dict)


def results_of(blocks: Iterable[Tensor], targets: Tensor, ensemble_sizes: Sequence[int] = ()) -> Results:
    """The results of networks whose outputs [networks, examples, ...] come in blocks; overflow counts as large.

    Classifiers' outputs after those of the targets' examples are of outliers, which ensembles are to tell from these.
    """
    regression, known = targets.is_floating_point(), len(targets)
    judge = regression_quantities if regression else class_quantities
    ensembles = Ensembles(ensemble_sizes, partial(ensemble_quantities, targets=targets))
    detectors = Ensembles(ensemble_sizes, partial(outlier_quantities, known=known))
    parts, total = [], torch.zeros(())
    for outputs in map(torch.nan_to_num, blocks):
        block = outputs[:, :known]
        if outputs.shape[1] > known:
            detectors.add(energy(outputs))
        predictions = block if regression else block.log_softmax(-1)
        sketch = block[:, :SKETCH_EXAMPLES].flatten(1).clamp(-LARGEST, LARGEST)
        parts.append(judge(predictions, targets) | {"sketch": sketch})
        votes = predictions if regression else predictions.exp()
        ensembles.add(votes)
        total = total + votes.sum(0)
    quantities = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    basic = {name: quantities.pop(name) for name in ("scores", "losses", "errors", "sketch")}
    ensemble = ensemble_quantities(total[None] / len(basic["scores"]), targets)
    return Results(
        **basic,
        ensemble_score=float(ensemble["score"]),
        per_class=quantities.pop("per_class", None),
        further=quantities,
        ensemble_curve=detectors.curve() | ensembles.curve(),
    )


@dataclass
class Ensembles:
    """Takes networks a few at a time and judges the mean prediction of every `size` networks in a row, for each size.

    Predictions are probabilities, or predicted numbers; `judge` gives quantities [groups] of mean predictions [groups,
    examples, ...]. A group that isn't full is not judged.
    """

    sizes: Sequence[int]
    judge: Callable[[Tensor], dict[str, Tensor]]
    seen: int = 0
    totals: dict[int, Tensor] = field(default_factory=dict)
    judged: dict[int, list[dict[str, float]]] = field(default_factory=dict)

    def add(self, predictions: Tensor) -> None:
        """Predictions [networks, examples, ...] of the next networks."""
        for size in self.sizes:
            if full := list(self._full_groups(size, predictions)):
                quantities = {name: values.tolist() for name, values in self.judge(torch.stack(full)).items()}
                groups = [dict(zip(quantities, row, strict=True)) for row in zip(*quantities.values(), strict=True)]
                self.judged.setdefault(size, []).extend(groups)
        self.seen += len(predictions)

    def _full_groups(self, size: int, predictions: Tensor) -> Iterator[Tensor]:
        """Mean predictions of the groups that these networks complete."""
        for seen, prediction in enumerate(predictions, self.seen + 1):
            total = self.totals.pop(size, torch.zeros(())) + prediction
            if seen % size:
                self.totals[size] = total
            else:
                yield total / size

    def curve(self) -> dict[str, list[float]]:
        """`sizes`, and each quantity at that size: the mean over the groups."""
        names = next(iter(self.judged.values()))[0] if self.judged else {}
        means = {n: [sum(group[n] for group in groups) / len(groups) for groups in self.judged.values()] for n in names}
        return {"sizes": list(self.judged), **means}


def class_quantities(log_probabilities: Logits, targets: Int[Tensor, " examples"]) -> Quantities:
    """Of classifiers: accuracy, cross-entropy in nats, mistakes, calibration error, accuracy by class."""
    wrong = log_probabilities.argmax(-1) != targets
    chosen = targets.expand(len(log_probabilities), -1).unsqueeze(-1)
    return {
        "scores": 1 - wrong.double().mean(1),
        "losses": -log_probabilities.gather(-1, chosen).squeeze(-1).double().mean(1),
        "errors": wrong,
        "ece": calibration_error(log_probabilities.amax(-1).exp(), wrong),
        "per_class": class_accuracy(wrong, targets, log_probabilities.shape[-1]),
    }


def regression_quantities(
    predictions: Float[Tensor, "networks examples"], targets: Float[Tensor, " examples"]
) -> Quantities:
    """Of regressors: Spearman's correlation, mean squared error, absolute errors, their mean, and R² unless all
    targets are the same.
    """
    variance = targets.double().var(correction=0)
    errors = (predictions - targets).abs()
    squares = errors.double().square().mean(1)
    return {
        "scores": spearman(predictions, targets),
        "losses": squares,
        "errors": errors,
        "mae": errors.double().mean(1),
        **({"r2": 1 - squares / variance} if variance > 0 else {}),
    }


def ensemble_quantities(votes: Tensor, targets: Tensor) -> Quantities:
    """Of ensembles, from their mean predictions [ensembles, examples, ...]."""
    if targets.is_floating_point():
        quantities = regression_quantities(votes, targets)
        return {"score": quantities["scores"], "loss": quantities["losses"]}
    quantities = class_quantities(votes.clamp_min(1e-30).log(), targets)
    named = {"score": quantities["scores"], "loss": quantities["losses"], "ece": quantities["ece"]}
    return named | {"brier": brier_score(votes, targets)}


def brier_score(
    probabilities: Float[Tensor, "networks examples classes"], targets: Int[Tensor, " examples"]
) -> Float[Tensor, " networks"]:
    """Squared distance of probabilities to the true class's 1 and the others' 0, mean over examples; in [0, 2].

    Source: Brier, Monthly Weather Review 78, 1950, who sums over all classes.
    """
    truth = torch.nn.functional.one_hot(targets, probabilities.shape[-1])
    return (probabilities.double() - truth).square().sum(-1).mean(-1)


def class_accuracy(mistakes: Mistakes, targets: Int[Tensor, " examples"], classes: int) -> Float[Tensor, "_ classes"]:
    """Accuracy of every network on the examples of each class; nan for a class that no example has."""
    of_class = torch.nn.functional.one_hot(targets, classes).double()
    return (~mistakes).double() @ of_class / of_class.sum(0)


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
