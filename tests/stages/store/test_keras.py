"""Keras's order of axes against convolutions and products written out with channels last."""

import numpy as np
import pytest
import torch
from made_up_zoos import keras_row
from torch import nn

from stages.errors import LayoutMismatch
from stages.store.keras import KerasLayout, Variable, variable_shape
from stages.store.layout import Layout


def variables(*shapes: tuple[str, tuple[int, ...]]) -> list[Variable]:
    found, start = [], 0
    for name, shape in shapes:
        found.append(Variable(name, start, start := start + int(np.prod(shape)), shape))
    return found


CONVOLUTION = ("net/conv2d/kernel:0", (3, 3, 2, 5))
BIAS = ("net/conv2d/bias:0", (5,))
DENSE = ("net/dense/kernel:0", (5, 4))
DENSE_BIAS = ("net/dense/bias:0", (4,))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(2, 5, 3), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).mean((2, 3)))


def test_a_row_computes_what_its_kernels_do_with_channels_last():
    flat = variables(BIAS, CONVOLUTION, DENSE_BIAS, DENSE)
    row = np.random.default_rng(0).standard_normal(flat[-1].stop).astype(np.float32)
    bias, kernel, dense_bias, dense = (row[v.start : v.stop].reshape(v.shape) for v in flat)
    images = np.random.default_rng(1).standard_normal((3, 6, 6, 2)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))  # [n, 4, 4, channels, 3, 3]
    expected = (np.einsum("nyxchw,hwco->nyxo", windows, kernel) + bias).mean((1, 2)) @ dense + dense_bias
    net = Net()
    layout = Layout.of_module(net)
    converted = KerasLayout.of(flat, layout, "layout.csv").rows(torch.from_numpy(row)[None])
    net.load_state_dict({name: tensor[0] for name, tensor in layout.unflatten(converted).items()})
    assert np.allclose(net(torch.from_numpy(images.transpose(0, 3, 1, 2))).detach(), expected, atol=1e-4)


def test_what_was_flattened_as_keras_does_comes_back():
    net = nn.Sequential(nn.Conv2d(1, 3, 2), nn.Conv2d(3, 2, 2), nn.Flatten(), nn.Linear(2, 3))
    flat = variables(
        ("s/conv2d/bias:0", (3,)),
        ("s/conv2d/kernel:0", (2, 2, 1, 3)),
        ("s/conv2d_1/bias:0", (2,)),
        ("s/conv2d_1/kernel:0", (2, 2, 3, 2)),
        ("s/dense/bias:0", (3,)),
        ("s/dense/kernel:0", (2, 3)),
    )
    layout = Layout.of_module(net)
    rows = KerasLayout.of(flat, layout, "layout.csv").rows(torch.from_numpy(keras_row(net.state_dict()))[None])
    assert all(torch.equal(layout.unflatten(rows)[name][0], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([CONVOLUTION, BIAS], r"has 1 layers \(net/conv2d\), but zoo.network has 2"),
        ([CONVOLUTION, BIAS, ("net/dense/kernel:0", (5, 3)), DENSE_BIAS], r"kernel:0 has shape \(3, 5\) in torch"),
        ([CONVOLUTION, BIAS, DENSE], r"tensor 'head\.bias' of zoo\.network is missing"),
        ([CONVOLUTION, BIAS, DENSE, ("net/dense/gain:0", (4,))], r"gain:0 would be 'head\.gain'"),
        ([CONVOLUTION, BIAS, ("net/dense/kernel:0", (80, 4)), DENSE_BIAS], "reads 80 values, all positions of"),
        ([CONVOLUTION, BIAS, ("net/dense/kernel:0", ()), DENSE_BIAS], r"kernel:0 has shape \(\) in torch"),
        ([CONVOLUTION, BIAS, ("net/dense/kernel:0", (1,) * 6), DENSE_BIAS], r"kernel:0 has shape \(\) in torch"),
    ],
)
def test_what_does_not_fit_is_named(shapes, said):
    with pytest.raises(LayoutMismatch, match=said):
        KerasLayout.of(variables(*shapes), Layout.of_module(Net()), "layout.csv")


def test_columns_beyond_64_bits_are_refused():
    wrong = [*variables(CONVOLUTION, BIAS), Variable("net/dense/kernel:0", 95, 115, (2**40, 2**40))]
    with pytest.raises(LayoutMismatch, match=r"has columns 95 to 115; expected 95 to 12089258196"):
        KerasLayout.of(wrong, Layout.of_module(Net()), "layout.csv")


def test_columns_that_overlap_or_leave_gaps_are_refused():
    wrong = [*variables(CONVOLUTION, BIAS), Variable("net/dense/kernel:0", 90, 110, (5, 4))]
    with pytest.raises(LayoutMismatch, match=r"has columns 90 to 110; expected 95 to 115"):
        KerasLayout.of(wrong, Layout.of_module(Net()), "layout.csv")


@pytest.mark.parametrize(("text", "shape"), [("(3, 3, 1, 16)", (3, 3, 1, 16)), ("(10,)", (10,)), ("[2 3]", (2, 3))])
def test_shapes_are_read_as_they_are_printed(text, shape):
    assert variable_shape(text) == shape
