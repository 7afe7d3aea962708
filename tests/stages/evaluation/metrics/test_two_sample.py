"""Two-sample tests on samples whose answer is known."""

import pytest
import torch

from stages.evaluation.metrics.two_sample import (
    _discrepancies,
    auc_error,
    gaussian_kernel,
    leading,
    mmd,
    separability,
)


def normal(count: int, seed: int, shift: float = 0.0, scale: float = 1.0, features: int = 12) -> torch.Tensor:
    return shift + scale * torch.randn(count, features, generator=torch.Generator().manual_seed(seed))


def test_the_error_of_an_auc_is_the_exact_one_at_chance():
    n, m = 30, 20  # Var(AUC) = (n + m + 1) / 12nm for scores without ties; Hanley and McNeil's form agrees at 1/2
    assert auc_error(0.5, n, m) ** 2 == pytest.approx((n + m + 1) / (12 * n * m), rel=1e-9)
    assert auc_error(1.0, n, m) == 0


@pytest.mark.slow
def test_equal_samples_are_at_chance_in_about_nineteen_of_twenty_cases():
    pairs = [(normal(60, 2 * i, features=4), normal(25, 2 * i + 1, features=4)) for i in range(24)]
    tests = [test for i, pair in enumerate(pairs) if (test := separability(*pair, seed=i))]
    inside = sum(test.low <= 0.5 <= test.high for test in tests)
    assert inside >= 20
    assert sum(test.auc for test in tests) / 24 == pytest.approx(0.5, abs=0.03), "and not below it either"


@pytest.mark.parametrize("other", [{"shift": 1.0}, {"scale": 0.4}, {"scale": 2.5}])
def test_a_moved_or_rescaled_sample_is_separated(other):
    test = separability(normal(60, 0), normal(25, 1, **other))
    assert test
    assert test.low > 0.5


def test_the_interval_is_narrower_with_more_networks():
    few, many = (separability(normal(n, 0), normal(n, 1)) for n in (20, 200))
    assert few
    assert many
    assert many.high - many.low < (few.high - few.low) / 2


def test_a_single_held_out_member_is_no_sample():
    assert separability(normal(9, 0), normal(1, 1)) is None


def mmd_over_pairs(a: torch.Tensor, b: torch.Tensor, kernel: torch.Tensor) -> float:
    n, m = len(a), len(b)
    within = sum(kernel[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel[n + i, n + j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return float(within + other - 2 * sum(kernel[i, n + j] for i in range(n) for j in range(m)) / (n * m))


def test_mmd_is_the_sum_over_pairs():
    a, b = normal(6, 0), normal(4, 1, shift=0.5)
    kernel = gaussian_kernel(torch.cat([a, b]).double())
    assert mmd(a, b).value == pytest.approx(mmd_over_pairs(a, b, kernel))


def test_relabelled_samples_have_their_own_sums_over_pairs():
    both = normal(10, 0).double()
    kernel = gaussian_kernel(both)
    orders = torch.stack([torch.arange(10), torch.arange(10).flip(0), torch.arange(10).roll(3)])
    sums = _discrepancies(kernel, orders, 6).tolist()
    by_pairs = [mmd_over_pairs(both[o[:6]], both[o[6:]], kernel[o][:, o]) for o in orders]
    assert sums == pytest.approx(by_pairs)
    assert sums[0] != pytest.approx(sums[2])


def test_the_kernel_is_one_on_itself_and_known_at_its_width():
    kernel = gaussian_kernel(torch.tensor([[0.0], [1.0]]))
    assert kernel.diagonal().tolist() == [1, 1]
    assert float(kernel[0, 1]) == pytest.approx(0.6065, abs=1e-4)  # exp(-1/2)


def test_permutations_find_a_shift_and_nothing_where_there_is_none():
    assert mmd(normal(40, 0), normal(40, 1, shift=1.0)).p < 0.01
    p = [mmd(normal(20, 2 * i), normal(20, 2 * i + 1), permutations=99).p for i in range(30)]
    assert sum(value <= 0.05 for value in p) <= 5
    assert 0.3 < sum(p) / 30 < 0.7, "p-values are uniform"


def test_leading_coordinates_keep_distances_when_there_are_enough():
    a, b = normal(5, 0), normal(4, 1)
    x, y = leading(a, b, directions=12)
    assert torch.allclose(torch.cdist(x, y).float(), torch.cdist(a, b), atol=1e-4)
    assert leading(a, b, directions=3)[0].shape == (5, 3)
