"""The list of figures: each is one small function of a set of networks and the yardstick. Add one, and it is reported."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stages.audit import collapse, novelty
from stages.audit.outcome import Outcome

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}


@dataclass(frozen=True)
class Yardstick:
    """What every set is measured with: the members that the flow learned from, and what they do on the test data.

    Without data `outcome` and `bar` are None. An example counts as wrong where a network's error exceeds `tolerance`: 0 for
    classes; for numbers the members' median absolute error, so that a typical member is wrong on half of them.
    """

    members: Float[Tensor, "members parameters"]
    encode: Callable[[Tensor], Tensor]
    tau: float
    margins: tuple[float, ...]
    outcome: Outcome | None = None
    bar: float | None = None

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
    """

    role: str
    family: str | None
    rows: Float[Tensor, "networks parameters"]
    outcome: Outcome | None
    yardstick: Yardstick
    copied: Outcome | None = None

    @property
    def themselves(self) -> bool:
        """Whether these are the members, which are compared with one another (leave one out)."""
        return self.role == "members"

    @cached_property
    def results(self) -> Outcome:
        """The outcome, for figures that need one."""
        assert self.outcome is not None, "figures of outputs are left out without data"
        return self.outcome

    @cached_property
    def ious(self) -> Tensor:
        """Max IoU of every network's mistakes with a member's."""
        y = self.yardstick
        assert y.outcome is not None
        return novelty.max_iou(y.mistakes(self.results), y.mistakes(y.outcome), self.themselves)

    @cached_property
    def nearest(self) -> tuple[Tensor, Tensor]:
        """Distance to the nearest member, and which."""
        return novelty.nearest(self.rows, self.yardstick.members, self.themselves)


def score(s: Subject) -> dict[str, float]:
    """Test accuracy, or Spearman's correlation with what is to be predicted."""
    return summary(s.results.scores)


def loss(s: Subject) -> dict[str, float]:
    """Test cross-entropy in nats, or mean squared error."""
    return summary(s.results.losses)


def further(s: Subject) -> dict[str, dict[str, float]]:
    """R² and mean absolute error, where numbers are predicted."""
    return {name: summary(values) for name, values in s.results.further.items()}


def with_reference_statistics(s: Subject) -> dict[str, float] | None:
    """The score if BatchNorm's statistics were copied from the reference member (Table 7 of the paper)."""
    return summary(s.copied.scores) if s.copied else None


def ensemble_score(s: Subject) -> float:
    """Score of all networks together."""
    return s.results.ensemble


def max_iou(s: Subject) -> dict[str, float]:
    """Overlap of mistakes with the most similar member."""
    return summary(s.ious)


def distance(s: Subject) -> dict[str, float]:
    """L2 distance to the nearest member in canonical space."""
    return summary(s.nearest[0])


def distance_in_tau(s: Subject) -> float:
    """Median distance in units of tau."""
    return float(s.nearest[0].median() / s.yardstick.tau)


def nearest_members_hit(s: Subject) -> int:
    """How many different members are the nearest one to some network."""
    return len(s.nearest[1].unique())


def novel_and_performant(s: Subject) -> dict[str, float]:
    """N&P@m."""
    y = s.yardstick
    assert y.bar is not None
    return novelty.novel_and_performant(s.results.scores, s.nearest[0], y.bar, y.tau, y.margins)


def dispersion(s: Subject) -> float:
    """Spread along the principal directions over the members'."""
    return collapse.dispersion(s.yardstick.encode(s.rows), s.yardstick.codes)


Figure = Callable[[Subject], Any]
OF_OUTPUTS: tuple[Figure, ...] = (
    score, loss, further, with_reference_statistics, ensemble_score, max_iou, novel_and_performant,
)  # fmt: skip
"""Figures that need test data."""
OF_WEIGHTS: tuple[Figure, ...] = (distance, distance_in_tau, nearest_members_hit, dispersion)
"""Figures of the weights alone."""
FIGURES = (*OF_OUTPUTS, *OF_WEIGHTS)


def measure(subject: Subject) -> dict[str, Any]:
    """Every figure of one set, by the name of its function; those that need data are left out without."""
    facts = {"role": subject.role, "family": subject.family, "networks": len(subject.rows)}
    wanted = FIGURES if subject.outcome else OF_WEIGHTS
    return facts | {figure.__name__: figure(subject) for figure in wanted}


def per_network(subject: Subject) -> dict[str, list[float]]:
    """Each network's own figures."""
    values = {"distance_in_tau": subject.nearest[0] / subject.yardstick.tau, "nearest_member": subject.nearest[1]}
    if subject.outcome:
        o = subject.outcome
        values |= {"score": o.scores, "loss": o.losses, "max_iou": subject.ious, **o.further}
    return {name: value.tolist() for name, value in values.items()}


def summary(values: Float[Tensor, " networks"]) -> dict[str, float]:
    """Mean, standard deviation, extremes and quantiles."""
    v = values.double()
    ends = {"mean": v.mean(), "std": v.std(correction=0), "min": v.min(), "max": v.max()}
    return {name: float(x) for name, x in ends.items()} | {n: float(torch.quantile(v, q)) for n, q in QUANTILES.items()}
