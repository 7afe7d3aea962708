"""Bounds on what a checkpoint may declare, against the size of its file: a small file never becomes a large object."""

import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.errors import Damaged, UsageError, shown

EXPANSION = 200
"""Times its size that a file may declare; trained weights compress by a tenth, masks of zeros and ones up to here."""
SLACK = 2**24
"""Bytes that any file may declare."""
MAX_DEPTH = 100
"""Dicts and lists within one another."""
MAX_NAME = 1000
"""Characters of a tensor's name."""
SAVE = "save model.state_dict()"


def check_declared(path: Path, size: int, declared: int, what: str) -> None:
    """Raise UsageError if a file of `size` bytes declares far more of them than it has."""
    if declared > EXPANSION * size + SLACK:
        raise UsageError(
            f"{path}: refused, as {what} would take {declared:,} bytes, but the file has {size:,}; expected at most "
            f"{EXPANSION} times as many, so save the values themselves"
        )


def check_archive(path: Path, file: zipfile.ZipFile) -> None:
    """Check what a zip archive's directory declares, before anything in it is unpacked.

    Raises UsageError if that is far more than the file has, and Damaged if entries overlap or one hides another.
    """
    size, entries = path.stat().st_size, file.infolist()
    check_declared(path, size, sum(entry.file_size for entry in entries), "what is packed in it")
    names = Counter(entry.filename for entry in entries)
    if names and (twice := names.most_common(1)[0])[1] > 1:
        raise Damaged(f"{path}: not a whole archive ({shown(twice[0])} is in it twice); copy or write it anew")
    if (packed := sum(entry.compress_size for entry in entries)) > size:
        raise Damaged(f"{path}: not a whole archive ({packed:,} bytes are said to be in {size:,}); write it anew")


def check_saved(path: Path, file: zipfile.ZipFile) -> None:
    """Check an archive of `torch.save`, which torch itself reads without looking at checksums or compression.

    Raises UsageError if it is packed in another way, and Damaged naming an entry that isn't as it was written.
    """
    if packed := [entry.filename for entry in file.infolist() if entry.compress_type != zipfile.ZIP_STORED]:
        raise UsageError(
            f"{path}: refused, as {shown(packed[0])} in it is compressed, which torch.save never does and torch.load "
            "takes for values; unpack it and save it again by torch.save"
        )
    if damaged := file.testzip():
        raise Damaged(
            f"{path}: not a whole checkpoint ({shown(damaged)} in it doesn't fit its checksum); copy it anew, or if it "
            "was saved without checksums (torch.serialization.set_crc32_options), save it again with them"
        )


def check_pickle(path: Path) -> None:
    """Raise UsageError if a pickle makes a bytearray, which torch.load lets be of any size."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        if content.find(b"\nbytearray\n") >= 0:
            raise UsageError(f"{path}: refused, as it holds a bytearray, and that may be of any size; {SAVE}")


def check_content(path: Path, content: Any, records: Counter[int] | None = None) -> None:
    """Check what was read, before anything is done with it; `records` has the sizes of the values that are stored.

    Raises UsageError if it holds itself, is nested too deeply, has names that no network has, or tensors without
    values of their own, and Damaged if a tensor's values aren't one of the records.
    """
    size = path.stat().st_size
    todo: list[tuple[Any, int]] = [([content], 0)]
    parts = declared = 0
    stored: dict[int, int] = {}
    while todo:
        value, depth = todo.pop()
        if isinstance(value, Tensor):
            declared += value.numel() * value.element_size()
            stored |= _stored(path, value)
            continue
        below = [*value.keys(), *value.values()] if isinstance(value, Mapping) else list(value)
        parts += len(value)
        if depth > MAX_DEPTH or parts > size:
            raise UsageError(f"{path}: refused, as it holds itself, or dicts and lists without end; {SAVE}")
        _check_names(path, (part for part in value if isinstance(part, str)) if isinstance(value, Mapping) else ())
        todo += [(part, depth + 1) for part in below if isinstance(part, Tensor | Mapping | list | tuple)]
    check_declared(path, size, declared, "its tensors")
    if records is not None and (beyond := Counter(stored.values()) - records):
        raise Damaged(
            f"{path}: not a whole checkpoint (a tensor needs {min(beyond):,} bytes, and no record in it has as many); "
            "write it anew"
        )


def _check_names(path: Path, names: Iterable[str]) -> None:
    if (longest := max(map(len, names), default=0)) > MAX_NAME:
        raise UsageError(f"{path}: refused, as it has a name of {longest:,} characters; expected at most {MAX_NAME}")


def _stored(path: Path, tensor: Tensor) -> dict[int, int]:
    """Where a dense tensor's values lie -> their size in bytes."""
    if tensor.is_meta:
        raise UsageError(f"{path}: refused, as it has tensors without values (of the device meta); {SAVE} of a model")
    storage = tensor.untyped_storage() if tensor.layout == torch.strided else None
    return {storage.data_ptr(): storage.nbytes()} if storage else {}
