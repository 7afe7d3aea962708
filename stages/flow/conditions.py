"""Conditions on the network to be generated: facts about members as numbers, unknown ones as zeros; and guidance."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stages.errors import UsageError
from stages.store.weights import UNKNOWN


@dataclass(frozen=True)
class Fact:
    """One fact: its categories, or a number's mean and standard deviation over members."""

    name: str
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0

    @property
    def width(self) -> int:
        """Length of its encoding: one hot, or the standardized number and a one that marks it as known."""
        return len(self.categories) or 2

    def encode(self, values: np.ndarray) -> Float[Tensor, "n width"]:
        """Raises UsageError naming a value that no member has, or that is no number."""
        if not self.categories:
            number = (torch.from_numpy(self._numbers(values)) - self.mean) / self.std
            return torch.stack([number, torch.ones_like(number)], dim=1).float()
        names = [f"{value:.15g}" if isinstance(value, float) else str(value) for value in values]  # a class: 3, not 3.0
        if unknown := sorted(set(names) - set(self.categories)):
            raise UsageError(
                f"condition {self.name}: found {unknown[0]!r}; expected one of {', '.join(self.categories)}, "
                "which members have"
            )
        return torch.tensor([[float(name == category) for category in self.categories] for name in names])

    def _numbers(self, values: np.ndarray) -> np.ndarray:
        try:
            return values.astype(np.float64)
        except ValueError as error:
            raise UsageError(f"condition {self.name}: found {values.tolist()[0]!r}; expected a number") from error


@dataclass(frozen=True)
class Conditions:
    """The facts that a flow is conditioned on, in this order."""

    facts: tuple[Fact, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The facts' names."""
        return tuple(fact.name for fact in self.facts)

    @property
    def widths(self) -> tuple[int, ...]:
        """Lengths of their encodings."""
        return tuple(fact.width for fact in self.facts)

    @property
    def width(self) -> int:
        """Length of all encodings together."""
        return sum(self.widths)

    def encode(self, values: Mapping[str, np.ndarray]) -> Float[Tensor, "n width"]:
        """Facts about networks as numbers; those left out are unknown: zeros.

        Raises UsageError naming a fact that the flow isn't conditioned on, or a value that no member has.
        """
        if unknown := sorted(values.keys() - set(self.names)):
            raise UsageError(
                f"condition {unknown[0]}: the flow is conditioned on {', '.join(self.names) or 'nothing'}; "
                "see fit.condition"
            )
        count = len(next(iter(values.values()))) if values else 1
        encodings = [
            fact.encode(values[fact.name]) if fact.name in values else torch.zeros(count, fact.width)
            for fact in self.facts
        ]
        return torch.cat(encodings, dim=1) if encodings else torch.zeros(count, 0)

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values."""
        return [{"name": f.name, "kinds": f.categories, "mean": f.mean, "std": f.std} for f in self.facts]

    @classmethod
    def from_json(cls, facts: list[dict[str, Any]]) -> "Conditions":
        """The inverse of `to_json`."""
        return cls(tuple(Fact(f["name"], tuple(f["kinds"]), f["mean"], f["std"]) for f in facts))


def conditions_of(facts: Mapping[str, np.ndarray]) -> Conditions:
    """The categories of these facts about the training members, and the mean and spread of numbers.

    Raises UsageError naming a fact that isn't known of every member.
    """
    return Conditions(tuple(_fact(name, values) for name, values in facts.items()))


def _fact(name: str, values: np.ndarray) -> Fact:
    is_number = values.dtype.kind in "fi"
    unknown = ~np.isfinite(values.astype(np.float64)) if is_number else values == UNKNOWN
    if count := int(unknown.sum()):
        raise UsageError(
            f"fit.condition {name}: not known of every member (unknown of {count} of {len(values)}); leave it out, or "
            f"these members, with zoo.where"
        )
    if not is_number:
        return Fact(name, tuple(sorted({str(value) for value in values})))
    numbers = values.astype(np.float64)
    return Fact(name, mean=float(numbers.mean()), std=float(numbers.std()) or 1.0)


def guided(
    network: Callable[..., Tensor], condition: Float[Tensor, " conditions"], weight: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """The unconditional velocity plus `weight` times its difference from the conditional one (classifier-free guidance:
    Ho and Salimans, arXiv 2207.12598).
    """

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        batch = condition.expand(len(x), -1)
        if weight == 1:
            return network(x, t, batch)
        unconditional = network(x, t)
        return unconditional + weight * (network(x, t, batch) - unconditional) if weight else unconditional

    return velocity


def network_calls(conditions: int, weight: float) -> int:
    """Calls of the network per velocity."""
    return 2 if conditions and weight not in (0, 1) else 1
