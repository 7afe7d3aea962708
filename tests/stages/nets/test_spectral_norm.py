"""Singular vectors of spectral normalization, against what torch's own power iteration converges to."""

import warnings
from collections.abc import Callable

import pytest
import torch
from strategies import assert_close
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm

from stages.nets.spectral_norm import singular_vectors, with_singular_vectors
from stages.nets.stacked import outputs
from stages.store.layout import Layout


def old_spectral_norm(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return spectral_norm(layer)


STYLES = {"parametrization": parametrizations.spectral_norm, "hook": old_spectral_norm}


def network(norm: Callable[[nn.Module], nn.Module]) -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 3, 3), nn.ConvTranspose2d(3, 2, 2), nn.Linear(50, 4))
    first, second, third = (norm(layer) for layer in layers)
    return nn.Sequential(first, nn.ReLU(), second, nn.Flatten(), third)


@pytest.mark.parametrize("style", STYLES)
def test_they_are_what_power_iteration_converges_to(style):
    module = network(STYLES[style])
    layout = Layout.of_module(module).parameter_layout
    rows = torch.randn(2, layout.size, generator=torch.Generator().manual_seed(3))
    found, inputs = with_singular_vectors(module, layout.unflatten(rows)), torch.randn(4, 1, 6, 6)
    assert set(found) == {slot.name for slot in Layout.of_module(module).slots if slot.buffer}
    computed = outputs(module, layout, rows, inputs, found)
    for i, row in enumerate(rows):
        plain = network(STYLES[style])
        plain.load_state_dict(layout.unflatten(row), strict=False)
        stale = plain.eval()(inputs).detach()
        for _ in range(300):
            plain.train()(inputs)
        assert_close(computed[i], plain.eval()(inputs).detach(), 1e-4)
        assert float((computed[i] - stale).abs().max()) > 0.01, "another network's vectors would do as well"


def test_overflown_weights_have_no_vectors_and_trouble_no_other_network():
    module = network(STYLES["parametrization"])
    layout = Layout.of_module(module).parameter_layout
    rows = torch.randn(2, layout.size, generator=torch.Generator().manual_seed(3))
    layout.unflatten(rows)["0.parametrizations.weight.original"][0, 0] = torch.inf
    found = with_singular_vectors(module, layout.unflatten(rows))
    alone = with_singular_vectors(module, layout.unflatten(rows[1:]))
    assert any(bool(values[0].isnan().all()) for values in found.values())
    assert all(bool(torch.isfinite(values[1]).all()) for values in found.values())
    assert all(torch.allclose(values[1].abs(), alone[name][0].abs(), atol=1e-4) for name, values in found.items())


def test_plain_layers_and_vectors_have_none():
    module = nn.Sequential(nn.Linear(3, 3), parametrizations.spectral_norm(nn.LayerNorm(3)))
    assert list(singular_vectors(module)) == []
