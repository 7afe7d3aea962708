"""Overlap of networks' mistakes with members', against set arithmetic."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_sets import member_reference, outputs_and_targets

from stages.errors import UsageError
from stages.evaluation import aligned_distance
from stages.evaluation.network_set import ious, mistake_overlap
from stages.evaluation.results import results_of

seeds = st.integers(0, 10_000)


def masks(seed: int, networks: int = 5, examples: int = 12) -> torch.Tensor:
    return torch.rand(networks, examples, generator=torch.Generator().manual_seed(seed)) < 0.3


def set_iou(a: torch.Tensor, b: torch.Tensor) -> float:
    first, second = set(a.nonzero().flatten().tolist()), set(b.nonzero().flatten().tolist())
    return len(first & second) / len(first | second) if first | second else 1.0


@given(seeds, seeds)
def test_iou_equals_set_arithmetic(a: int, b: int):
    networks, members = masks(a), masks(b, 4)
    expected = [max(set_iou(n, m) for m in members) for n in networks]
    assert ious(networks, members).amax(1).tolist() == pytest.approx(expected)
    mean = [sum(set_iou(n, m) for m in members) / 4 for n in networks]
    assert ious(networks, members).mean(1).tolist() == pytest.approx(mean)


@given(seeds)
def test_members_are_compared_with_the_others_only(seed: int):
    members = masks(seed)
    expected = [[set_iou(m, o) for j, o in enumerate(members) if j != i] for i, m in enumerate(members)]
    others = mistake_overlap(members, members, torch.arange(5))
    assert others.largest.tolist() == pytest.approx([max(line) for line in expected])
    assert others.mean.tolist() == pytest.approx([sum(line) / len(line) for line in expected])
    assert (mistake_overlap(members, members).largest == 1).all(), "with themselves they are copies"


@given(seeds, st.lists(st.integers(0, 2), min_size=5, max_size=5).filter(lambda runs: len(set(runs)) > 1))
def test_members_are_compared_with_those_of_other_runs_only(seed: int, runs: list[int]):
    members = masks(seed)
    expected = [
        [set_iou(m, o) for o, run in zip(members, runs, strict=True) if run != mine]
        for m, mine in zip(members, runs, strict=True)
    ]
    found = mistake_overlap(members, members, torch.tensor(runs), torch.tensor(runs))
    assert found.largest.tolist() == pytest.approx([max(line) for line in expected])
    assert found.mean.tolist() == pytest.approx([sum(line) / len(line) for line in expected])


def test_overlaps_are_the_same_a_few_networks_at_a_time(monkeypatch):
    members, own = masks(0, 7), torch.tensor([1, 2, 3, 6])
    monkeypatch.setattr(aligned_distance, "BLOCK", 3)
    for mistakes, where in ((masks(1), None), (members[own], own)):
        found = mistake_overlap(mistakes, members, where)
        monkeypatch.setattr(aligned_distance, "BLOCK", 100)
        every = mistake_overlap(mistakes, members, where)
        monkeypatch.setattr(aligned_distance, "BLOCK", 3)
        assert torch.equal(found.largest, every.largest)
        assert torch.equal(found.mean, every.mean)
    assert (mistake_overlap(members[own], members).largest == 1).all(), "with themselves they are copies"


def test_of_numbers_the_members_are_wrong_on_half_of_the_examples():
    outputs, targets = outputs_and_targets(regression=True)
    results = results_of([outputs], targets)
    reference = member_reference(torch.randn(7, 4), results)
    assert float(reference.mistakes(results).float().mean()) == pytest.approx(0.5, abs=0.01)
    assert bool(reference.mistakes(results_of([outputs + 100], targets)).all())


def test_tau_is_refused_where_half_of_the_members_are_copies():
    members = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert member_reference(members, None).tau > 0
    members[1] = members[0]
    with pytest.raises(UsageError, match="at least half of the members are copies"):
        _ = member_reference(members, None).tau
