"""The table of `dwf symmetry`."""

import pytest

from pipeline.symmetries import coverage_of
from stages.params.network import MLP


def test_coverage_counts_the_parameters_that_some_group_lies_on():
    coverage = coverage_of(MLP(widths=(4, 6, 3)))
    assert coverage.parameters == 4 * 6 + 6 + 6 * 3 + 3
    assert coverage.covered == pytest.approx((coverage.parameters - 3) / coverage.parameters)  # not the output's bias
    assert coverage.vacuous == ()
