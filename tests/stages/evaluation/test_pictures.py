"""Pictures of weights: densities integrate to one, and filters are those of the layer that sees the image."""

import pytest
import torch

from stages.evaluation.pictures import BINS, FILTERS, KERNELS, pictures


def stacked(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed))


def both(**shapes: tuple[int, ...]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Members and other generated networks with tensors of these shapes."""
    members = {name: stacked(*shape) for name, shape in shapes.items()}
    return members, {name: stacked(*shape, seed=1) for name, shape in shapes.items()}


def test_densities_integrate_to_the_share_within_the_members_range():
    members, generated = both(weight=(5, 7))
    generated["weight"][0] = 100.0
    found = pictures(members, generated, ())["histograms"]
    width = found["edges"]["weight"][1] - found["edges"]["weight"][0]
    assert len(found["edges"]["weight"]) == BINS + 1
    assert width * sum(found["members"]["weight"]) == pytest.approx(1, abs=1e-4)
    assert width * sum(found["generated"]["weight"]) <= 2 / 3 + 1e-4


def test_a_dense_network_on_flattened_images_shows_its_first_units():
    members, generated = both(**{"0.weight": (32, 64), "0.bias": (32,), "1.weight": (10, 32)})
    found = pictures(members, generated, (64,))["filters"]
    assert (found["side"], found["tensor"]) == (8, "0.weight")
    assert torch.equal(torch.tensor(found["members"]), members["0.weight"][0, :FILTERS])
    assert torch.equal(torch.tensor(found["generated"]), generated["0.weight"][0, :FILTERS])


def test_a_dense_network_on_colour_images_shows_every_channel():
    found = pictures(*both(weight=(4, 3 * 64)), (3, 8, 8))["filters"]
    assert found["side"] == 8
    assert [len(row) for row in found["members"]] == [3 * 64] * 4


def test_kernels_of_the_first_real_convolution_are_shown_whatever_comes_before():
    members, generated = both(cls=(1, 8), squeeze=(8, 3, 1, 1), conv=(20, 3, 3, 3), later=(20, 20, 3, 3))
    found = pictures(members, generated, (3, 32, 32))["filters"]
    assert (found["side"], found["tensor"]) == (3, "conv")
    assert torch.equal(torch.tensor(found["members"]), members["conv"][0, :KERNELS].flatten(1))


@pytest.mark.parametrize("shape", [(), (4,), (65,), (3, 8, 9)])
def test_what_sees_no_square_image_has_no_filters(shape):
    size = torch.Size(shape).numel()
    assert "filters" not in pictures(*both(weight=(16, size)), shape)


def test_a_first_layer_that_does_not_see_the_whole_image_is_not_shown():
    assert "filters" not in pictures(*both(embedding=(100, 16), later=(10, 64)), (64,))
