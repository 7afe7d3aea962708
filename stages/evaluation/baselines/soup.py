"""Means of several aligned members (model soups)."""

from collections.abc import Iterator
from functools import partial

import torch

from stages.evaluation.baseline import Level, Members, Rows, baseline, choose_several
from stages.evaluation.inputs import EvaluationInputs


@baseline(order=30)
def soup(inputs: EvaluationInputs) -> Iterator[Level]:
    """Means of so many random members in canonical form as the number says.

    Asks whether averaging members does as well.
    """
    for size in (size for size in inputs.params.soup_sizes if size <= len(inputs.members)):
        yield Level(f"{size}", partial(soups, inputs.members, size))


def soups(members: Members, size: int, count: int, draw: torch.Generator) -> Rows:
    """Means of `size` different aligned members."""
    return torch.stack([members[choose_several(len(members), size, draw)].mean(0) for _ in range(count)])
