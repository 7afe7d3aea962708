"""Arrays in numpy's files: an .npz file with inputs and targets, or a pair of .npy files."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np

from stages.datasets.examples import Examples, first_line
from stages.datasets.own import Part, one_side
from stages.datasets.own_inputs import describe, encoder
from stages.errors import DataMissing, UsageError, did_you_mean
from stages.matrix_files import BROKEN
from stages.params.own_kinds import Arrays
from stages.store.checkpoint_bounds import check_archive

__all__ = ["describe", "encoder", "read"]

INPUTS = ("x", "X", "inputs", "images", "data", "features")
TARGETS = ("y", "Y", "targets", "labels", "target", "label")


def read(dataset: Arrays, root: Path, *, train: bool) -> Examples:
    """Inputs [examples, ...] as they are stored, with targets.

    Raises DataMissing for files that aren't numpy's, and UsageError naming an array that isn't there.
    """
    return one_side(dataset, root, _part, train=train)


def _part(dataset: Arrays, root: Path, part: Part) -> Examples | None:
    del root
    given = dataset.train if part == "test" and dataset.test_index is not None else getattr(dataset, part)
    if given is None or isinstance(given, float):
        return None
    arrays = _opened(given, part)
    inputs = _named(arrays, dataset.inputs, INPUTS, part, "inputs")
    targets = _named(arrays, dataset.targets, TARGETS, part, "targets")
    examples = Examples(arrays[inputs], arrays[targets])
    if dataset.test_index is None or part == "validation":
        return examples
    return examples.at(_rows(arrays, dataset.test_index, len(examples), part))


def _opened(given: str | tuple[str, ...], part: Part) -> Mapping[str, np.ndarray]:
    """The arrays of a file or a pair of files, by name."""
    if isinstance(given, tuple):
        return dict(zip("xy", map(_single, given), strict=True))
    arrays = _loaded(given)
    if isinstance(arrays, np.ndarray):
        raise UsageError(
            f"zoo.dataset.{part}: {given} holds one array; give inputs and targets as a pair, [x.npy, y.npy], or as an "
            ".npz file"
        )
    return arrays


def _single(path: str) -> np.ndarray:
    array = _loaded(path)
    if not isinstance(array, np.ndarray):
        raise UsageError(f"zoo.dataset: {path} holds several arrays, expected an .npy file with one in a pair")
    return array


def _loaded(path: str) -> np.ndarray | dict[str, np.ndarray]:
    """What numpy has stored; Python objects are never unpickled."""
    try:
        with Path(path).open("rb") as file:
            if is_zipfile(file):
                with ZipFile(file) as archive:
                    check_archive(Path(path), archive)
            file.seek(0)
            found = np.load(file, allow_pickle=False)
            return found if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except ValueError as error:
        objects = "allow_pickle" in str(error)
        reason = "holds Python objects, which are never unpickled" if objects else first_line(error)
        raise DataMissing(
            f"{path}: {reason}; store numbers or fixed-width text by numpy.savez or numpy.save"
        ) from error
    except (OSError, BadZipFile, zlib.error, *BROKEN) as error:
        raise DataMissing(
            f"{path}: not a whole file of numpy's ({first_line(error)}); copy or write it anew"
        ) from error


def _named(arrays: Mapping[str, np.ndarray], given: str | None, usual: tuple[str, ...], part: Part, field: str) -> str:
    """The name of the inputs or the targets of a part."""
    of_part = [f"{name}_{part}" for name in usual] + [f"{part}_{name}" for name in usual]
    names = [given, f"{given}_{part}", f"{part}_{given}"] if given else [*of_part, *usual]
    if found := [name for name in names if name in arrays]:
        return found[0]
    wanted = f"array {given!r}" if given else f"{field} by a usual name, such as {usual[0]} or {part}_{usual[2]}"
    near = did_you_mean(given, arrays) if given else ""
    raise UsageError(f"zoo.dataset.{field}: no {wanted}; there are {', '.join(sorted(arrays))}{near}")


def _rows(arrays: Mapping[str, np.ndarray], name: str, count: int, part: Part) -> np.ndarray:
    """The test split's rows, or the others."""
    if name not in arrays:
        raise UsageError(f"zoo.dataset.test_index: no array {name!r}; there are {', '.join(sorted(arrays))}")
    index = arrays[name]
    if index.dtype.kind not in "iu" or index.ndim != 1 or (len(index) and not 0 <= index.min() <= index.max() < count):
        raise UsageError(f"zoo.dataset.test_index: {name!r} isn't a list of row numbers from 0 to {count - 1}")
    is_test = np.isin(np.arange(count), index)
    return np.flatnonzero(is_test if part == "test" else ~is_test)
