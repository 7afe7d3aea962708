"""Warnings about networks that other programs trained: near copies of each other, scores near chance."""

import re
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from stages.seeds import generator
from stages.store.chunks import spans
from stages.store.weights import Shards

NEAR = 1 / 3
"""A member is a near copy of another within this fraction of the median distance between two members."""
FEW = 0.1
"""Share of near copies from which they are no accident."""
CHECKED, COORDINATES, BLOCK = 500, 10_000, 64
"""Members at most, parameters of each, and members read at once, for distances."""
CLOSE_TO_CHANCE = 0.05
"""Scores no higher than this above chance are suspicious."""
FAR_BELOW = 0.1
"""So are scores that lie this much below those that the zoo itself records."""
RECORDED = re.compile(r"(^|[._])(test|val|valid|validation|best|top1)?_?acc(uracy)?([._]|$)")
"""Names under which zoos record accuracies."""


def suspicions(zoo: Shards, runs: Tensor | None) -> Iterator[str]:
    """A line for each, with the rule behind it and the way out; `runs` [members] are training runs by number."""
    if (share := share_of_near_copies(zoo, runs)) > FEW:
        whose = "" if runs is None else f" with another {zoo.attrs['group']}"
        yield (
            f"{share:.0%} of the networks are nearer to one{whose} than a third of the median distance between two: "
            "checkpoints of one run? Such are learned from and held out side by side, and novelty is measured in too "
            "small a unit; name the fact that tells runs apart as zoo.group"
        )
    yield from _low_scores(zoo)


def overlaps(shared: Mapping[str, int]) -> Iterator[str]:
    """A line for each data set of which so many test examples are training examples, too."""
    for name, count in shared.items():
        if count:
            them = "1 test example" if count == 1 else f"{count:,} test examples"
            yield (
                f"the inputs of {them} of {name} also stand among its training examples, so that scores are too good: "
                "remove them from one of the two"
            )


def _low_scores(zoo: Shards) -> Iterator[str]:
    if zoo.attrs.get("score") != "accuracy":
        return
    score, chance = float(np.median(zoo.facts("validation_score"))), zoo.attrs["chance"]
    cause = "networks that were trained on inputs scaled otherwise do so; see zoo.dataset.normalize"
    if score <= chance + CLOSE_TO_CHANCE:
        yield (
            f"the median network scores {score:.1%} on validation data, where guessing one class scores {chance:.1%}: "
            f"{cause}"
        )
    for name in (name for name in zoo.attrs.get("facts", ()) if RECORDED.search(name.lower())):
        recorded = _median(zoo.facts(name))
        if recorded is not None and score < recorded - FAR_BELOW:
            yield (
                f"the median network scores {score:.1%} on validation data, but {recorded:.1%} by the zoo's own "
                f"{name}: {cause}"
            )


def _median(values: np.ndarray) -> float | None:
    """The median of accuracies, in [0, 1] though they be per cent; None where they aren't numbers."""
    if values.dtype.kind != "f" or np.isnan(values).all():
        return None
    median = float(np.nanmedian(values))
    return median / 100 if median > 1 else median


def share_of_near_copies(zoo: Shards, runs: Tensor | None = None) -> float:
    """The share of members, of a few at random, that are nearer to one of another run than NEAR allows.

    Distances are as the networks are, estimated from some parameters of each.
    """
    points = _some_coordinates(zoo)
    number = torch.arange(len(points)) if runs is None else runs
    few = torch.randperm(len(points), generator=generator("near copies"))[:CHECKED]
    distances = torch.cdist(points[few], points)
    others = distances[number[few][:, None] != number]
    distances.masked_fill_(number[few][:, None] == number, torch.inf)
    return float((distances.amin(1) < NEAR * others.median()).double().mean())


def _some_coordinates(zoo: Shards) -> Tensor:
    """A random choice of the parameters of every member, the same of each: [members, some]."""
    size = zoo.layout.parameter_layout.size
    some = torch.randperm(size, generator=generator("coordinates"))[:COORDINATES].sort().values
    return torch.cat([zoo.rows(start, stop)[:, some] for start, stop in spans(len(zoo), BLOCK)])
