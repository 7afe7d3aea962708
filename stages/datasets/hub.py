"""Data sets of Hugging Face's library `datasets`: on the hub, or in a folder."""

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from stages.datasets.examples import Examples, first_line, offline
from stages.datasets.folder import pixels
from stages.datasets.own import Part, one_side
from stages.datasets.own_inputs import describe, encoder
from stages.datasets.table_file import columns_of_numbers
from stages.errors import DataMissing, UsageError, did_you_mean
from stages.params.own_kinds import Hub

__all__ = ["describe", "encoder", "read"]

INPUTS = ("image", "img", "text", "sentence", "inputs", "x", "features")
TARGETS = ("label", "labels", "target", "targets", "y")
SAVED = ("dataset_dict.json", "state.json")
"""Files that `save_to_disk` leaves in a folder."""


def read(dataset: Hub, root: Path, *, train: bool) -> Examples:
    """Images, texts or numbers, with targets; what is downloaded or converted is kept below `root`.

    Raises DataMissing if the data set can't be loaded, and UsageError naming a split or column that isn't there.
    """
    return one_side(dataset, root, _part, train=train)


def _part(dataset: Hub, root: Path, part: Part) -> Examples | None:
    split = getattr(dataset, part)
    if not isinstance(split, str):
        return None
    splits = _loaded(dataset, root)
    if split not in splits:
        near = did_you_mean(split, splits) or f"; there are {', '.join(splits)}"
        raise UsageError(f"zoo.dataset.{part}: {dataset.path} has no split {split!r}{near}")
    table = splits[split]
    target = _column(table, dataset.targets, TARGETS, "targets")
    if target is None:
        raise UsageError(f"zoo.dataset.targets: no column of a usual name; there are {', '.join(table.column_names)}")
    targets = np.asarray(table[target])
    if names := getattr(table.features[target], "names", None):  # a ClassLabel
        targets = np.array(names)[targets]
    return Examples(_inputs(dataset, table, target, part), targets)


def _inputs(dataset: Hub, table: Any, target: str, part: Part) -> np.ndarray:
    name = _column(table, dataset.inputs, INPUTS, "inputs")
    if name is None:
        others = [column for column in table.column_names if column != target]
        return columns_of_numbers(table.select_columns(others).to_pandas(), dataset.path)
    kind = table.features[name]
    if type(kind).__name__ == "Image":
        openers = ((f"image {i}", partial(_image, table, i, name)) for i in range(len(table)))
        return pixels(dataset, openers, part)
    values = list(table[name])
    if isinstance(values[0], str):
        return np.array(values, dtype=object)
    try:
        return np.asarray(values, dtype=np.uint8 if "uint8" in str(kind) else np.float32)
    except ValueError as error:
        raise UsageError(f"zoo.dataset.inputs: {name!r} isn't of one shape ({first_line(error)})") from error


def _image(table: Any, row: int, name: str) -> Any:
    return table[row][name]


def _column(table: Any, given: str | None, usual: tuple[str, ...], field: str) -> str | None:
    """The given column, or one of a usual name."""
    if given is None:
        return next((name for name in usual if name in table.column_names), None)
    if given not in table.column_names:
        near = did_you_mean(given, table.column_names) or f"; there are {', '.join(table.column_names)}"
        raise UsageError(f"zoo.dataset.{field}: no column {given!r}{near}")
    return given


@lru_cache(maxsize=1)
def _loaded(dataset: Hub, root: Path) -> dict[str, Any]:
    """All splits by name."""
    try:
        import datasets
    except ImportError as error:
        raise UsageError(f'zoo.dataset: to read {dataset.path}, pip install "dwf[hub]"') from error
    folder = Path(dataset.path)
    if not folder.is_dir() and offline():
        raise DataMissing(f"{dataset.path}: no such folder, and DWF_OFFLINE forbids to download it")
    try:
        if any((folder / name).is_file() for name in SAVED):
            found: Any = datasets.load_from_disk(dataset.path)
        else:
            cache = str(root / "huggingface")
            found = datasets.load_dataset(dataset.path, dataset.config, revision=dataset.revision, cache_dir=cache)
    except (OSError, RuntimeError, ValueError, TypeError) as error:  # no network, no such set, a damaged file
        raise DataMissing(
            f"{dataset.path}: can't be loaded by Hugging Face's datasets ({first_line(error)})"
        ) from error
    return dict(found) if isinstance(found, dict) else {dataset.train: found}
