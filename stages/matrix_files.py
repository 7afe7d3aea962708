"""Matrices of numbers in files of numpy, read without pickles, a few rows at a time."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tokenize import TokenError

import numpy as np

from stages.errors import Damaged

BLOCK = 4096
"""Rows that are read at once."""
BROKEN = (EOFError, MemoryError, OverflowError, SyntaxError, TokenError, TypeError, ValueError)
"""What numpy raises at files of its own kind that nobody wrote with it."""


def open_matrix(path: Path) -> np.ndarray:
    """A matrix of numbers in a file, mapped into memory: what is read of it is read when it is used.

    Raises Damaged for what isn't one or is cut off; pickled objects aren't, and are never read.
    """
    try:
        with np.errstate(over="ignore"):  # of the product of a shape's numbers, which is refused below
            values = np.lib.format.open_memmap(path, mode="r")  # which knows neither pickles nor archives
    except BROKEN as error:
        reason = " ".join(str(error).split())
        raise Damaged(f"{path}: not a whole matrix of numbers ({reason}); expected what numpy.save wrote") from error
    if values.ndim != 2 or not values.shape[1] or values.dtype.kind != "f":
        raise Damaged(f"{path}: found {values.dtype} {list(values.shape)}, expected floats [networks, parameters]")
    return values


def row_digests(path: Path, index: Sequence[int]) -> list[str | None]:
    """The SHA-256 of each of these rows, None if not all of it are finite float32 numbers.

    Other rows aren't read, and these again only if the file's size or modification time changes.
    """
    state = path.stat()
    return _row_digests(path, tuple(index), state.st_size, state.st_mtime_ns)


@cache
def _row_digests(path: Path, index: tuple[int, ...], size: int, changed: int) -> list[str | None]:
    del size, changed  # part of the cache's key
    matrix = open_matrix(path)
    digests: list[str | None] = []
    for start in range(0, len(index), BLOCK):
        rows = np.asarray(matrix[list(index[start : start + BLOCK])], dtype=np.float32)
        digests += [hashlib.sha256(row.tobytes()).hexdigest() if np.isfinite(row).all() else None for row in rows]
    return digests
