from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import assert_close, generators

from stages.flow.spaces.codes import (
    FLOOR,
    codes_along,
    effective_rank,
    mean_and_covariance,
    mean_and_gram,
    principal_codes,
    principal_directions,
    spectrum,
)

N, P = 8, 50
TRAIN = torch.arange(N) < 6


def rows(draw: torch.Generator, n: int = N, parameters: int = P) -> torch.Tensor:
    """Directions of unlike variance around a mean that isn't zero."""
    return torch.randn(n, parameters, generator=draw) * torch.linspace(0.1, 3, parameters) + 1


def blocks(values: torch.Tensor, step: int = 7):
    return [(a, min(a + step, values.shape[1]), values[:, a : a + step]) for a in range(0, values.shape[1], step)]


def reduced(values, train, step: int = 7):
    return mean_and_gram(blocks(values, step), train, values.shape[1])


def decoded(codes, values, mean, train, step: int = 7):
    parts = [part for *_, part in codes.decode(values, mean, blocks(train, step))]
    return torch.cat(parts, 1)


@given(draw=generators(), step=st.integers(1, P))
def test_mean_and_gram_equal_numpy_for_any_blocking(draw, step):
    x = rows(draw)
    mean, gram = reduced(x, TRAIN, step)
    exact = x.double().numpy()
    centred = exact - exact[:6].mean(0)
    assert_close(mean.double(), torch.from_numpy(exact[:6].mean(0)), 1e-6)
    assert_close(gram, torch.from_numpy(centred @ centred.T), 1e-5)


@given(draw=generators())
def test_heldout_rows_do_not_shape_mean_or_codes(draw):
    x = rows(draw)
    other = x.clone()
    other[6:] = 100 * rows(draw)[6:]
    (mean, gram), (mean2, gram2) = reduced(x, TRAIN), reduced(other, TRAIN)
    assert torch.equal(mean, mean2)
    assert torch.equal(gram[:6, :6], gram2[:6, :6])
    assert not torch.equal(gram, gram2)


@given(draw=generators(), whiten=st.booleans(), step=st.integers(1, P))
def test_codes_of_full_rank_decode_to_the_rows(draw, whiten, step):
    x = rows(draw)[:6]
    mean, gram = reduced(x, TRAIN[:6])
    codes = principal_codes(gram, None, whiten)
    assert codes.components == 5
    assert_close(decoded(codes, codes.encode(gram), mean, x, step), x, 1e-5)


@given(draw=generators(), k=st.integers(1, 5))
def test_codes_equal_the_scores_of_a_singular_value_decomposition(draw, k):
    x = rows(draw)[:6]
    mean, gram = reduced(x, TRAIN[:6])
    codes = principal_codes(gram, k, whiten=False)
    exact = x.double().numpy()
    u, s, vt = np.linalg.svd(exact - exact.mean(0), full_matrices=False)
    found, expected = codes.encode(gram).double().numpy(), u[:, :k] * s[:k]
    signs = np.sign((found * expected).sum(0))
    assert np.allclose(found * signs, expected, atol=1e-4 * s[0])
    truncated = exact.mean(0) + expected @ vt[:k]
    assert_close(decoded(codes, codes.encode(gram), mean, x).double(), torch.from_numpy(truncated), 1e-4)


@given(draw=generators(), whiten=st.booleans())
def test_a_heldout_row_is_encoded_by_projecting_it(draw, whiten):
    x = rows(draw)
    _, gram = reduced(x, TRAIN)
    codes = principal_codes(gram[:6, :6], None, whiten)
    centred = x.double() - x[:6].double().mean(0)
    components = codes.basis.T @ centred[:6]  # k x P, which the code itself never forms
    assert_close(components @ components.T, torch.eye(5, dtype=torch.float64), 1e-4)
    assert_close(codes.encode(gram[6:, :6]).double(), centred[6:] @ components.T / codes.scale, 1e-4)


@given(draw=generators())
def test_whitened_codes_have_mean_zero_and_variance_one(draw):
    _, gram = reduced(rows(draw)[:6], TRAIN[:6])
    found = principal_codes(gram, None, whiten=True).encode(gram).double()
    assert_close(found.T @ found / 6, torch.eye(5, dtype=torch.float64), 1e-5)
    assert float(found.mean(0).abs().max()) < 1e-5


@given(draw=generators(), step=st.integers(1, P))
def test_codes_do_not_depend_on_the_blocking_of_their_rows(draw, step):
    x = rows(draw)[:6]
    a = principal_codes(reduced(x, TRAIN[:6])[1], 3, whiten=True)
    b = principal_codes(reduced(x, TRAIN[:6], step)[1], 3, whiten=True)
    assert_close(a.basis, b.basis, 1e-3)  # the same signs, too


@pytest.mark.parametrize("offset", [0, 10, 1000, 10_000])
def test_a_large_mean_does_not_destroy_the_spectrum(offset):
    draw = torch.Generator().manual_seed(0)
    n, parameters = 60, 4000
    x = offset + torch.randn(n, parameters, generator=draw) * torch.linspace(0.01, 1, parameters)
    _, gram = reduced(x, torch.ones(n, dtype=torch.bool), 500)
    exact = x.double() - x.double().mean(0)
    expected = torch.linalg.eigvalsh(exact @ exact.T).flip(0)[: n - 1] / n
    values = spectrum(gram)
    assert float(((values[: n - 1] - expected) / expected).abs().max()) < 1e-3
    assert principal_codes(gram, None, whiten=True).components == n - 1  # and makes no direction up


def test_a_weight_that_is_not_finite_names_network_and_columns():
    x = rows(torch.Generator().manual_seed(0))
    x[3, 30] = float("nan")
    with pytest.raises(ValueError, match=r"network 3 has a weight that isn't finite in columns 28:35"):
        reduced(x, TRAIN)


def test_components_stop_where_the_variance_does():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(6, 2, generator=draw) @ torch.randn(2, P, generator=draw)
    _, gram = reduced(x, TRAIN[:6])
    assert principal_codes(gram, None, whiten=True).components == 2
    assert principal_codes(gram, 4, whiten=True).components == 2


def test_equal_rows_carry_no_codes():
    _, gram = reduced(torch.ones(6, P), TRAIN[:6])
    assert principal_codes(gram, None, whiten=True).components == 0


@given(draw=generators())
def test_the_spectrum_is_the_variance_along_each_direction(draw):
    x = rows(draw)[:6]
    _, gram = reduced(x, TRAIN[:6])
    values = spectrum(gram)
    assert values.shape == (5,)  # centring takes the sixth
    assert bool((values[:-1] >= values[1:]).all())
    assert bool((values >= 0).all())
    assert float(values.sum()) == pytest.approx(float(x.double().var(0, correction=0).sum()), rel=1e-5)


@pytest.mark.parametrize("n", [1, 2, 99])
def test_effective_rank_of_a_flat_spectrum_is_its_length(n):
    assert effective_rank(torch.full((n,), 0.3, dtype=torch.float64)) == pytest.approx(n)


def test_effective_rank_closed_forms():
    assert effective_rank(torch.tensor([5.0, 0.0, 0.0])) == pytest.approx(1)
    assert effective_rank(torch.tensor([3.0, 1.0])) == pytest.approx(exp(0.75 * log(4 / 3) + 0.25 * log(4)))
    assert effective_rank(torch.tensor([6.0, 2.0])) == pytest.approx(effective_rank(torch.tensor([3.0, 1.0])))


def row_blocks(values: torch.Tensor, step: int = 4):
    return [(a, min(a + step, len(values)), values[a : a + step]) for a in range(0, len(values), step)]


def along(values: torch.Tensor, train: torch.Tensor, step: int = 4):
    """Mean, variances and directions by way of the covariance."""
    mean, covariance = mean_and_covariance(row_blocks(values, step), train, values.shape[1])
    return mean, *principal_directions(covariance, int(train.sum()) - 1)


@pytest.mark.parametrize("n", [8, 90])
@given(draw=generators(), whiten=st.booleans(), step=st.integers(1, 100))
def test_gram_and_covariance_give_the_same_codes(n, draw, whiten, step):
    """Fewer networks than parameters, and more."""
    x, train = rows(draw, n), torch.arange(n) < n - 2
    fits = x[train]
    mean, gram = reduced(x, train)
    mean2, variance, directions = along(x, train, step)
    values = spectrum(gram[train][:, train])
    k = min(len(fits) - 1, P)
    assert len(variance) == k
    assert_close(mean2, mean, 1e-6)
    assert_close(variance, values[:k], 1e-4)
    assert bool((values[k:] < FLOOR * values[0]).all())
    leading = 3  # the others' order could hang on round-off
    a, b = principal_codes(gram[train][:, train], leading, whiten), codes_along(directions, variance, leading, whiten)
    assert_close(b.scale, a.scale, 1e-4)
    one, two = a.encode_rows(x, mean, fits), b.encode_rows(x, mean2, fits)
    assert_close(a.encode(gram[:, train]), one, 1e-4)
    signs = (one * two).sum(0).sign()
    assert_close(two * signs, one, 1e-2)
    assert not torch.allclose(two[:, [1, 0, 2]] * signs, one, atol=0.1), "and not those of other directions"
    assert_close(b.decode_rows(two, mean2, fits), a.decode_rows(one, mean, fits), 1e-2)


@given(draw=generators(), whiten=st.booleans())
def test_where_networks_are_many_all_rows_come_back_from_their_codes(draw, whiten):
    x, train = rows(draw, 90), torch.arange(90) < 80
    mean, variance, directions = along(x, train)
    codes = codes_along(directions, variance, None, whiten)
    assert codes.components == P
    points = codes.encode_rows(x, mean, x[train])
    assert_close(codes.decode_rows(points, mean, x[train]), x, 1e-5)  # held-out ones, too: components span everything
    assert_close(decoded(codes, points, mean, x[train]), x, 1e-5)
    if whiten:
        assert_close(points[train].double().var(0, correction=0), torch.ones(P, dtype=torch.float64), 1e-4)
    few = codes_along(directions, variance, P // 2, whiten)
    lost = few.decode_rows(few.encode_rows(x, mean, x[train]), mean, x[train]) - x
    assert float(lost.abs().max()) > 0.1, "half of the components don't do"


def test_heldout_rows_do_not_shape_directions():
    draw = torch.Generator().manual_seed(0)
    x, train = rows(draw, 90), torch.arange(90) < 80
    other = x.clone()
    other[80:] *= 100
    assert all(torch.equal(a, b) for a, b in zip(along(x, train), along(other, train), strict=True))
    everyone = torch.ones(90, dtype=torch.bool)
    assert not torch.equal(along(x, everyone)[1], along(other, everyone)[1])


@pytest.mark.parametrize("offset", [0, 1000, 10_000])
def test_a_large_mean_does_not_destroy_the_covariance(offset):
    draw = torch.Generator().manual_seed(0)
    x = offset + torch.randn(300, 40, generator=draw) * torch.linspace(0.01, 1, 40)
    exact = torch.linalg.eigvalsh(x.double().T.cov(correction=0)).flip(0)
    assert_close(along(x, torch.ones(300, dtype=torch.bool))[1] / exact, torch.ones(40, dtype=torch.float64), 1e-6)


def test_a_weight_that_is_not_finite_names_the_network_in_any_block():
    x = rows(torch.Generator().manual_seed(0), 90)
    x[33, 30] = float("inf")
    with pytest.raises(ValueError, match=r"network 33 has a weight that isn't finite in columns 0:50"):
        along(x, torch.arange(90) < 80)
