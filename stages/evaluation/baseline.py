"""Trivial baselines: sets of networks that anybody can make from the members, without a generator."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stages.evaluation.inputs import EvaluationInputs

Members = Float[Tensor, "members parameters"]
Rows = Float[Tensor, "networks parameters"]
Draw = Callable[[int, torch.Generator], Tensor]
"""So many networks as rows, from a generator."""


@dataclass(frozen=True)
class Level:
    """A baseline at one strength: its name, such as `0.1`, and how its networks are drawn.

    `selected`: the best are kept of as many draws as for each generated network (`sample.keep_fraction`).
    """

    name: str
    draw: Draw
    selected: bool = True


@dataclass(frozen=True)
class Baseline:
    """A family of baselines; those of `any_strength` can be had between their levels, too, from the members on.

    Of those with `ensembles` averaged predictions are measured by their number, as of members.
    """

    levels: Callable[[EvaluationInputs], Iterator[Level]]
    order: int
    any_strength: bool
    ensembles: bool

    @property
    def family(self) -> str:
        """Its name in figures and reports."""
        return self.levels.__name__

    @property
    def meaning(self) -> str:
        """What its networks are, in a sentence: the first paragraph of the docstring."""
        text = " ".join((inspect.getdoc(self.levels) or "").partition("\n\n")[0].split())
        assert text.endswith("."), f"the docstring of baseline {self.family} must say what its networks are"
        return f"{text[0].lower()}{text[1:-1]}".replace("`", "")

    @property
    def question(self) -> str:
        """What it is measured for, in a sentence: the second paragraph of the docstring, if there is one."""
        return " ".join((inspect.getdoc(self.levels) or "").partition("\n\n")[2].split())


def baseline(
    *, order: int, any_strength: bool = False, ensembles: bool = False
) -> Callable[[Callable[..., Iterator[Level]]], Baseline]:
    """Make a baseline of a function that gives its levels; its docstring says in the report what they are and ask.

    Reports show baselines by `order`.
    """
    return lambda levels: Baseline(levels, order, any_strength, ensembles)


def with_matched_level(levels: Sequence[float], matched: float) -> list[float]:
    """Also the level at the generated networks' own distance: between two others a straight line may flatter them."""
    rounded = float(f"{matched:.3g}")
    return sorted({*levels, *([rounded] if rounded else [])})


def choose_several(among: int, size: int, draw: torch.Generator) -> Tensor:
    """Positions of `size` different members."""
    return torch.randperm(among, generator=draw)[:size]
