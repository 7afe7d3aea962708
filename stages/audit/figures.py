"""The list of figures: each is one small function of a set of networks and the yardstick. Add one, and it is reported."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stages.audit import collapse, novelty, performance

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}


@dataclass(frozen=True)
class Yardstick:
    """What every set is measured with: the test targets and the members that the flow learned from."""

    targets: Int[Tensor, " examples"]
    members: Float[Tensor, "members parameters"]
    mistakes: Bool[Tensor, "members examples"]
    encode: Callable[[Tensor], Tensor]
    bar: float
    tau: float
    margins: tuple[float, ...]

    @cached_property
    def codes(self) -> Tensor:
        """The members' principal coordinates."""
        return self.encode(self.members)


@dataclass(frozen=True)
class Subject:
    """One set of networks: their rows, their test outputs, and what they are to the members."""

    role: str
    family: str | None
    rows: Float[Tensor, "networks parameters"]
    logits: Float[Tensor, "networks examples classes"]
    yardstick: Yardstick

    @property
    def themselves(self) -> bool:
        """Whether these are the members, which are compared with one another (leave one out)."""
        return self.role == "members"

    @cached_property
    def mistakes(self) -> Tensor:
        """Wrong predictions [networks, examples]."""
        return performance.wrong(self.logits, self.yardstick.targets)

    @cached_property
    def accuracies(self) -> Tensor:
        """Test accuracy of every network."""
        return performance.accuracy(self.mistakes)

    @cached_property
    def ious(self) -> Tensor:
        """Max IoU of every network's mistakes with a member's."""
        return novelty.max_iou(self.mistakes, self.yardstick.mistakes, self.themselves)

    @cached_property
    def nearest(self) -> tuple[Tensor, Tensor]:
        """Distance to the nearest member, and which."""
        return novelty.nearest(self.rows, self.yardstick.members, self.themselves)

    @cached_property
    def losses(self) -> Tensor:
        """Test cross-entropy of every network, in nats."""
        return performance.negative_log_likelihood(self.logits, self.yardstick.targets)


def accuracy(s: Subject) -> dict[str, float]:
    """Test accuracy."""
    return summary(s.accuracies)


def loss(s: Subject) -> dict[str, float]:
    """Test cross-entropy in nats."""
    return summary(s.losses)


def ensemble_accuracy(s: Subject) -> float:
    """Accuracy of all networks together."""
    return performance.ensemble_accuracy(s.logits, s.yardstick.targets)


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
    return novelty.novel_and_performant(s.accuracies, s.nearest[0], y.bar, y.tau, y.margins)


def dispersion(s: Subject) -> float:
    """Spread along the principal directions over the members'."""
    return collapse.dispersion(s.yardstick.encode(s.rows), s.yardstick.codes)


FIGURES: tuple[Callable[[Subject], Any], ...] = (
    accuracy,
    loss,
    ensemble_accuracy,
    max_iou,
    distance,
    distance_in_tau,
    nearest_members_hit,
    novel_and_performant,
    dispersion,
)


def measure(subject: Subject) -> dict[str, Any]:
    """Every figure of one set, by the name of its function."""
    facts = {"role": subject.role, "family": subject.family, "networks": len(subject.rows)}
    return facts | {figure.__name__: figure(subject) for figure in FIGURES}


def per_network(subject: Subject) -> dict[str, list[float]]:
    """Each network's own figures."""
    values = {
        "accuracy": subject.accuracies,
        "loss": subject.losses,
        "max_iou": subject.ious,
        "distance_in_tau": subject.nearest[0] / subject.yardstick.tau,
        "nearest_member": subject.nearest[1],
    }
    return {name: value.tolist() for name, value in values.items()}


def summary(values: Float[Tensor, " networks"]) -> dict[str, float]:
    """Mean, standard deviation, extremes and quantiles."""
    v = values.double()
    ends = {"mean": v.mean(), "std": v.std(correction=0), "min": v.min(), "max": v.max()}
    return {name: float(x) for name, x in ends.items()} | {n: float(torch.quantile(v, q)) for n, q in QUANTILES.items()}
