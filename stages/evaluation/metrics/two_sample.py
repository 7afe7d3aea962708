"""Two-sample tests against held-out members: by a classifier, and by a kernel."""

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stages.columns import RATIO, Column
from stages.evaluation.figure_parts import Part
from stages.evaluation.metric import metric
from stages.evaluation.network_set import NetworkSet

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

First = Float[Tensor, "n features"]
Second = Float[Tensor, "m features"]
FOLDS, REPEATS = 5, 5
WIDTH = 2.2414
"""Standard errors either side of an AUC: 97.5 % of a normal distribution."""
RIDGE = 1.0
"""Penalty on the classifier's weights, in units of the mean squared length of a network's features."""
DIRECTIONS = 10
"""Leading principal components that outputs are reduced to before they are tested."""
WEIGHT_DIRECTIONS = 50
"""The same for weights, at most; and no more than half as many as there are networks."""
COLUMNS = 2**18
"""Features whose products are taken at once."""
PERMUTATIONS = 500
LARGEST = 500
"""Networks, at most, of each set."""


class Separability(Part):
    """Cross-validated AUC of a classifier that separates two samples, with an interval; 0.5 is chance."""

    auc: float
    """Cross-validated area under the ROC curve."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end."""


class Discrepancy(Part):
    """Maximum mean discrepancy between two samples."""

    value: float
    """Squared, unbiased."""
    p: float
    """Share of relabellings of the two samples that reach it."""


class TwoSample(Part):
    """Tests of one set of networks against the held-out members."""

    weights: Separability
    """A classifier's, by weights."""
    mmd: Discrepancy
    """A kernel's, by weights."""
    outputs: Separability | None = None
    """A classifier's, by outputs; None without test data."""


@metric(
    column=Column(160, RATIO, "distribution", brief=True),
    scalar=lambda tests: (tests.outputs or tests.weights).auc,
)
def two_sample(networks: NetworkSet) -> TwoSample | None:
    """AUC: of a classifier that is to tell the set from held-out members by outputs, else by weights; 0.5 is chance.

    Along directions that favour neither set: the members' own components are fitted to them, and would separate them.
    """
    heldout = networks.reference.heldout
    if heldout is None or networks.role not in ("members", "generated"):
        return None
    rows, results = heldout
    units = networks.reference.distance.units
    first, second = networks.rows[:LARGEST] / units, rows[:LARGEST] / units
    directions = max(1, min(WEIGHT_DIRECTIONS, min(len(first), len(second)) // 2))
    weights = leading(first, second, directions)
    by_weights, outputs = separability(*weights), None
    if networks.results and results:
        outputs = separability(*leading(networks.results.sketch, results.sketch))
    return TwoSample(weights=by_weights, mmd=mmd(*weights), outputs=outputs) if by_weights else None


def separability(first: First, second: Second, seed: int = 0) -> Separability | None:
    """Classifier two-sample test: cross-validated AUC of separating `first` from `second`, with an interval.

    Ridge regression of the labels on standardized features and their squares (a changed spread is a difference, too);
    the mean AUC over 5 stratified folds, 5 times; Hanley and McNeil's interval, at 97.5 %: two such tests together are
    right in 95 % of cases. 0.5 is chance. None for fewer than two networks a side. Source: Lopez-Paz and Oquab, arXiv
    1610.06545.
    """
    # slow to import, and a report reads this module's columns alone
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score

    first, second = first[:LARGEST], second[:LARGEST]
    folds = min(FOLDS, len(first), len(second))
    if folds < 2:
        return None
    features = torch.cat([first, second]).double().numpy()
    labels = np.arange(len(features)) < len(first)
    splits = RepeatedStratifiedKFold(n_splits=folds, n_repeats=REPEATS, random_state=seed)
    value = float(
        cross_val_score(_classifier(features.shape[1]), features, labels, scoring="roc_auc", cv=splits).mean()
    )
    margin = WIDTH * auc_error(value, len(first), len(second))
    return Separability(auc=value, low=max(0.0, value - margin), high=min(1.0, value + margin))


def _classifier(features: int) -> "Pipeline":
    """Twice as many inputs as `features`, each of unit variance, so that this is a network's mean squared length."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    ridge = RidgeClassifier(alpha=RIDGE * 2 * features)
    return make_pipeline(StandardScaler(), FunctionTransformer(_with_squares), StandardScaler(), ridge)


def _with_squares(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features, features**2], axis=1)


def auc_error(auc: float, n: int, m: int) -> float:
    """Standard error of an AUC from n and m cases (Hanley and McNeil, Radiology 143, 1982)."""
    a, b = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    return sqrt(max(0.0, auc * (1 - auc) + (n - 1) * (a - auc**2) + (m - 1) * (b - auc**2)) / (n * m))


def leading(first: First, second: Second, directions: int = DIRECTIONS) -> tuple[Tensor, Tensor]:
    """Both sets' coordinates along the leading principal components of the two together, which favour neither."""
    both = torch.cat([first, second])
    centred = both - both.mean(0)
    gram = sum((part.double() @ part.double().T for part in centred.split(COLUMNS, dim=1)), torch.zeros(()))
    values, vectors = torch.linalg.eigh(gram)
    coordinates = (vectors * values.clamp_min(0).sqrt()).flip(1)[:, :directions]
    return coordinates[: len(first)], coordinates[len(first) :]


def mmd(first: First, second: Second, seed: int = 0, permutations: int = PERMUTATIONS) -> Discrepancy:
    """Unbiased squared maximum mean discrepancy, and the share of relabellings of the two sets that reach it.

    The kernel is Gaussian, its width the median distance among all. Source: Gretton et al., JMLR 13, 2012.
    """
    first, second = first[:LARGEST], second[:LARGEST]
    kernel = gaussian_kernel(torch.cat([first, second]).double())
    g, n = torch.Generator().manual_seed(seed), len(first)
    shuffled = [torch.randperm(len(kernel), generator=g) for _ in range(permutations)]
    value, *others = _discrepancies(kernel, torch.stack([torch.arange(len(kernel)), *shuffled]), n).tolist()
    reached = sum(other >= value - 1e-12 for other in others)
    return Discrepancy(value=value, p=(1 + reached) / (1 + permutations))


def gaussian_kernel(values: Float[Tensor, "n features"]) -> Float[Tensor, "n n"]:
    """exp(-d² / 2w²) with w the median of the distances d between different rows."""
    squares = torch.cdist(values, values).square()
    width = squares[~torch.eye(len(values), dtype=torch.bool)].median().clamp_min(1e-24)
    return torch.exp(-squares / (2 * width))


def _discrepancies(kernel: Tensor, orders: Tensor, n: int) -> Tensor:
    """Of the first n and the others in each order [orders, networks]; sums over parts of the kernel as products."""
    first = torch.zeros(orders.shape, dtype=kernel.dtype).scatter_(1, orders[:, :n], 1.0)
    second, m = 1 - first, len(kernel) - n
    reach, diagonal = first @ kernel, kernel.diagonal()
    among, across = (reach * first).sum(1), (reach * second).sum(1)
    rest = kernel.sum() - among - 2 * across
    pairs = [
        (total - part @ diagonal) / max(1, k * (k - 1)) for total, part, k in ((among, first, n), (rest, second, m))
    ]
    return pairs[0] + pairs[1] - 2 * across / (n * m)
