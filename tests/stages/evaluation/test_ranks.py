"""Rank statistics against counting pairs, SciPy's test and scikit-learn's curve."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm
from sklearn.metrics import roc_auc_score

from stages.evaluation.ranks import exceedance, standardized_u

values = st.lists(st.integers(-3, 3), min_size=2, max_size=12)
"""Few different ones, so that there are ties."""


def tensor(numbers: list[int]) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


@given(values, values)
def test_the_exceedance_is_the_share_of_pairs(first: list[int], second: list[int]):
    pairs = [(b > a) + 0.5 * (b == a) for a in first for b in second]
    share = float(exceedance(tensor(first)[None], tensor(second)[None]))
    assert share == pytest.approx(sum(pairs) / len(pairs))
    labels = [0] * len(first) + [1] * len(second)
    assert share == pytest.approx(roc_auc_score(labels, first + second))


def test_every_group_has_its_own():
    first, second = torch.tensor([[0.0, 1.0], [5.0, 6.0]]), torch.tensor([[2.0], [2.0]])
    assert exceedance(first, second).tolist() == [1.0, 0.0]


@given(values, values)
def test_the_standardized_statistic_is_that_of_the_test_of_mann_and_whitney(first: list[int], second: list[int]):
    z = standardized_u(tensor(first), tensor(second))
    assert z == pytest.approx(-standardized_u(tensor(second), tensor(first)))
    if len({*first, *second}) == 1:
        assert z == 0
        return
    p = mannwhitneyu(first, second, use_continuity=False, method="asymptotic").pvalue
    assert 2 * norm.sf(abs(z)) == pytest.approx(p)


def test_a_second_sample_of_smaller_values_is_below_zero():
    assert standardized_u(torch.arange(10.0) + 5, torch.arange(10.0)) < -2
