"""Metrics: figures of a set of networks, each one function whose docstring is `Heading: meaning.`"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast, get_args

import torch
from jaxtyping import Float
from pydantic import TypeAdapter
from torch import Tensor

from stages.columns import Column
from stages.evaluation.figures import SetFigures, Summary
from stages.evaluation.network_set import NetworkSet

T = TypeVar("T")


def summary(values: Float[Tensor, " networks"]) -> Summary:
    """Mean, standard deviation, extremes and quantiles."""
    v = values.double()
    p10, p50, p90 = (float(torch.quantile(v, q)) for q in (0.1, 0.5, 0.9))
    ends = {"mean": v.mean(), "std": v.std(correction=0), "min": v.min(), "max": v.max()}
    return Summary(**{name: float(x) for name, x in ends.items()}, p10=p10, p50=p50, p90=p90)


@dataclass(frozen=True)
class Metric(Generic[T]):
    """A figure of a set; `function` gives it, or one value per network that `reduce` makes it from.

    `points` names the values per network that are kept for plots and in figures.zarr. Metrics of outputs need test
    data. `scalar` is the one number by which sets are compared in a table.
    """

    function: Callable[[NetworkSet], Any]
    type: Any
    of_outputs: bool
    column: Column | None
    reduce: Callable[[Tensor], T] | None
    points: str | None
    scalar: Callable[[T], float | None] | None

    @property
    def name(self) -> str:
        """Its key in figures.json."""
        return self.function.__name__

    @property
    def heading(self) -> str:
        """What tables call it."""
        return self._doc.partition(": ")[0]

    @property
    def meaning(self) -> str:
        """What it says, in a sentence."""
        return self._doc.partition(": ")[2].rstrip(".")

    @cached_property
    def _doc(self) -> str:
        text = " ".join((inspect.getdoc(self.function) or "").partition("\n\n")[0].split())
        assert ": " in text, f"the docstring of metric {self.name} must be `Heading: meaning.`"
        return text

    def measure(self, networks: NetworkSet) -> tuple[T | None, list[int] | list[float] | None]:
        """The figure and its values per network; None where the set has none, or there is no test data."""
        if self.of_outputs and networks.results is None:
            return None, None
        value = self.function(networks)
        if self.reduce is None or value is None:
            return value, None
        return self.reduce(value), value.tolist()

    def of(self, entry: SetFigures | None) -> T | None:
        """The figure of a set; None where it wasn't measured."""
        value = (entry.model_extra or {}).get(self.name) if entry else None
        return None if value is None else self._adapter.validate_python(value)

    @cached_property
    def _adapter(self) -> TypeAdapter:  # of T; beartype knows no parameters of this class
        return TypeAdapter(self.type)

    @property
    def is_number(self) -> bool:
        """Whether sets can be compared by it in one number."""
        return self.scalar is not None or self.type in (Summary, float, int)

    def number(self, entry: SetFigures) -> float | None:
        """The figure as one number: a summary by its mean."""
        value = self.of(entry)
        if value is None:
            return None
        if self.scalar is not None:
            return self.scalar(value)
        return value.mean if isinstance(value, Summary) else cast("float", value)


def metric(
    *, of_outputs: bool = False, column: Column | None = None, scalar: Callable[[Any], float | None] | None = None
) -> Callable[[Callable[[NetworkSet], T | None]], Metric[T]]:
    """Make a metric of a function that gives a figure of a set, None where it has none."""

    def make(function: Callable[[NetworkSet], T | None]) -> Metric[T]:
        annotation = inspect.signature(function).return_annotation
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        kind = kinds[0] if len(kinds) == 1 and type(None) in get_args(annotation) else annotation
        return Metric(function, kind, of_outputs, column, None, None, scalar)

    return make


def per_network(
    *, of_outputs: bool = False, column: Column | None = None, points: str | None = None
) -> Callable[[Callable[[NetworkSet], Tensor | None]], Metric[Summary]]:
    """Make a metric of a function that gives a value [networks] for every network; the figure is their summary."""

    def make(function: Callable[[NetworkSet], Tensor | None]) -> Metric[Summary]:
        return Metric(function, Summary, of_outputs, column, summary, points, None)

    return make


def reduced(
    kind: type[T],
    reduce: Callable[[Tensor], T],
    *,
    of_outputs: bool = False,
    column: Column | None = None,
    points: str | None = None,
) -> Callable[[Callable[[NetworkSet], Tensor]], Metric[T]]:
    """The same, with a figure of another kind made from the values."""

    def make(function: Callable[[NetworkSet], Tensor]) -> Metric[T]:
        return Metric(function, kind, of_outputs, column, reduce, points, None)

    return make
