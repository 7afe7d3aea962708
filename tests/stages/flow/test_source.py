"""Laws of the source noise: equal in mean and spread, different in shape, and the same in training and in sampling."""

import pytest
import torch

from stages.flow.path import Law, noise
from stages.params.fit import Source

KURTOSIS: dict[Law, float] = {"gaussian": 3.0, "uniform": 1.8, "laplace": 6.0}
MANY = 400_000


@pytest.mark.parametrize("law", KURTOSIS)
def test_every_law_has_mean_0_spread_1_and_its_own_shape(law: Law):
    draws = noise(law, MANY, generator=torch.Generator().manual_seed(0)).double()
    assert float(draws.mean()) == pytest.approx(0, abs=0.01)
    assert float(draws.std()) == pytest.approx(1, abs=0.01)
    assert float(draws.pow(4).mean()) == pytest.approx(KURTOSIS[law], rel=0.05)


@pytest.mark.parametrize("law", KURTOSIS)
def test_draws_come_from_the_generator_that_is_given(law: Law):
    one, same, other = (noise(law, 3, 5, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert one.shape == (3, 5)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_gaussian_is_torchs_own_so_that_old_results_stay():
    like = torch.zeros(7, 13)
    torch.manual_seed(3)
    before = torch.randn_like(like)
    torch.manual_seed(3)
    assert torch.equal(noise("gaussian", 7, 13), before)


def test_every_law_may_be_asked_for():
    assert {law: Source(law=law).law for law in KURTOSIS} == {law: law for law in KURTOSIS}
    assert Source().law == "gaussian"
