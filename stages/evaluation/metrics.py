"""The list of figures: each is one small function of a set of networks and the yardstick. Add one, and it is reported."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stages.evaluation import collapse, novelty
from stages.evaluation import two_sample as twosample
from stages.evaluation.aligned_distance import Nearest, Quotient
from stages.evaluation.novelty import Overlap, Own
from stages.evaluation.outcome import Outcome

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
OF_WEIGHTS_TOLD = 50
"""Directions of weights, at most, along which two sets are told apart; and no more than half as many as networks."""
SAME = 0.01
"""Networks closer than this to one another, in tau, are duplicates."""


@dataclass(frozen=True)
class Yardstick:
    """What every set is measured with: all members that the flow learned from, and what they do on the test data.

    Without data `outcome` and `bar` are None. An example counts as wrong where a network's error exceeds `tolerance`: 0 for
    classes; for numbers the members' median absolute error, so that a typical member is wrong on half of them.
    `heldout` are the networks that a perfect generator's could be taken for: their rows, and what they do.
    """

    quotient: Quotient
    encode: Callable[[Tensor], Tensor]
    margins: tuple[float, ...]
    outcome: Outcome | None = None
    bar: float | None = None
    heldout: tuple[Tensor, Outcome | None] | None = None

    @property
    def members(self) -> Float[Tensor, "members parameters"]:
        """The members' rows."""
        return self.quotient.members

    @cached_property
    def tau(self) -> float:
        """The (measured) members' own median distance to the nearest other one."""
        return float(self.quotient.own.distance.median())

    @cached_property
    def codes(self) -> Tensor:
        """The members' principal coordinates."""
        return self.encode(self.members)

    @cached_property
    def tolerance(self) -> float:
        """The largest error that isn't a mistake."""
        errors = self.outcome.errors if self.outcome else torch.zeros(1)
        return float(errors.median()) if errors.is_floating_point() else 0.0

    def mistakes(self, outcome: Outcome) -> Bool[Tensor, "networks examples"]:
        """On which examples networks are wrong."""
        return outcome.errors > self.tolerance


@dataclass(frozen=True)
class Subject:
    """One set of networks: their rows, what they do on the test data (None: there is none), and what they are to the
    members. `copied` is what they would do with the reference member's BatchNorm statistics, None where none are told.
    `found` are their distances to members, if they are known already.
    """

    role: str
    family: str | None
    rows: Float[Tensor, "networks parameters"]
    outcome: Outcome | None
    yardstick: Yardstick
    copied: Outcome | None = None
    found: Nearest | None = None

    @property
    def own(self) -> Own:
        """Where members are among all of them: they are compared with the others (leave one out)."""
        return self.yardstick.quotient.which if self.role == "members" else None

    @cached_property
    def results(self) -> Outcome:
        """The outcome, for figures that need one."""
        assert self.outcome is not None, "figures of outputs are left out without data"
        return self.outcome

    @cached_property
    def overlap(self) -> Overlap:
        """IoU of every network's mistakes with the members'."""
        y = self.yardstick
        assert y.outcome is not None
        return novelty.overlap(y.mistakes(self.results), y.mistakes(y.outcome), self.own)

    @cached_property
    def nearest(self) -> Nearest:
        """Distance to the nearest member, however the units are ordered, and which."""
        quotient = self.yardstick.quotient
        return self.found or (quotient.nearest(self.rows) if self.own is None else quotient.own)

    @cached_property
    def codes(self) -> Tensor:
        """Principal coordinates."""
        return self.yardstick.encode(self.rows)


def score(s: Subject) -> dict[str, float]:
    """Test accuracy, or Spearman's correlation with what is to be predicted."""
    return summary(s.results.scores)


def loss(s: Subject) -> dict[str, float]:
    """Test cross-entropy in nats, or mean squared error."""
    return summary(s.results.losses)


def ece(s: Subject) -> dict[str, float] | None:
    """Expected calibration error of a classifier."""
    return summary(s.results.further["ece"]) if "ece" in s.results.further else None


def per_class(s: Subject) -> list[float | None] | None:
    """Mean accuracy on each class, None for a class that has no examples."""
    if s.results.per_class is None:
        return None
    return [None if math.isnan(share) else share for share in s.results.per_class.mean(0).tolist()]


def further(s: Subject) -> dict[str, dict[str, float]]:
    """R² and mean absolute error, where numbers are predicted."""
    return {name: summary(values) for name, values in s.results.further.items() if name != "ece"}


def with_reference_statistics(s: Subject) -> dict[str, float] | None:
    """The score if BatchNorm's statistics were copied from the reference member (Table 7 of the paper)."""
    return summary(s.copied.scores) if s.copied else None


def ensemble_score(s: Subject) -> float:
    """Score of all networks together."""
    return s.results.ensemble


def ensemble_curve(s: Subject) -> dict[str, list[float]] | None:
    """Score, loss and calibration error of ensembles by their size; means over groups of that many networks."""
    return s.results.curve if s.results.curve.get("sizes") else None


def max_iou(s: Subject) -> dict[str, float]:
    """Overlap of mistakes with the most similar member."""
    return summary(s.overlap.largest)


def mean_iou(s: Subject) -> dict[str, float]:
    """Overlap of mistakes with the members, on average."""
    return summary(s.overlap.mean)


def distance(s: Subject) -> dict[str, float]:
    """L2 distance to the nearest member as the rows are, in canonical space."""
    return summary(s.nearest.as_is)


def distance_quotient(s: Subject) -> dict[str, float]:
    """L2 distance to the nearest member, the network relabelled to fit it."""
    return summary(s.nearest.distance)


def distance_normalised(s: Subject) -> dict[str, float]:
    """The same with each tensor divided by its standard deviation."""
    return summary(s.nearest.normalised)


def distance_in_tau(s: Subject) -> float:
    """Median distance, relabelled to fit, in units of tau."""
    return float(s.nearest.distance.median() / s.yardstick.tau)


def wasserstein(s: Subject) -> float:
    """Wasserstein-1 distance of the nearest-member distances from the members' own, in tau."""
    return novelty.wasserstein(s.nearest.distance, s.yardstick.quotient.own.distance) / s.yardstick.tau


def jensen_shannon(s: Subject) -> float:
    """Jensen–Shannon distance of the nearest-member distances from the members' own."""
    return novelty.jensen_shannon(s.nearest.distance, s.yardstick.quotient.own.distance)


def nearest_members_hit(s: Subject) -> int:
    """How many different members are the nearest one to some network."""
    return len(s.nearest.member.unique())


def novel_and_performant(s: Subject) -> dict[str, float]:
    """N&P@m."""
    y = s.yardstick
    assert y.bar is not None
    return novelty.novel_and_performant(s.results.scores, s.nearest.distance, y.bar, y.tau, y.margins)


def dispersion(s: Subject) -> float:
    """Spread along the principal directions over the members'."""
    return collapse.dispersion(s.codes, s.yardstick.codes)


def dispersion_by_direction(s: Subject) -> list[float] | None:
    """The same along each of the leading principal directions; baselines' are left out."""
    if s.role == "baseline":
        return None
    return collapse.dispersion_by_direction(s.codes, s.yardstick.codes)[:200].tolist()


def duplicates(s: Subject) -> int:
    """How many networks are an earlier one again."""
    return collapse.duplicates(novelty.distances(s.rows, s.rows), SAME * s.yardstick.tau)


def two_sample(s: Subject) -> dict[str, Any] | None:
    """Whether generated networks, or members, can be told from held-out members, by their weights and by their outputs.

    Along directions that favour neither set: the members' own components are fitted to them, and would tell them apart.
    """
    held = s.yardstick.heldout
    if held is None or s.role not in ("members", "generated"):
        return None
    units, most = s.yardstick.quotient.units, twosample.LARGEST
    own, others = s.rows[:most] / units, held[0][:most] / units
    few = max(1, min(OF_WEIGHTS_TOLD, min(len(own), len(others)) // 2))
    weights = twosample.leading(own, others, few)
    found = {"weights": twosample.separability(*weights), "mmd": twosample.mmd(*weights)}
    if s.outcome and held[1]:
        found["outputs"] = twosample.separability(*twosample.leading(s.outcome.sketch, held[1].sketch))
    return found if found["weights"] else None


Figure = Callable[[Subject], Any]
OF_OUTPUTS: tuple[Figure, ...] = (
    score,
    loss,
    ece,
    per_class,
    further,
    with_reference_statistics,
    ensemble_score,
    ensemble_curve,
    max_iou,
    mean_iou,
    novel_and_performant,
)
"""Figures that need test data."""
OF_WEIGHTS: tuple[Figure, ...] = (
    distance,
    distance_quotient,
    distance_normalised,
    distance_in_tau,
    wasserstein,
    jensen_shannon,
    nearest_members_hit,
    dispersion,
    dispersion_by_direction,
    duplicates,
    two_sample,
)
"""Figures of the weights alone, two samples apart."""
FIGURES = (*OF_OUTPUTS, *OF_WEIGHTS)


def measure(subject: Subject) -> dict[str, Any]:
    """Every figure of one set, by the name of its function; those that it doesn't have, or that need data, are left out."""
    facts = {"role": subject.role, "family": subject.family, "networks": len(subject.rows)}
    wanted = FIGURES if subject.outcome else OF_WEIGHTS
    found = {figure.__name__: figure(subject) for figure in wanted}
    return facts | {name: value for name, value in found.items() if value is not None}


def per_network(subject: Subject) -> dict[str, list[float]]:
    """Each network's own figures."""
    near = subject.nearest
    values = {"distance_in_tau": near.distance / subject.yardstick.tau, "nearest_member": near.member}
    if subject.outcome:
        o = subject.outcome
        values |= {"score": o.scores, "loss": o.losses, "max_iou": subject.overlap.largest, **o.further}
    return {name: value.tolist() for name, value in values.items()}


def summary(values: Float[Tensor, " networks"]) -> dict[str, float]:
    """Mean, standard deviation, extremes and quantiles."""
    v = values.double()
    ends = {"mean": v.mean(), "std": v.std(correction=0), "min": v.min(), "max": v.max()}
    return {name: float(x) for name, x in ends.items()} | {n: float(torch.quantile(v, q)) for n, q in QUANTILES.items()}
