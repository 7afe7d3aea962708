"""Distances up to relabelling, against a brute-force minimum over every relabelling."""

from dataclasses import replace
from itertools import pairwise, permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.canonical.form import Aligner
from stages.evaluation.aligned_distance import Quotient
from stages.store.layout import Layout
from stages.symmetry.table import Axis, Group, Symmetry

seeds = st.integers(0, 10_000)


def mlp(widths: tuple[int, ...]) -> tuple[Layout, Symmetry]:
    """Layers of weights and biases, and the table of its hidden units."""
    tensors, groups = {}, {}
    for i, (a, b) in enumerate(pairwise(widths)):
        tensors |= {f"{i}.weight": torch.zeros(b, a), f"{i}.bias": torch.zeros(b)}
        if i + 2 < len(widths):
            groups[f"hidden {i}"] = Group(
                b, (Axis(f"{i}.weight", 0, 1), Axis(f"{i}.bias", 0, 1), Axis(f"{i + 1}.weight", 1, -1))
            )
    return Layout.of(tensors), Symmetry(groups)


def quotient(members: torch.Tensor, widths: tuple[int, ...], near: int, method: str = "rebasin") -> Quotient:
    layout, symmetry = mlp(widths)
    aligner = Aligner(symmetry, method, streams=True, max_sweeps=100)  # type: ignore[arg-type]
    spread = torch.full((layout.parameters,), 2.0)
    return Quotient(members, layout, aligner, members[0], spread, near)


def draw(count: int, widths: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(count, mlp(widths)[0].parameters, generator=torch.Generator().manual_seed(seed))


def relabelled(rows: torch.Tensor, widths: tuple[int, ...], seed: int) -> torch.Tensor:
    layout, symmetry = mlp(widths)
    g = torch.Generator().manual_seed(seed)
    return torch.stack([layout.flatten(symmetry.act(symmetry.random(g), layout.unflatten(row))) for row in rows])


def brute(row: torch.Tensor, members: torch.Tensor, widths: tuple[int, int, int]) -> list[float]:
    """The least distance to each member, over all relabellings of one hidden layer."""
    layout, symmetry = mlp(widths)
    orders = [{"hidden 0": torch.tensor(p)} for p in permutations(range(widths[1]))]
    every = torch.stack([layout.flatten(symmetry.act(order, layout.unflatten(row))) for order in orders])
    return torch.cdist(every.double(), members.double()).amin(0).tolist()


SMALL = (2, 4, 2)


@given(seeds, st.booleans())
def test_of_one_hidden_layer_it_is_the_minimum_over_all_relabellings(seed: int, close: bool):
    members = draw(4, SMALL, seed)
    rows = relabelled(members, SMALL, seed) + 0.3 * draw(4, SMALL, seed + 1) if close else draw(5, SMALL, seed + 1)
    found = quotient(members, SMALL, near=4).nearest(rows)
    for i, row in enumerate(rows):
        each = brute(row, members, SMALL)
        assert float(found.distance[i]) == pytest.approx(min(each), abs=1e-5)
        assert each[int(found.member[i])] == pytest.approx(min(each), abs=1e-5)


@given(seeds)
def test_members_are_measured_among_the_others_the_same_way(seed: int):
    members = draw(5, SMALL, seed)
    found = quotient(members, SMALL, near=4).own
    for i, row in enumerate(members):
        others = [d for j, d in enumerate(brute(row, members, SMALL)) if j != i]
        assert float(found.distance[i]) == pytest.approx(min(others), abs=1e-5)
        assert int(found.member[i]) != i


DEEP = (6, 12, 12, 3)


@pytest.mark.parametrize("level", [0.0, 1e-3, 0.05])
@pytest.mark.parametrize("method", ["rebasin", "none"])
def test_relabelled_members_with_a_little_noise_are_not_new(level, method):
    """What a prototype got wrong for 23 % of them, which had aligned to the reference alone."""
    members = draw(24, DEEP, 0)
    copies = relabelled(members, DEEP, 1) + level * draw(24, DEEP, 2)
    q = quotient(members, DEEP, near=5, method=method)
    found, tau = q.nearest(copies), float(q.own.distance.median())
    assert (found.distance <= 0.25 * tau).all()
    assert found.member.tolist() == list(range(24))
    assert replace(q, near=0).nearest(copies).distance.min() > 0.5 * tau, "as they are, they lie far away"


def test_aligning_to_the_reference_alone_would_miss_some():
    """The negative control of the test above."""
    members = draw(24, DEEP, 0)
    copies = relabelled(members, DEEP, 1) + 0.05 * draw(24, DEEP, 2)
    q = quotient(members, DEEP, near=5)
    placed = torch.stack([q._towards(q.reference, row, i) for i, row in enumerate(copies)])
    canonical = torch.stack([q._towards(q.reference, row, i) for i, row in enumerate(members)])
    missed = torch.cdist(placed, canonical).amin(1) > 0.25 * float(q.own.distance.median())
    assert missed.float().mean() > 0.1


def test_ending_the_search_early_changes_nothing(monkeypatch):
    members = draw(12, SMALL, 3)
    rows = torch.cat([relabelled(members, SMALL, 4) + 0.1 * draw(12, SMALL, 5), draw(6, SMALL, 6)])
    quick = quotient(members, SMALL, near=12).nearest(rows)
    monkeypatch.setattr(Quotient, "own", quick._replace(distance=torch.zeros(12)))
    patient = quotient(members, SMALL, near=12).nearest(rows)
    assert torch.allclose(quick.distance, patient.distance, atol=1e-5)
    assert torch.equal(quick.member, patient.member)


def few_measured(q: Quotient) -> Quotient:
    return replace(q, measured=torch.tensor([1, 4, 9]))


def test_a_few_members_are_measured_among_all_of_them():
    q = quotient(draw(12, SMALL, 3), SMALL, near=12)
    found = few_measured(q).own
    assert found.distance.tolist() == pytest.approx(q.own.distance[[1, 4, 9]].tolist())
    assert torch.equal(found.member, q.own.member[[1, 4, 9]])
    assert torch.equal(found.as_is, q.own.as_is[[1, 4, 9]])


def test_members_that_were_not_measured_end_no_search(monkeypatch):
    members = draw(12, SMALL, 3)
    rows = torch.cat([relabelled(members, SMALL, 4) + 0.1 * draw(12, SMALL, 5), draw(6, SMALL, 6), members])
    q = quotient(members, SMALL, near=12)
    patient = replace(q, measured=torch.tensor([], dtype=torch.long)).nearest(rows).distance
    for some in (q, few_measured(q)):
        assert torch.allclose(some.nearest(rows).distance, patient, atol=1e-6)
    monkeypatch.setattr(Quotient, "_reach", torch.full((12,), torch.inf, dtype=torch.float64))
    hasty = few_measured(q).nearest(rows).distance
    assert (hasty > patient + 0.1).any(), "had they ended it, nearer members would have been missed"


def test_distances_in_units_of_each_tensors_spread():
    members = draw(5, SMALL, 0)
    found = quotient(members, SMALL, near=5).nearest(draw(4, SMALL, 1))
    assert torch.allclose(found.normalised, found.distance / 2)


def test_rescaled_copies_of_members_whose_units_were_rescaled_are_copies():
    from stages.symmetry.scale import balance

    layout, symmetry = mlp(SMALL)

    def balanced(row: torch.Tensor) -> torch.Tensor:
        weights = layout.unflatten(row)
        return layout.flatten(symmetry.rescale(balance(symmetry, weights), weights))

    members = torch.stack([balanced(row) for row in draw(4, SMALL, 0)])
    scales = {"hidden 0": torch.tensor([0.5, 2.0, 3.0, 0.2])}
    copies = torch.stack([layout.flatten(symmetry.rescale(scales, layout.unflatten(row))) for row in members])
    q = quotient(members, SMALL, near=4)
    assert replace(q, scaled=True).nearest(copies).distance.max() < 1e-4
    assert q.nearest(copies).distance.min() > 0.1
