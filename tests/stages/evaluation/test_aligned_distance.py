"""Distances up to relabelling, against a brute-force minimum over every relabelling."""

import math
from dataclasses import replace
from itertools import pairwise, permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.canonical.form import Aligner, CanonicalForm, Method
from stages.evaluation.aligned_distance import AlignedDistance, nearest
from stages.store.layout import Layout
from stages.symmetry.element import random_element
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


def aligned_distance(
    members: torch.Tensor, widths: tuple[int, ...], nearby: int, method: Method = "rebasin", balance_norms: bool = False
) -> AlignedDistance:
    layout, symmetry = mlp(widths)
    form = CanonicalForm(Aligner(symmetry, method, streams=True, max_sweeps=100), layout, balance_norms)
    return AlignedDistance(members, form, members[0], torch.full((layout.size,), 2.0), nearby)


def drawn_rows(count: int, widths: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(count, mlp(widths)[0].size, generator=torch.Generator().manual_seed(seed))


def relabelled(rows: torch.Tensor, widths: tuple[int, ...], seed: int) -> torch.Tensor:
    layout, symmetry = mlp(widths)
    g = torch.Generator().manual_seed(seed)
    return torch.stack([layout.flatten(symmetry.act(symmetry.random(g), layout.unflatten(row))) for row in rows])


def brute_force(row: torch.Tensor, members: torch.Tensor, widths: tuple[int, int, int]) -> list[float]:
    """The least distance to each member, over all relabellings of one hidden layer."""
    layout, symmetry = mlp(widths)
    orders = [{"hidden 0": torch.tensor(p)} for p in permutations(range(widths[1]))]
    every = torch.stack([layout.flatten(symmetry.act(order, layout.unflatten(row))) for order in orders])
    return torch.cdist(every.double(), members.double()).amin(0).tolist()


SMALL = (2, 4, 2)


@settings(max_examples=12)
@given(seeds, st.booleans())
def test_of_one_hidden_layer_it_is_the_minimum_over_all_relabellings(seed: int, close: bool):
    members = drawn_rows(4, SMALL, seed)
    rows = (
        relabelled(members, SMALL, seed) + 0.3 * drawn_rows(4, SMALL, seed + 1)
        if close
        else drawn_rows(5, SMALL, seed + 1)
    )
    found = aligned_distance(members, SMALL, nearby=4).nearest(rows)
    for i, row in enumerate(rows):
        each = brute_force(row, members, SMALL)
        assert float(found.distance[i]) == pytest.approx(min(each), abs=1e-5)
        assert each[int(found.member[i])] == pytest.approx(min(each), abs=1e-5)


@pytest.mark.slow
@settings(max_examples=12)
@given(seeds)
def test_members_are_measured_among_the_others_the_same_way(seed: int):
    members = drawn_rows(5, SMALL, seed)
    found = aligned_distance(members, SMALL, nearby=4).own
    for i, row in enumerate(members):
        others = [d for j, d in enumerate(brute_force(row, members, SMALL)) if j != i]
        assert float(found.distance[i]) == pytest.approx(min(others), abs=1e-5)
        assert int(found.member[i]) != i


DEEP = (6, 12, 12, 3)


@pytest.mark.parametrize("level", [*(pytest.param(level, marks=pytest.mark.slow) for level in (0.0, 1e-3)), 0.05])
@pytest.mark.parametrize("method", ["rebasin", "none"])
def test_relabelled_members_with_a_little_noise_are_not_new(level, method):
    """What a prototype got wrong for 23 % of them, which had aligned to the reference alone."""
    members = drawn_rows(24, DEEP, 0)
    copies = relabelled(members, DEEP, 1) + level * drawn_rows(24, DEEP, 2)
    d = aligned_distance(members, DEEP, nearby=5, method=method)
    found, tau = d.nearest(copies), float(d.own.distance.median())
    assert (found.distance <= 0.25 * tau).all()
    assert found.member.tolist() == list(range(24))
    assert replace(d, nearby=0).nearest(copies).distance.min() > 0.5 * tau, "as they are, they lie far away"


@pytest.mark.slow
def test_aligning_to_the_reference_alone_would_miss_some():
    """The negative control of the test above."""
    members = drawn_rows(24, DEEP, 0)
    copies = relabelled(members, DEEP, 1) + 0.05 * drawn_rows(24, DEEP, 2)
    d = aligned_distance(members, DEEP, nearby=5)
    placed = torch.stack([d._aligned(d.reference, row, i) for i, row in enumerate(copies)])
    canonical = torch.stack([d._aligned(d.reference, row, i) for i, row in enumerate(members)])
    missed = torch.cdist(placed, canonical).amin(1) > 0.25 * float(d.own.distance.median())
    assert missed.float().mean() > 0.1


@pytest.mark.slow
def test_ending_the_search_early_changes_nothing(monkeypatch):
    members = drawn_rows(12, SMALL, 3)
    rows = torch.cat([relabelled(members, SMALL, 4) + 0.1 * drawn_rows(12, SMALL, 5), drawn_rows(6, SMALL, 6)])
    quick = aligned_distance(members, SMALL, nearby=12).nearest(rows)
    monkeypatch.setattr(AlignedDistance, "own", quick._replace(distance=torch.zeros(12)))
    patient = aligned_distance(members, SMALL, nearby=12).nearest(rows)
    assert torch.allclose(quick.distance, patient.distance, atol=1e-5)
    assert torch.equal(quick.member, patient.member)


def few_measured(every: AlignedDistance) -> AlignedDistance:
    return replace(every, measured=torch.tensor([1, 4, 9]))


def test_a_few_members_are_measured_among_all_of_them():
    d = aligned_distance(drawn_rows(12, SMALL, 3), SMALL, nearby=12)
    found = few_measured(d).own
    assert found.distance.tolist() == pytest.approx(d.own.distance[[1, 4, 9]].tolist())
    assert torch.equal(found.member, d.own.member[[1, 4, 9]])
    assert torch.equal(found.as_is, d.own.as_is[[1, 4, 9]])


@pytest.mark.slow
def test_members_that_were_not_measured_end_no_search(monkeypatch):
    members = drawn_rows(12, SMALL, 3)
    rows = torch.cat([relabelled(members, SMALL, 4) + 0.1 * drawn_rows(12, SMALL, 5), drawn_rows(6, SMALL, 6), members])
    d = aligned_distance(members, SMALL, nearby=12)
    patient = replace(d, measured=torch.tensor([], dtype=torch.long)).nearest(rows).distance
    for distance in (d, few_measured(d)):
        assert torch.allclose(distance.nearest(rows).distance, patient, atol=1e-6)
    monkeypatch.setattr(AlignedDistance, "_reach", torch.full((12,), torch.inf, dtype=torch.float64))
    hasty = few_measured(d).nearest(rows).distance
    assert (hasty > patient + 0.1).any(), "had they ended it, nearer members would have been missed"


def test_distances_in_units_of_each_tensors_spread():
    members = drawn_rows(5, SMALL, 0)
    found = aligned_distance(members, SMALL, nearby=5).nearest(drawn_rows(4, SMALL, 1))
    assert torch.allclose(found.normalised, found.distance / 2)


def test_rescaled_copies_of_members_whose_units_were_rescaled_are_copies():
    from stages.symmetry.scale import balance

    layout, symmetry = mlp(SMALL)

    def balanced(row: torch.Tensor) -> torch.Tensor:
        weights = layout.unflatten(row)
        return layout.flatten(symmetry.rescale(balance(symmetry, weights), weights))

    members = torch.stack([balanced(row) for row in drawn_rows(4, SMALL, 0)])
    scales = {"hidden 0": torch.tensor([0.5, 2.0, 3.0, 0.2])}
    copies = torch.stack([layout.flatten(symmetry.rescale(scales, layout.unflatten(row))) for row in members])
    balanced_first = aligned_distance(members, SMALL, nearby=4, balance_norms=True)
    assert balanced_first.nearest(copies).distance.max() < 1e-4
    assert aligned_distance(members, SMALL, nearby=4).nearest(copies).distance.min() > 0.1


def test_flipped_and_relabelled_copies_of_tanh_networks_are_copies():
    layout, table = mlp(SMALL)
    groups = {
        n: replace(g, axes=tuple(a._replace(power=0, flips=True) for a in g.axes)) for n, g in table.groups.items()
    }
    odd, draw = Symmetry(groups), torch.Generator().manual_seed(3)
    members = drawn_rows(4, SMALL, 0)
    copies = torch.stack([layout.flatten(random_element(odd, draw).act(odd, layout.unflatten(row))) for row in members])
    form = CanonicalForm(Aligner(odd, "rebasin", streams=True, max_sweeps=100), layout, balance_norms=False)
    knows_signs = AlignedDistance(members, form, members[0], torch.ones(layout.size), nearby=4)
    assert knows_signs.nearest(copies).distance.max() < 1e-5
    assert knows_signs.nearest(copies).member.tolist() == [0, 1, 2, 3]
    assert aligned_distance(members, SMALL, nearby=4).nearest(copies).distance.min() > 0.1


def test_some_members_are_compared_with_all_others():
    rows = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    some = torch.tensor([2, 5, 8])
    every, few = (nearest(rows[which], rows, which) for which in (torch.arange(9), some))
    assert torch.equal(few[0], every[0][some])
    assert torch.equal(few[1], every[1][some])


@pytest.mark.parametrize("nearby", [0, 1, 8])
def test_checkpoints_of_one_run_are_no_neighbours(nearby):
    """Two checkpoints each of four runs: their distances are those between runs, and what is near to either is near."""
    firsts = drawn_rows(4, SMALL, 0)
    members = torch.cat([firsts, relabelled(firsts + 0.01, SMALL, 1)])
    plain = aligned_distance(members, SMALL, nearby)
    grouped = replace(plain, runs=torch.arange(4).repeat(2))
    expected = [
        min(math.dist(a.tolist(), b.tolist()) for j, b in enumerate(members) if j % 4 != i % 4)
        for i, a in enumerate(members)
    ]
    if nearby == 0:
        assert grouped.own.distance.tolist() == pytest.approx(expected, abs=1e-5)
    else:
        assert plain.own.distance.max() < 0.2, "as neighbours they would be"
        assert (grouped.own.distance > 0.5).all()
        assert (grouped.own.distance <= torch.tensor(expected) + 1e-5).all()
    assert (grouped.own.member % 4 != torch.arange(8) % 4).all()
    nearest_once_aligned = [4, 5, 6, 7] if nearby else [0, 1, 2, 3]
    assert grouped.nearest(firsts + 0.009).member.tolist() == nearest_once_aligned, "the search ended too early"


@given(seeds)
def test_the_nearest_member_is_the_nearest(seed: int):
    g = torch.Generator().manual_seed(seed)
    rows, members = torch.randn(6, 7, generator=g), torch.randn(4, 7, generator=g)
    distance, index = nearest(rows, members)
    for i, row in enumerate(rows):
        each = [math.dist(row.tolist(), member.tolist()) for member in members]
        assert float(distance[i]) == pytest.approx(min(each))
        assert int(index[i]) == each.index(min(each))


def test_leave_one_out_distances_skip_oneself_across_blocks():
    rows = torch.arange(600.0)[:, None] * torch.ones(1, 4)
    distance, index = nearest(rows, rows, torch.arange(600))
    assert torch.allclose(distance, torch.full((600,), 2.0, dtype=torch.float64))
    assert (index != torch.arange(600)).all()
