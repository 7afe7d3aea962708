"""Random draws of a network's training: seeds by purpose, the order of examples, augmentation of images."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.params.zoo import Augmentation
from stages.seeds import generator


@dataclass(frozen=True)
class Seeds:
    """The seed of a training run and the number of its fallback seed; they enter every seed drawn from."""

    seed: int
    attempt: int = 0

    def of(self, purpose: str, network: int, *epoch: int) -> tuple[int | str, ...]:
        """The parts of the seed for one purpose, network and epoch."""
        return (self.seed, purpose, network, self.attempt, *epoch)

    def draw(self, purpose: str, network: int, *epoch: int) -> torch.Generator:
        """A generator with that seed."""
        return generator(*self.of(purpose, network, *epoch))


def orders(seeds: Seeds, batch: int, networks: np.ndarray, epoch: int, examples: int) -> tuple[Tensor, ...]:
    """Positions of the examples [networks, batch] of every step of an epoch, shuffled for each network by itself."""
    draws = [seeds.draw("order", i, epoch) for i in networks.tolist()]
    shuffled = torch.stack([torch.randperm(examples, generator=draw) for draw in draws])
    return shuffled.split(batch, dim=1)


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
