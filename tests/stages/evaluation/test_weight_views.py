"""Views of weights: densities integrate to one, and filters are those of the layer that sees the image."""

import pytest
import torch

from stages.evaluation.weight_views import BINS, FILTERS, KERNELS, filters, histograms


def stacked(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed))


def members_and_generated(**shapes: tuple[int, ...]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Members and other generated networks with tensors of these shapes."""
    members = {name: stacked(*shape) for name, shape in shapes.items()}
    return members, {name: stacked(*shape, seed=1) for name, shape in shapes.items()}


def test_densities_integrate_to_the_share_within_the_members_range():
    members, generated = members_and_generated(weight=(5, 7))
    generated["weight"][0] = 100.0
    views = histograms(members, generated)
    width = views.edges["weight"][1] - views.edges["weight"][0]
    assert len(views.edges["weight"]) == BINS + 1
    assert width * sum(views.members["weight"]) == pytest.approx(1, abs=1e-4)
    assert width * sum(views.generated["weight"]) <= 2 / 3 + 1e-4


def test_a_dense_network_on_flattened_images_shows_its_first_units():
    members, generated = members_and_generated(**{"0.weight": (32, 64), "0.bias": (32,), "1.weight": (10, 32)})
    views = filters(members, generated, (64,))
    assert views
    assert (views.side, views.tensor) == (8, "0.weight")
    assert torch.equal(torch.tensor(views.members), members["0.weight"][0, :FILTERS])
    assert torch.equal(torch.tensor(views.generated), generated["0.weight"][0, :FILTERS])


def test_a_dense_network_on_colour_images_shows_every_channel():
    views = filters(*members_and_generated(weight=(4, 3 * 64)), (3, 8, 8))
    assert views
    assert views.side == 8
    assert [len(row) for row in views.members] == [3 * 64] * 4


def test_kernels_of_the_first_real_convolution_are_shown_whatever_comes_before():
    members, generated = members_and_generated(
        cls=(1, 8), squeeze=(8, 3, 1, 1), conv=(20, 3, 3, 3), later=(20, 20, 3, 3)
    )
    views = filters(members, generated, (3, 32, 32))
    assert views
    assert (views.side, views.tensor) == (3, "conv")
    assert torch.equal(torch.tensor(views.members), members["conv"][0, :KERNELS].flatten(1))


@pytest.mark.parametrize("shape", [(), (4,), (65,), (3, 8, 9)])
def test_a_layer_that_sees_no_square_image_has_no_filters(shape):
    size = torch.Size(shape).numel()
    assert filters(*members_and_generated(weight=(16, size)), shape) is None


def test_a_first_layer_that_does_not_see_the_whole_image_is_not_shown():
    assert filters(*members_and_generated(embedding=(100, 16), later=(10, 64)), (64,)) is None
