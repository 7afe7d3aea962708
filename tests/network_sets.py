"""Small sets of networks with random weights and outputs, and the members that they are measured against."""

from functools import cache

import torch
from torch import Tensor

from stages.canonical.form import Aligner, CanonicalForm
from stages.evaluation.aligned_distance import AlignedDistance
from stages.evaluation.metrics import METRICS
from stages.evaluation.network_set import MemberReference, NetworkSet, Role
from stages.evaluation.results import Results, results_of
from stages.store.layout import Layout
from stages.symmetry.table import Symmetry


def outputs_and_targets(regression: bool, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Outputs of seven networks on 30 examples, logits of three classes or numbers, and the targets."""
    g = torch.Generator().manual_seed(seed)
    if regression:
        return torch.randn(7, 30, generator=g), torch.randn(30, generator=g)
    return torch.randn(7, 30, 3, generator=g), torch.randint(3, (30,), generator=g)


def unpermuted_distance(members: Tensor) -> AlignedDistance:
    """Distances of rows in which nothing can be relabelled."""
    aligner = Aligner(Symmetry(), "rebasin", streams=True, max_sweeps=10)
    form = CanonicalForm(aligner, Layout.of({"weight": members[0]}), balance_norms=False)
    return AlignedDistance(members, form, members[0], torch.ones(members.shape[1]), nearby=2)


def member_reference(
    members: Tensor, results: Results | None, heldout: tuple[Tensor, Results | None] | None = None
) -> MemberReference:
    """Members whose principal coordinates are their weights; the bar is 0.5."""
    bar = 0.5 if results else None
    return MemberReference(unpermuted_distance(members), lambda rows: rows, (0.5, 1.0), results, bar, heldout)


def members_with(results: Results) -> NetworkSet:
    """Members of random weights with these results."""
    rows = torch.randn(len(results.scores), 4, generator=torch.Generator().manual_seed(0))
    return NetworkSet("members", None, rows, results, member_reference(rows, results))


@cache
def network_set(role: Role = "generated", data: bool = True) -> NetworkSet:
    """Six members themselves, or four other networks; with test data of three classes, or without any."""
    g = torch.Generator().manual_seed(3)
    members, targets = torch.randn(6, 5, generator=g), torch.randint(3, (20,), generator=g)
    outputs = [torch.randn(n, 20, 3, generator=g) for n in (6, 4)]
    theirs, others = (results_of([some], targets, ensemble_sizes=(1, 2)) if data else None for some in outputs)
    reference = member_reference(members, theirs, (torch.randn(4, 5, generator=g), others))
    if role == "members":
        return NetworkSet(role, None, members, theirs, reference)
    return NetworkSet(role, None, torch.randn(4, 5, generator=g), others, reference, copied_statistics=others)


def measured(networks: NetworkSet) -> dict[str, object]:
    """Every metric that a set has, by name."""
    figures = {name: metric.measure(networks)[0] for name, metric in METRICS.items()}
    return {name: figure for name, figure in figures.items() if figure is not None}


@cache
def measured_set(role: Role = "generated", data: bool = True) -> dict[str, object]:
    """Every metric of a small set; to be read only."""
    return measured(network_set(role, data))
