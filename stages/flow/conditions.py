"""What a flow is told of the network it makes: facts about members as numbers, with nothing known as zeros."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stages.errors import UsageError

Value = str | float


@dataclass(frozen=True)
class Fact:
    """One fact: the names that it can take, or a number's mean and standard deviation over members."""

    name: str
    kinds: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0

    @property
    def width(self) -> int:
        """Numbers that tell it: one per name, or the standardized number and a one that says it is known."""
        return len(self.kinds) or 2

    def encode(self, values: np.ndarray) -> Float[Tensor, "n width"]:
        """Raises UsageError naming a value that no member has."""
        if not self.kinds:
            number = (torch.from_numpy(values.astype(np.float64)) - self.mean) / self.std
            return torch.stack([number, torch.ones_like(number)], dim=1).float()
        told = [str(value) for value in values]
        if strange := sorted(set(told) - set(self.kinds)):
            raise UsageError(
                f"condition {self.name}: found {strange[0]!r}; expected one of {', '.join(self.kinds)}, which members have"
            )
        return torch.tensor([[float(value == kind) for kind in self.kinds] for value in told])


@dataclass(frozen=True)
class Conditions:
    """The facts that a flow is told, in this order."""

    facts: tuple[Fact, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The facts' names."""
        return tuple(fact.name for fact in self.facts)

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers that tell each of them."""
        return tuple(fact.width for fact in self.facts)

    @property
    def width(self) -> int:
        """Numbers that tell all of them."""
        return sum(self.widths)

    def encode(self, values: Mapping[str, np.ndarray]) -> Float[Tensor, "n width"]:
        """Facts about networks as numbers; those left out are unknown: zeros.

        Raises UsageError naming a fact that the flow wasn't told of, or a value that no member has.
        """
        if strange := sorted(values.keys() - set(self.names)):
            raise UsageError(
                f"condition {strange[0]}: the flow was told {', '.join(self.names) or 'nothing'}; see fit.condition"
            )
        count = len(next(iter(values.values()))) if values else 1
        parts = [
            fact.encode(values[fact.name]) if fact.name in values else torch.zeros(count, fact.width)
            for fact in self.facts
        ]
        return torch.cat(parts, dim=1) if parts else torch.zeros(count, 0)

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values."""
        return [asdict(fact) for fact in self.facts]

    @classmethod
    def from_json(cls, facts: list[dict[str, Any]]) -> "Conditions":
        """The inverse of `to_json`."""
        return cls(tuple(Fact(f["name"], tuple(f["kinds"]), f["mean"], f["std"]) for f in facts))


def conditions_of(facts: Mapping[str, np.ndarray]) -> Conditions:
    """What these facts about the training members can be, and how they vary.

    Raises UsageError naming a fact that isn't known of every member.
    """
    return Conditions(tuple(_fact(name, values) for name, values in facts.items()))


def _fact(name: str, values: np.ndarray) -> Fact:
    if values.dtype.kind not in "fi":
        return Fact(name, tuple(sorted({str(value) for value in values})))
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise UsageError(f"fit.condition {name}: not known of every member; leave it out")
    return Fact(name, mean=float(numbers.mean()), std=float(numbers.std()) or 1.0)
