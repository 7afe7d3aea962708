"""Random crops and horizontal flips of a whole batch."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.params.zoo import Augmentation

Images = Float[Tensor, "batch channels height width"]


def augment(images: Images, augmentation: Augmentation, draw: torch.Generator) -> Images:
    """Each image cropped and flipped at random."""
    if augmentation.crop:
        corners = torch.randint(2 * augmentation.crop + 1, (2, len(images)), generator=draw).to(images.device)
        images = crop(images, augmentation.crop, corners)
    if augmentation.flip:
        flipped = torch.rand(len(images), generator=draw).to(images.device) < 0.5
        images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
    return images


def crop(images: Images, pad: int, corners: Tensor) -> Images:
    """Windows of the original size in zero-padded images, at `corners` [2, batch]: top and left."""
    height, width = images.shape[-2:]
    padded = F.pad(images, [pad] * 4)
    rows = corners[0][:, None] + torch.arange(height, device=images.device)
    columns = corners[1][:, None] + torch.arange(width, device=images.device)
    image = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
