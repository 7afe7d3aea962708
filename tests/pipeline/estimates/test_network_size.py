"""Sizes by formula against those of the modules themselves."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.estimates.network_size import network_size
from stages.nets.registry import build
from stages.params.network import CNN, MLP, Bert, Model, Network, ResNet, ResNet18, ViT
from stages.store.layout import Layout

few, widths = st.integers(1, 5), st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)
architectures = st.one_of(
    st.lists(st.integers(1, 9), min_size=2, max_size=5).map(lambda w: MLP(widths=tuple(w))),
    st.builds(CNN, size=st.integers(1, 12), channels=few, classes=st.integers(2, 4), widths=widths),
    st.builds(
        ResNet, size=st.integers(1, 12), channels=few, classes=st.integers(2, 4), width=few, blocks=st.tuples(few, few)
    ),
)


def check(network: Network) -> None:
    with torch.device("meta"):
        layout = Layout.of_module(build(network))
    size = network_size(network)
    assert size is not None
    assert (size.parameters, size.buffers) == (layout.parameter_layout.size, layout.buffer_layout.size)
    assert size.values == layout.size


@given(architectures)
def test_parameters_and_buffers_are_as_the_module_has_them(network: Network):
    check(network)


@pytest.mark.parametrize(
    "network",
    [
        ResNet18(channels=1, classes=3),
        ViT(size=8, patch=4, channels=1, dim=12, depth=2, mlp_ratio=0.7, classes=3),
        Bert(vocabulary=11, dim=6, depth=3, mlp=7, length=9),
        Bert(vocabulary=11, dim=6, depth=1, mlp=7, length=9, pool="mean"),
    ],
    ids=lambda network: network.kind,
)
def test_so_they_are_for_networks_of_libraries(network: Network):
    check(network)


def test_products_are_counted_at_every_position_of_an_image():
    size = network_size(CNN(size=8, channels=1, widths=(2,), classes=3))
    assert size is not None
    assert size.products == 9 * 2 * 4**2 + 2 * 4**2 * 3


def test_the_size_of_a_model_of_other_code_is_not_known():
    assert (
        network_size(Model(model="torch.nn:Linear", kwargs={"in_features": 2, "out_features": 2}, input=(2,))) is None
    )
