"""Folders of images, one for each class, as torchvision's ImageFolder reads them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from stages.datasets.examples import Examples, first_line
from stages.datasets.own import Part, one_side
from stages.datasets.own_inputs import describe, encoder
from stages.datasets.pixels import alike, of_size
from stages.errors import DataMissing, UsageError
from stages.params.own_data import OwnDataset
from stages.params.own_kinds import ImageFolder

__all__ = ["describe", "encoder", "pixels", "read"]

GREY = ("1", "L", "LA", "I", "I;16", "F")
"""Pillow's modes of images without colours."""


def read(dataset: ImageFolder, root: Path, *, train: bool) -> Examples:
    """Images [examples, channels, height, width] of bytes, and the names of their folders.

    Raises DataMissing naming an image that can't be read, and UsageError if there is none or they differ in size.
    """
    return one_side(dataset, root, _part, train=train)


def _part(dataset: ImageFolder, root: Path, part: Part) -> Examples | None:
    del root
    path = getattr(dataset, part)
    if not isinstance(path, str):
        return None
    from torchvision.datasets import ImageFolder as Folder

    try:
        folder = Folder(path, allow_empty=True)
    except FileNotFoundError as error:  # no folder within it
        raise UsageError(f"zoo.dataset.{part}: {path}: has no folder of images for each class") from error
    if not folder.samples:
        raise UsageError(f"zoo.dataset.{part}: {path}: has folders, but no images in them")
    files, classes = zip(*folder.samples, strict=True)
    names = [str(Path(file).relative_to(path)) for file in files]
    images = pixels(dataset, zip(names, map(_opener, files), strict=True), part)
    return Examples(images, np.array(folder.classes)[list(classes)])


def pixels(dataset: OwnDataset, images: Iterable[tuple[str, Callable[[], Any]]], part: Part) -> np.ndarray:
    """Images of Pillow's by name, opened one by one, as one array [examples, channels, height, width] of bytes.

    Raises DataMissing naming one that can't be read, and UsageError if they differ in size and none is asked for.
    """
    from PIL.Image import DecompressionBombError

    names, arrays = [], []
    for name, opened in images:
        try:
            with opened() as image:
                grey = dataset.channels == 1 or image.mode in GREY
                array = np.array(image.convert("L" if grey else "RGB"))
        except (
            OSError,
            ValueError,
            SyntaxError,
            DecompressionBombError,
        ) as error:  # what Pillow raises at damaged files
            raise DataMissing(
                f"zoo.dataset.{part}: {name}: not readable as an image ({first_line(error)}); replace or remove it"
            ) from error
        names.append(name)
        arrays.append(of_size(np.ascontiguousarray(array[None] if grey else array.transpose(2, 0, 1)), dataset.size))
    return alike(arrays, names)


def _opener(file: str) -> Callable[[], Any]:
    from PIL import Image

    return lambda: Image.open(file)
