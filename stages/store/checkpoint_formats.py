"""The formats of checkpoints, told apart by what is in the file, and read without running code of theirs."""

import pickle
import re
import struct
import zipfile
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path
from stat import S_ISREG
from threading import Lock
from tokenize import TokenError
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from stages.checkpoint_paths import INDEX, shards_of
from stages.errors import Damaged, DwfError, UsageError
from stages.store.checkpoint_bounds import check_archive, check_content, check_pickle, check_saved
from stages.store.stand_ins import STAND_INS, Array

KNOWN = "safetensors, a file of torch.save, .npz, or an index of shards"
ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".npz", ".tar")
"""Names by which a file whose content says nothing is taken for a torn checkpoint rather than for another thing."""
AGAIN = "write it anew by torch.save(model.state_dict(), ...) or as safetensors"
ANEW = "copy or write it anew"
OTHERS = {
    b"\x93NUMPY": "a bare numpy array, whose tensors have no names; source: matrix reads one with a table of them",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "compressed by gzip",
}
"""How files of some other formats begin, and what they are."""
TAR = 257
"""Where the first entry of a tar archive says that it is one."""
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TokenError,
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
    file is of no known format, can't be read without running code of its own, or declares more than it has, and
    Damaged if it isn't whole.
    """
    start, records = _start(path), None
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**40:  # the header's length, then the header
        content = _mapped(path)
    elif start.startswith(b"PK"):
        content, records = _unzipped(path)
    elif start.startswith(b"\x80"):
        content = _unpickled(path, zipped=False)
    elif path.match(INDEX):
        return {name: tensor for shard in shards_of(path) for name, tensor in _named(shard).items()}
    else:
        raise _unknown(path, start)
    check_content(path, content, records)
    return content


def _named(shard: Path) -> dict[str, Any]:
    content = read_content(shard)
    if not isinstance(content, dict):
        raise UsageError(f"{shard}: holds no named tensors ({type(content).__name__}), which an index is of")
    return content


def _unknown(path: Path, start: bytes) -> DwfError:
    what = next((f" ({name})" for magic, name in OTHERS.items() if start.startswith(magic)), "")
    if start[TAR:].startswith(b"ustar"):
        what = " (a tar archive)"
    if path.suffix in ENDINGS and not what:
        return Damaged(f"{path}: not a whole checkpoint (it begins with {start[:8]!r}); expected {KNOWN}")
    return UsageError(f"{path}: not a checkpoint by its content{what}; expected {KNOWN}")


def _start(path: Path) -> bytes:
    try:
        regular = S_ISREG(path.stat().st_mode)
        with path.open("rb") if regular else BytesIO() as file:  # a pipe would wait for a writer
            start = file.read(TAR + 5)
    except (OSError, ValueError) as error:  # the latter: NUL in a name
        reason = getattr(error, "strerror", error)
        raise Damaged(f"{path}: not readable ({reason}); mend that, or leave it out") from error
    if not regular:
        raise UsageError(f"{path}: a folder, a pipe or a device; expected {KNOWN}")
    return start


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


def _mapped(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping, only keys()
    except (SafetensorError, *BROKEN) as error:
        raise Damaged(f"{path}: not a whole safetensors file ({_first_line(error)}); {ANEW}") from error


def _unzipped(path: Path) -> tuple[Any, Counter[int] | None]:
    """What an archive holds; of one of `torch.save` the sizes of its records, too."""
    try:
        with zipfile.ZipFile(path) as file:
            check_archive(path, file)
            names = file.namelist()
            if any(name.endswith(".npy") for name in names):
                return _read_arrays(path), None
            if any(name.endswith("/constants.pkl") for name in names):
                raise UsageError(f"{path}: a TorchScript program, refused; save model.state_dict() instead")
            check_saved(path, file)
            records = Counter(entry.file_size for entry in file.infolist())
    except BROKEN as error:
        raise Damaged(f"{path}: not a whole checkpoint ({_first_line(error)}); {ANEW}") from error
    return _unpickled(path, zipped=True), records


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except BROKEN as error:
        if "Object arrays" in str(error):
            raise UsageError(f"{path}: refused, as it holds pickled objects; save arrays of numbers alone") from error
        raise Damaged(f"{path}: not a whole checkpoint ({_first_line(error)}); {ANEW}") from error


def _unpickled(path: Path, zipped: bool) -> Any:
    """What `torch.save` wrote, as far as that is plain data; objects of STAND_INS are left out."""
    check_pickle(path)
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
        if "magic number" in str(error):
            raise UsageError(f"{path}: a pickle that torch.save didn't write, refused; {AGAIN}") from error
        raise Damaged(f"{path}: not a whole checkpoint ({_first_line(error)}); {ANEW}") from error


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
