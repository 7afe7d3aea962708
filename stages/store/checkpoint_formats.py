"""The formats of checkpoints, told apart by what is in the file, and read without running code of theirs."""

import pickle
import re
import struct
import zipfile
import zlib
from pathlib import Path
from threading import Lock
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from torch import Tensor

from stages.checkpoint_paths import INDEX, shards_of
from stages.errors import Damaged, UsageError
from stages.store.checkpoints import load_tensors
from stages.store.stand_ins import STAND_INS, Array

KNOWN = "safetensors, a file of torch.save, .npz, or an index of shards"
ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".npz", ".tar")
"""Names by which a file whose content says nothing is taken for a torn checkpoint rather than for another thing."""
AGAIN = "write it anew by torch.save(model.state_dict(), ...) or as safetensors"
OTHERS = {
    b"\x93NUMPY": "a bare numpy array, whose tensors have no names; source: matrix reads one with a table of them",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "compressed by gzip",
}
"""How files of some other formats begin, and what they are."""
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What readers raise on bytes that nobody wrote; flipping some at random finds each of them."""
LOADING = Lock()
"""Held while torch's list of allowed names, one for the whole process, has this module's in it."""


def read_content(path: Path) -> Any:
    """What was saved: tensors, in whatever mappings and lists they are, and other plain data beside them.

    Tensors are mapped from the file where its format allows, and read when they are used. Raises UsageError if the
    file is of no known format or can't be read without running code of its own, and Damaged if it isn't whole.
    """
    start = _start(path)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**40:  # the header's length, then the header
        return load_tensors(path)[0]
    if start.startswith(b"PK"):
        return _read_arrays(path) if _is_npz(path) else _unpickled(path, zipped=True)
    if start.startswith(b"\x80"):
        return _unpickled(path, zipped=False)
    if path.match(INDEX):
        return {name: tensor for shard in shards_of(path) for name, tensor in read_content(shard).items()}
    if path.suffix in ENDINGS and not any(map(start.startswith, OTHERS)):
        raise Damaged(f"{path}: not a whole checkpoint (it begins with {start[:8]!r}); expected {KNOWN}")
    what = next((f" ({name})" for magic, name in OTHERS.items() if start.startswith(magic)), "")
    raise UsageError(f"{path}: not a checkpoint by its content{what}; expected {KNOWN}")


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise Damaged(f"{path}: not readable ({error.strerror}); mend that, or leave it out") from error


def as_tensor(value: object) -> Tensor | None:
    """A tensor or an array of numbers as a tensor; None for anything else."""
    if isinstance(value, Array):
        value = value.values
    if isinstance(value, np.ndarray):
        value = _converted(value)
    return value if isinstance(value, Tensor) else None


def _converted(array: np.ndarray) -> Tensor | None:
    try:
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except TypeError:  # strings, structures and the like
        return None


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except BROKEN:
        return False


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except BROKEN as error:
        if "Object arrays" in str(error):
            raise UsageError(f"{path}: refused, as it holds pickled objects; save arrays of numbers alone") from error
        raise Damaged(f"{path}: not a whole checkpoint ({_first_line(error)})") from error


def _unpickled(path: Path, zipped: bool) -> Any:
    """What `torch.save` wrote, as far as that is plain data; objects of STAND_INS are left out."""
    mmap = zipped and path.suffix != ".safetensors"  # which torch.load takes for one by that name
    try:
        with (
            LOADING,
            torch.serialization.safe_globals([(kind, name) for name, kind in STAND_INS.items()]),
            catch_warnings(),
            path.open("rb") as file,
        ):
            simplefilter("ignore", UserWarning)  # of other protocols: what can't be read is refused below
            return torch.load(path if mmap else file, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise _refusal(path, error) from error
    except BROKEN as error:
        if "TorchScript" in str(error):
            raise UsageError(f"{path}: a TorchScript program, refused; save model.state_dict() instead") from error
        if "magic number" in str(error):
            raise UsageError(f"{path}: a pickle that torch.save didn't write, refused; {AGAIN}") from error
        raise Damaged(f"{path}: not a whole checkpoint ({_first_line(error)})") from error


def _refusal(path: Path, error: pickle.UnpicklingError) -> UsageError:
    if (named := re.search(r"(?:GLOBAL|class) (\S+)", str(error))) is not None:
        return UsageError(
            f"{path}: refused, as reading its {named[1]} would run code that comes with the file; where you trust it, "
            "load it and write torch.save(model.state_dict(), ...) or safetensors instead"
        )
    detail = re.sub(r"(?s).*WeightsUnpickler error:\s*", "", str(error))
    return UsageError(
        f"{path}: refused, as it is damaged or pickled in a way that can't be read without running code "
        f"({_first_line(detail)}); {AGAIN}"
    )


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
