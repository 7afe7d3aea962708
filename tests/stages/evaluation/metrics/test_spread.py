"""Metrics of spread on codes and rows whose spread is known."""

import pytest
import torch

from stages.evaluation.metrics.spread import count_duplicates, relative_spread, spread_by_direction


def test_dispersion_is_the_factor_by_which_codes_are_spread():
    codes = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    shrunk = codes.mean(0) + 0.3 * (codes - codes.mean(0))
    assert relative_spread(codes, codes) == pytest.approx(1)
    assert relative_spread(shrunk, codes) == pytest.approx(0.3, rel=1e-5)
    along_one = shrunk.clone()
    along_one[:, 1:] = codes[:, 1:]
    assert spread_by_direction(along_one, codes).tolist() == pytest.approx([0.3, 1, 1], rel=1e-4)


def test_duplicates_are_counted_once_each():
    rows = torch.tensor([[0.0], [0.0], [1.0], [0.0]])
    assert count_duplicates(torch.cdist(rows, rows), 1e-6) == 2
