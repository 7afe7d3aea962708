"""Trivial baselines: their networks are the members' in the way that each says."""

import pytest
import torch

from stages.evaluation.baseline import with_matched_level
from stages.evaluation.baselines import BASELINES
from stages.evaluation.baselines.gaussian import gaussian_codes
from stages.evaluation.baselines.interpolation import interpolated
from stages.evaluation.baselines.noise import noisy_members
from stages.evaluation.baselines.retrieval import nearest_members
from stages.evaluation.baselines.soup import soups


def test_noise_is_relative_to_each_tensors_spread():
    members = torch.zeros(3, 4000)
    spread = torch.cat([torch.full((2000,), 0.1), torch.full((2000,), 2.0)])
    rows = noisy_members(members, spread, 0.5, 50, torch.Generator().manual_seed(0))
    assert float(rows[:, :2000].std()) == pytest.approx(0.05, rel=0.02)
    assert float(rows[:, 2000:].std()) == pytest.approx(1.0, rel=0.02)


def test_interpolations_lie_between_two_different_members():
    members = torch.eye(6) * 3
    for row in interpolated(members, 0.25, 40, torch.Generator().manual_seed(0)):
        assert sorted(row[row != 0].tolist()) == pytest.approx([0.75, 2.25])


def test_a_soup_is_the_mean_of_different_members_and_all_of_them_give_the_mean():
    members = torch.eye(6)
    rows = soups(members, 3, 20, torch.Generator().manual_seed(0))
    assert torch.allclose(rows.sum(1), torch.ones(20))
    assert ((rows > 0).sum(1) == 3).all()
    assert torch.allclose(soups(members, 6, 1, torch.Generator().manual_seed(0))[0], members.mean(0))


def test_retrieval_gives_members_back():
    members = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(nearest_members(members.flip(0) + 0.01, members), members.flip(0))


def test_the_gaussian_null_has_the_members_moments_in_every_code():
    codes = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.2]) + 2
    drawn = gaussian_codes(codes, lambda z: z, 20_000, torch.Generator().manual_seed(1))
    assert torch.allclose(drawn.mean(0), codes.mean(0), atol=0.15)
    assert torch.allclose(drawn.std(0), codes.std(0), rtol=0.05)


def test_the_generated_networks_own_level_stands_among_the_others_once():
    assert with_matched_level((0.5, 0.1), 0.23456) == [0.1, 0.235, 0.5]
    assert with_matched_level((0.1, 0.235), 0.23456) == [0.1, 0.235]
    assert with_matched_level((0.1,), 0.0) == [0.1], "copies need no level of their own"


def test_every_baseline_is_found_in_the_order_of_the_report():
    assert [b.family for b in BASELINES] == ["noise", "interpolation", "soup", "gaussian", "retrieval", "fresh"]
    assert [b.family for b in BASELINES if b.any_strength] == ["noise", "interpolation"]
