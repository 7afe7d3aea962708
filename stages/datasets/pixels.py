"""Images of bytes: order of axes, size, and channels."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stages.errors import UsageError


def channels_first(pixels: np.ndarray) -> np.ndarray:
    """Images [examples, channels, height, width]; grey ones may come without channels, others with them last."""
    if pixels.ndim == 3:
        return pixels[:, None]
    last = pixels.shape[-1] in (1, 3) and pixels.shape[1] not in (1, 3)
    return pixels.transpose(0, 3, 1, 2) if last or pixels.shape[-1] == 3 else pixels


def of_size(pixels: np.ndarray, size: int | None) -> np.ndarray:
    """Images [..., height, width] whose shorter side is scaled to `size`, cropped to a square at the centre."""
    if size is None or pixels.shape[-2:] == (size, size):
        return pixels
    from torchvision.transforms.functional import center_crop, resize

    return center_crop(resize(torch.from_numpy(pixels), [size], antialias=True), [size, size]).numpy()


def of_channels(images: Tensor, channels: int | None, name: str) -> Tensor:
    """Grey images [examples, 1, height, width] repeated in so many channels, where asked for.

    Raises UsageError if they have more channels than that.
    """
    found = images.shape[1]
    if channels in (None, found):
        return images
    if found != 1:
        raise UsageError(f"zoo.dataset.channels: {channels}, but {name}'s images have {found}")
    return images.repeat(1, channels, 1, 1)


def alike(images: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Images [channels, height, width] as one array, grey ones in three channels if there are any of colours.

    Raises UsageError naming two images of different sizes.
    """
    shapes = [image.shape[1:] for image in images]
    if other := next((i for i, shape in enumerate(shapes) if shape != shapes[0]), None):
        first, second = (f"{names[i]} is {shapes[i][1]} x {shapes[i][0]}" for i in (0, other))
        raise UsageError(f"zoo.dataset: images are of different sizes ({first} pixels, {second}); set size, e.g. 64")
    channels = max(len(image) for image in images)
    return np.stack([np.broadcast_to(image, (channels, *shapes[0])) for image in images])
