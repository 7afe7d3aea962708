"""Crops and mirror images, against slicing."""

import torch
from torch.nn import functional as F

from stages.members.draws import augment, crop
from stages.params.zoo import Augmentation

IMAGES = torch.randn(200, 3, 6, 5, generator=torch.Generator().manual_seed(0))


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_crop_is_a_window_of_the_padded_image():
    corners = torch.randint(5, (2, 200), generator=draw())
    found = crop(IMAGES, 2, corners)
    padded = F.pad(IMAGES, [2] * 4)
    for i, (top, left) in enumerate(corners.T.tolist()):
        assert torch.equal(found[i], padded[i, :, top : top + 6, left : left + 5])


def test_every_offset_occurs_and_images_move_independently():
    found = augment(IMAGES, Augmentation(crop=1), draw())
    padded = F.pad(IMAGES, [1] * 4)
    windows = [padded[:, :, top : top + 6, left : left + 5] for top in range(3) for left in range(3)]
    seen = torch.stack([(found == w).flatten(1).all(1) for w in windows])
    assert bool((seen.sum(0) == 1).all())
    assert bool((seen.sum(1) > 5).all())


def test_about_half_of_the_images_are_mirrored_and_the_others_left_alone():
    found = augment(IMAGES, Augmentation(flip=True), draw())
    mirrored, kept = ((found == other).flatten(1).all(1) for other in (IMAGES.flip(-1), IMAGES))
    assert bool((mirrored ^ kept).all())
    assert 70 < int(mirrored.sum()) < 130


def test_draws_are_the_generator_s_alone():
    how = Augmentation(crop=2, flip=True)
    assert torch.equal(augment(IMAGES, how, draw(1)), augment(IMAGES, how, draw(1)))
    assert not torch.equal(augment(IMAGES, how, draw(1)), augment(IMAGES, how, draw(2)))
