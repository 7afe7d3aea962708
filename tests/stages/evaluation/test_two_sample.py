"""Tests of two samples on samples whose answer is known."""

import pytest
import torch

from stages.evaluation import two_sample as twosample


def normal(count: int, seed: int, shift: float = 0.0, scale: float = 1.0, features: int = 12) -> torch.Tensor:
    return shift + scale * torch.randn(count, features, generator=torch.Generator().manual_seed(seed))


def test_its_error_is_the_exact_one_at_chance():
    n, m = 30, 20  # Var(AUC) = (n + m + 1) / 12nm for scores without ties; Hanley and McNeil's form agrees at 1/2
    assert twosample.auc_error(0.5, n, m) ** 2 == pytest.approx((n + m + 1) / (12 * n * m), rel=1e-9)
    assert twosample.auc_error(1.0, n, m) == 0


def test_equal_samples_are_at_chance_in_about_nineteen_of_twenty_cases():
    found = [twosample.separability(normal(60, 2 * i), normal(25, 2 * i + 1), seed=i) for i in range(60)]
    inside = sum(test["low"] <= 0.5 <= test["high"] for test in found if test)
    assert inside >= 51
    assert sum(test["auc"] for test in found if test) / 60 == pytest.approx(0.5, abs=0.03), "and not below it either"


@pytest.mark.parametrize("other", [{"shift": 1.0}, {"scale": 0.4}, {"scale": 2.5}])
def test_a_moved_or_rescaled_sample_is_told(other):
    found = twosample.separability(normal(60, 0), normal(25, 1, **other))
    assert found
    assert found["low"] > 0.5


def test_the_interval_is_narrower_with_more_networks():
    few, many = (twosample.separability(normal(n, 0), normal(n, 1)) for n in (20, 200))
    assert few
    assert many
    assert many["high"] - many["low"] < (few["high"] - few["low"]) / 2


def test_a_single_held_out_member_is_no_sample():
    assert twosample.separability(normal(9, 0), normal(1, 1)) is None


def brute_mmd(a: torch.Tensor, b: torch.Tensor, kernel: torch.Tensor) -> float:
    n, m = len(a), len(b)
    within = sum(kernel[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel[n + i, n + j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return float(within + other - 2 * sum(kernel[i, n + j] for i in range(n) for j in range(m)) / (n * m))


def test_mmd_is_the_sum_over_pairs():
    a, b = normal(6, 0), normal(4, 1, shift=0.5)
    kernel = twosample.gaussian_kernel(torch.cat([a, b]).double())
    assert twosample.mmd(a, b)["value"] == pytest.approx(brute_mmd(a, b, kernel))


def test_relabelled_samples_have_their_own_sums_over_pairs():
    both = normal(10, 0).double()
    kernel = twosample.gaussian_kernel(both)
    orders = torch.stack([torch.arange(10), torch.arange(10).flip(0), torch.arange(10).roll(3)])
    found = twosample._discrepancies(kernel, orders, 6).tolist()
    brute = [brute_mmd(both[o[:6]], both[o[6:]], kernel[o][:, o]) for o in orders]
    assert found == pytest.approx(brute)
    assert found[0] != pytest.approx(found[2])


def test_the_kernel_is_one_on_itself_and_known_at_its_width():
    kernel = twosample.gaussian_kernel(torch.tensor([[0.0], [1.0]]))
    assert kernel.diagonal().tolist() == [1, 1]
    assert float(kernel[0, 1]) == pytest.approx(0.6065, abs=1e-4)  # exp(-1/2)


def test_permutations_find_a_shift_and_nothing_where_there_is_none():
    assert twosample.mmd(normal(40, 0), normal(40, 1, shift=1.0))["p"] < 0.01
    p = [twosample.mmd(normal(20, 2 * i), normal(20, 2 * i + 1), permutations=99)["p"] for i in range(30)]
    assert sum(value <= 0.05 for value in p) <= 5
    assert 0.3 < sum(p) / 30 < 0.7, "p-values are uniform"


def test_leading_coordinates_keep_distances_when_there_are_enough():
    a, b = normal(5, 0), normal(4, 1)
    x, y = twosample.leading(a, b, directions=12)
    assert torch.allclose(torch.cdist(x, y).float(), torch.cdist(a, b), atol=1e-4)
    assert twosample.leading(a, b, directions=3)[0].shape == (5, 3)
